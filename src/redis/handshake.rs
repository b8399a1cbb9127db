//! The beginning of a connection, without I/O: `HELLO 3` with AUTH and SETNAME, SELECT and
//! READONLY; AUTH and the others without it where the server knows no HELLO. No lookup is sent
//! before every reply is verified: a GET behind a failed SELECT would read another site's
//! database.

use std::collections::VecDeque;

use redis::Value;

use super::command::encode;
use super::endpoint::Login;
use super::error_reply;
use crate::reason::Reason;

/// What CLIENT LIST on the server shows.
const CLIENT_NAME: &[u8] = b"nginx-redis-cache";

/// What a connection is introduced with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// Who we are, and the database.
    pub login: Login,
    /// Whether a replica of a cluster is to answer lookups itself (READONLY).
    pub readonly: bool,
    /// Whether a server that calls itself a replica is not the one that is wanted.
    pub wants_primary: bool,
}

/// One reply of the server, as far as the handshake cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Anything but an error, as it came.
    Fine(&'a [u8]),
    /// An error reply: its code and the rest of its text.
    Error(&'a str, &'a str),
}

/// What to do after a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the next reply.
    Read,
    /// Write this and read on.
    Write(Vec<u8>),
    /// The connection is ready for lookups.
    Ready,
    /// The connection is of no use.
    Fail(Reason),
}

/// A reply that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    /// HELLO is unknown to the server; the replies to what stands behind it are not asked for.
    Skip,
    Auth,
    Select,
    ReadOnly,
}

/// The protocol that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// HELLO is not answered yet.
    Unknown,
    Resp2,
    Resp3,
}

/// The state of one handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    greeting: Greeting,
    awaited: VecDeque<Step>,
    protocol: Protocol,
}

impl Handshake {
    /// A handshake and its first write.
    pub fn start(greeting: &Greeting) -> (Self, Vec<u8>) {
        let login = &greeting.login;
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = &login.password {
            let user = login.username.as_deref().unwrap_or("default");
            hello.extend([&b"AUTH"[..], user.as_bytes(), password.0.as_bytes()]);
        }
        hello.extend([&b"SETNAME"[..], CLIENT_NAME]);
        let mut out = Vec::new();
        encode(&mut out, &hello);
        let mut handshake = Self {
            greeting: greeting.clone(),
            awaited: VecDeque::from([Step::Hello]),
            protocol: Protocol::Unknown,
        };
        handshake.set_up(&mut out);
        (handshake, out)
    }

    /// Takes in the next reply.
    pub fn on_reply(&mut self, answer: Answer<'_>) -> Next {
        match (self.awaited.pop_front(), answer) {
            (Some(Step::Hello), Answer::Error(code, text))
                if is_unknown(code, text)
                    // To one that carries AUTH, a server that knows HELLO answers otherwise.
                    || (code == "NOAUTH" && self.greeting.login.password.is_some()) =>
            {
                self.awaited.iter_mut().for_each(|step| *step = Step::Skip);
            }
            (Some(Step::Skip), _) => {}
            (Some(Step::Auth), Answer::Error("ERR", _)) => return Next::Fail(Reason::NoAuth),
            (_, Answer::Error(code, text)) => return Next::Fail(error_reply::reason(code, text)),
            (Some(Step::Hello), Answer::Fine(reply)) => {
                self.protocol = Protocol::Resp3;
                if self.greeting.wants_primary && is_replica(reply) {
                    return Next::Fail(Reason::ReadOnly);
                }
            }
            (_, Answer::Fine(_)) => {}
        }
        match (self.awaited.is_empty(), self.protocol) {
            (false, _) => Next::Read,
            (true, Protocol::Unknown) => self.without_hello(),
            (true, _) => Next::Ready,
        }
    }

    /// Whether the server pushes messages between replies.
    pub fn speaks_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    fn without_hello(&mut self) -> Next {
        self.protocol = Protocol::Resp2;
        let mut out = Vec::new();
        if let Some(password) = &self.greeting.login.password {
            let user = self.greeting.login.username.as_deref();
            let mut auth: Vec<&[u8]> = vec![b"AUTH"];
            auth.extend(user.map(str::as_bytes));
            auth.push(password.0.as_bytes());
            encode(&mut out, &auth);
            self.awaited.push_back(Step::Auth);
        }
        self.set_up(&mut out);
        if out.is_empty() { Next::Ready } else { Next::Write(out) }
    }

    fn set_up(&mut self, out: &mut Vec<u8>) {
        let db = self.greeting.login.db;
        if db != 0 {
            encode(out, &[b"SELECT", db.to_string().as_bytes()]);
            self.awaited.push_back(Step::Select);
        }
        if self.greeting.readonly {
            encode(out, &[b"READONLY"]);
            self.awaited.push_back(Step::ReadOnly);
        }
    }
}

/// HELLO is unknown (before Redis 6), speaks no RESP3, or is not allowed by the ACL.
fn is_unknown(code: &str, text: &str) -> bool {
    match code {
        "NOPROTO" | "NOPERM" => true,
        "ERR" => text.to_ascii_lowercase().contains("unknown command"),
        _ => false,
    }
}

/// Whether the reply to HELLO says `role: replica`
/// (<https://redis.io/docs/latest/commands/hello/>).
fn is_replica(hello: &[u8]) -> bool {
    let Ok(Value::Map(fields)) = redis::parse_redis_value(hello) else { return false };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => bytes.clone(),
        Value::SimpleString(text) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    fields.iter().any(|(name, value)| {
        text(name) == b"role" && matches!(&*text(value), b"replica" | b"slave")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::endpoint::Endpoint;

    const UNKNOWN: Answer<'static> = Answer::Error("ERR", "unknown command `HELLO`");

    const FINE: Answer<'static> = Answer::Fine(b"+OK\r\n");

    fn greeting(url: &str) -> Greeting {
        Greeting { login: Endpoint::parse(url).unwrap().login, ..Greeting::default() }
    }

    #[test]
    fn resp3_in_one_write() {
        let greeting = greeting("redis://u:p@h/2");
        let (mut handshake, out) = Handshake::start(&greeting);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with(
                "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"
            )
        );
        assert!(text.ends_with("*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"));
        assert_eq!(handshake.on_reply(FINE), Next::Read);
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
    }

    #[test]
    fn a_failed_select_or_login_is_the_end() {
        let greeting = greeting("redis://:p@h/99");
        let mut handshake = Handshake::start(&greeting).0;
        assert_eq!(handshake.on_reply(FINE), Next::Read);
        let out_of_range = Answer::Error("ERR", "DB index is out of range");
        assert_eq!(handshake.on_reply(out_of_range), Next::Fail(Reason::ErrorReply));

        let mut handshake = Handshake::start(&greeting).0;
        let wrong = Answer::Error("WRONGPASS", "invalid username-password pair");
        assert_eq!(handshake.on_reply(wrong), Next::Fail(Reason::NoAuth));
        let mut handshake = Handshake::start(&greeting).0;
        let loading = Answer::Error("LOADING", "Redis is loading the dataset in memory");
        assert_eq!(handshake.on_reply(loading), Next::Fail(Reason::Loading));
    }

    #[test]
    fn a_server_without_hello() {
        let with_all = greeting("redis://:p@h/2");
        let mut handshake = Handshake::start(&with_all).0;
        assert_eq!(handshake.on_reply(UNKNOWN), Next::Read);
        let Next::Write(out) = handshake.on_reply(Answer::Error("NOAUTH", "")) else { panic!() };
        assert_eq!(out, b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
        assert_eq!(handshake.on_reply(FINE), Next::Read);
        assert_eq!(handshake.on_reply(FINE), Next::Ready);

        let plain = greeting("redis://h");
        assert_eq!(Handshake::start(&plain).0.on_reply(UNKNOWN), Next::Ready);
        let secret = greeting("redis://:p@h");
        let mut handshake = Handshake::start(&secret).0;
        assert!(matches!(handshake.on_reply(UNKNOWN), Next::Write(_)));
        let unset = Answer::Error("ERR", "Client sent AUTH, but no password is set");
        assert_eq!(handshake.on_reply(unset), Next::Fail(Reason::NoAuth));
    }

    #[test]
    fn a_server_that_hides_what_it_knows_is_logged_in_to() {
        let mut handshake = Handshake::start(&greeting("redis://:p@h")).0;
        let hides = Answer::Error("NOAUTH", "Authentication required.");
        assert!(matches!(handshake.on_reply(hides), Next::Write(_)));
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
        let mut handshake = Handshake::start(&greeting("redis://h")).0;
        assert_eq!(handshake.on_reply(hides), Next::Fail(Reason::NoAuth));
    }

    #[test]
    fn a_replica_is_not_the_primary_that_is_wanted() {
        let hello = |role: &str| {
            format!("%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n${}\r\n{role}\r\n", role.len())
        };
        let wants = Greeting { wants_primary: true, ..Greeting::default() };
        for (greeting, role, wanted) in [
            (&wants, "replica", Next::Fail(Reason::ReadOnly)),
            (&wants, "master", Next::Ready),
            (&Greeting::default(), "replica", Next::Ready),
        ] {
            let mut handshake = Handshake::start(greeting).0;
            assert_eq!(handshake.on_reply(Answer::Fine(hello(role).as_bytes())), wanted, "{role}");
            assert!(handshake.speaks_resp3());
        }
    }

    #[test]
    fn readonly_stands_behind_the_others() {
        let replica = Greeting { readonly: true, ..greeting("redis://h/2") };
        let (mut handshake, out) = Handshake::start(&replica);
        assert!(out.ends_with(b"$1\r\n2\r\n*1\r\n$8\r\nREADONLY\r\n"));
        assert_eq!(handshake.on_reply(UNKNOWN), Next::Read);
        assert_eq!(handshake.on_reply(FINE), Next::Read);
        let Next::Write(out) = handshake.on_reply(FINE) else { panic!() };
        assert!(out.ends_with(b"READONLY\r\n") && out.starts_with(b"*2\r\n$6\r\nSELECT"));
        assert_eq!(handshake.on_reply(FINE), Next::Read);
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
        assert!(!handshake.speaks_resp3());
    }
}
