//! The beginning of a connection, without I/O: `HELLO 3` with AUTH and SETNAME, and SELECT; AUTH
//! and SELECT alone where the server knows no HELLO. No lookup is sent before every reply is
//! verified: a GET behind a failed SELECT would read another site's database.

use super::command::encode;
use super::endpoint::Endpoint;
use super::error_reply;
use crate::reason::Reason;

/// What CLIENT LIST on the server shows.
const CLIENT_NAME: &[u8] = b"nginx-redis-cache";

/// One reply of the server, as far as the handshake cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Anything but an error.
    Fine,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    /// HELLO is unknown to the server; the reply to the SELECT behind it is not asked for.
    Skip,
    Auth,
    Select,
}

/// The state of one handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    endpoint: Endpoint,
    step: Step,
}

impl Handshake {
    /// A handshake for `endpoint` and its first write.
    pub fn start(endpoint: &Endpoint) -> (Self, Vec<u8>) {
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = &endpoint.password {
            let user = endpoint.username.as_deref().unwrap_or("default");
            hello.extend([&b"AUTH"[..], user.as_bytes(), password.0.as_bytes()]);
        }
        hello.extend([&b"SETNAME"[..], CLIENT_NAME]);
        let mut out = Vec::new();
        encode(&mut out, &hello);
        select(&mut out, endpoint);
        (Self { endpoint: endpoint.clone(), step: Step::Hello }, out)
    }

    /// Takes in the next reply.
    pub fn on_reply(&mut self, answer: Answer<'_>) -> Next {
        let selects = self.endpoint.db != 0;
        match (self.step, answer) {
            (Step::Hello | Step::Auth, Answer::Fine) if selects => self.advance(Step::Select),
            (Step::Hello | Step::Auth | Step::Select, Answer::Fine) => Next::Ready,
            (Step::Hello, Answer::Error(code, text)) if is_unknown(code, text) && selects => {
                self.advance(Step::Skip)
            }
            (Step::Hello, Answer::Error(code, text)) if is_unknown(code, text) => {
                self.without_hello()
            }
            (Step::Skip, _) => self.without_hello(),
            (Step::Auth, Answer::Error("ERR", _)) => Next::Fail(Reason::NoAuth),
            (_, Answer::Error(code, text)) => Next::Fail(error_reply::reason(code, text)),
        }
    }

    fn advance(&mut self, step: Step) -> Next {
        self.step = step;
        Next::Read
    }

    fn without_hello(&mut self) -> Next {
        let mut out = Vec::new();
        if let Some(password) = &self.endpoint.password {
            let user = self.endpoint.username.as_deref();
            let mut auth: Vec<&[u8]> = vec![b"AUTH"];
            auth.extend(user.map(str::as_bytes));
            auth.push(password.0.as_bytes());
            encode(&mut out, &auth);
        }
        self.step = if out.is_empty() { Step::Select } else { Step::Auth };
        select(&mut out, &self.endpoint);
        if out.is_empty() { Next::Ready } else { Next::Write(out) }
    }
}

fn select(out: &mut Vec<u8>, endpoint: &Endpoint) {
    if endpoint.db != 0 {
        encode(out, &[b"SELECT", endpoint.db.to_string().as_bytes()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Answer<'static> = Answer::Error("ERR", "unknown command `HELLO`");

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn resp3_in_one_write() {
        let endpoint = endpoint("redis://u:p@h/2");
        let (mut handshake, out) = Handshake::start(&endpoint);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with(
                "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"
            )
        );
        assert!(text.ends_with("*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"));
        assert_eq!(handshake.on_reply(Answer::Fine), Next::Read);
        assert_eq!(handshake.on_reply(Answer::Fine), Next::Ready);
    }

    #[test]
    fn a_failed_select_or_login_is_the_end() {
        let endpoint = endpoint("redis://:p@h/99");
        let mut handshake = Handshake::start(&endpoint).0;
        assert_eq!(handshake.on_reply(Answer::Fine), Next::Read);
        let out_of_range = Answer::Error("ERR", "DB index is out of range");
        assert_eq!(handshake.on_reply(out_of_range), Next::Fail(Reason::ErrorReply));

        let mut handshake = Handshake::start(&endpoint).0;
        let wrong = Answer::Error("WRONGPASS", "invalid username-password pair");
        assert_eq!(handshake.on_reply(wrong), Next::Fail(Reason::NoAuth));
        let mut handshake = Handshake::start(&endpoint).0;
        let loading = Answer::Error("LOADING", "Redis is loading the dataset in memory");
        assert_eq!(handshake.on_reply(loading), Next::Fail(Reason::Loading));
    }

    #[test]
    fn a_server_without_hello() {
        let with_all = endpoint("redis://:p@h/2");
        let mut handshake = Handshake::start(&with_all).0;
        assert_eq!(handshake.on_reply(UNKNOWN), Next::Read);
        let Next::Write(out) = handshake.on_reply(Answer::Error("NOAUTH", "")) else { panic!() };
        assert_eq!(out, b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
        assert_eq!(handshake.on_reply(Answer::Fine), Next::Read);
        assert_eq!(handshake.on_reply(Answer::Fine), Next::Ready);

        let plain = endpoint("redis://h");
        assert_eq!(Handshake::start(&plain).0.on_reply(UNKNOWN), Next::Ready);
        let secret = endpoint("redis://:p@h");
        let mut handshake = Handshake::start(&secret).0;
        assert!(matches!(handshake.on_reply(UNKNOWN), Next::Write(_)));
        let unset = Answer::Error("ERR", "Client sent AUTH, but no password is set");
        assert_eq!(handshake.on_reply(unset), Next::Fail(Reason::NoAuth));
    }
}
