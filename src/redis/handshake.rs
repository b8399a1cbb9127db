//! The beginning of a connection, without I/O: `HELLO 3` with AUTH and SETNAME, SELECT and
//! READONLY; AUTH and the others without it where the server takes no HELLO, as [`super::hello`]
//! knows or its reply says. No lookup is sent before every reply is verified: a GET behind a failed
//! SELECT would read another site's database.

use std::collections::VecDeque;

use redis::Value;

use super::command::encode;
use super::endpoint::Login;
use super::error_reply;
use crate::fault::Fault;
use crate::reason::Reason;

/// The user of a connection that names none.
const DEFAULT_USER: &str = "default";

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
pub enum Line<'a> {
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
    Fail(Fault),
}

/// A reply that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    /// The server does not take HELLO; the replies to what stands behind it are not asked for.
    Skip,
    Auth,
    Select,
    ReadOnly,
    /// A sign of life, where a handshake without HELLO has nothing else to say.
    Ping,
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
    says_hello: bool,
    has_heard: bool,
    /// What the server said where it did not take HELLO.
    refusal: Option<Fault>,
}

impl Handshake {
    /// A handshake, with HELLO or without, and its first write.
    pub fn start(greeting: &Greeting, says_hello: bool) -> (Self, Vec<u8>) {
        let mut handshake = Self {
            greeting: greeting.clone(),
            awaited: VecDeque::new(),
            protocol: Protocol::Unknown,
            says_hello,
            has_heard: false,
            refusal: None,
        };
        let out = if says_hello { handshake.with_hello() } else { handshake.without_hello() };
        (handshake, out)
    }

    /// Takes in the next reply.
    pub fn on_reply(&mut self, line: Line<'_>) -> Next {
        self.has_heard = true;
        match (self.awaited.pop_front(), line) {
            (Some(Step::Hello), Line::Error(code, text)) if self.is_refusal_of_hello(code) => {
                self.refusal = Some(self.fault(code, text));
                self.awaited.iter_mut().for_each(|step| *step = Step::Skip);
            }
            (Some(Step::Skip), _) => {}
            (Some(Step::Auth), Line::Error("ERR", text)) => {
                let fault = self.fault("ERR", text);
                return Next::Fail(Fault { reason: Reason::NoAuth, ..fault });
            }
            (Some(Step::Ping), Line::Error("ERR" | "NOPERM", _)) => {}
            (_, Line::Error(code, text)) => return Next::Fail(self.fault(code, text)),
            (Some(Step::Hello), Line::Fine(reply)) => {
                self.protocol = Protocol::Resp3;
                if self.greeting.wants_primary && is_replica(reply) {
                    return Next::Fail(Reason::ReadOnly.into());
                }
            }
            (_, Line::Fine(_)) => {}
        }
        match (self.awaited.is_empty(), self.protocol) {
            (false, _) => Next::Read,
            (true, Protocol::Unknown) => Next::Write(self.without_hello()),
            (true, _) => Next::Ready,
        }
    }

    /// Whether the server pushes messages between replies.
    pub fn speaks_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// Whether it began with HELLO.
    pub fn says_hello(&self) -> bool {
        self.says_hello
    }

    /// Whether any reply came.
    pub fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// What the server said where it did not take HELLO.
    pub fn refusal(&self) -> Option<&Fault> {
        self.refusal.as_ref()
    }

    /// What it means that the connection ends here. One that says why it takes no more clients says
    /// so in the place of a reply to HELLO.
    pub fn ended(&self, fault: Fault) -> Fault {
        if !matches!(fault.reason, Reason::Closed | Reason::Timeout) || self.awaited.is_empty() {
            return fault;
        }
        match &self.refusal {
            Some(refusal) if refusal.reason == Reason::ErrorReply && !speaks_of_hello(refusal) => {
                refusal.clone()
            }
            _ => fault.with(&format!("no reply to {}", self.awaited_commands())),
        }
    }

    /// The commands whose replies are awaited, without their secrets.
    fn awaited_commands(&self) -> String {
        let name = |step: &Step| match step {
            Step::Hello => "HELLO".to_owned(),
            Step::Skip => "what stands behind HELLO".to_owned(),
            Step::Select => format!("SELECT {}", self.greeting.login.db),
            Step::Auth => "AUTH".to_owned(),
            Step::ReadOnly => "READONLY".to_owned(),
            Step::Ping => "PING".to_owned(),
        };
        self.awaited.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Whether an error in answer to HELLO, with this code, leaves the question whether the server
    /// can be spoken to without it. Codes of Redis's own have a meaning of theirs; what the makers
    /// of proxies write has none that could be told, be it a code or just a sentence.
    fn is_refusal_of_hello(&self, code: &str) -> bool {
        match code {
            "ERR" | "NOPROTO" | "NOPERM" => true,
            // To one that carries AUTH, a server that knows HELLO answers otherwise.
            "NOAUTH" => self.greeting.login.password.is_some(),
            code => code.bytes().any(|b| b.is_ascii_lowercase()),
        }
    }

    fn fault(&self, code: &str, text: &str) -> Fault {
        let password = self.greeting.login.password.as_ref();
        let password = password.map_or(&b""[..], |password| password.0.as_bytes());
        error_reply::fault(code, text, &[password])
    }

    fn with_hello(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let login = &self.greeting.login;
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = &login.password {
            let user = login.username.as_deref().unwrap_or(DEFAULT_USER);
            hello.extend([&b"AUTH"[..], user.as_bytes(), password.0.as_bytes()]);
        }
        hello.extend([&b"SETNAME"[..], CLIENT_NAME]);
        encode(&mut out, &hello);
        self.awaited.push_back(Step::Hello);
        self.set_up(&mut out);
        out
    }

    fn without_hello(&mut self) -> Vec<u8> {
        self.protocol = Protocol::Resp2;
        let mut out = Vec::new();
        let login = &self.greeting.login;
        if let Some(password) = &login.password {
            // Servers that know no users know no AUTH with one.
            let user = login.username.as_deref().filter(|user| *user != DEFAULT_USER);
            let mut auth: Vec<&[u8]> = vec![b"AUTH"];
            auth.extend(user.map(str::as_bytes));
            auth.push(password.0.as_bytes());
            encode(&mut out, &auth);
            self.awaited.push_back(Step::Auth);
        }
        self.set_up(&mut out);
        if out.is_empty() {
            encode(&mut out, &[b"PING"]);
            self.awaited.push_back(Step::Ping);
        }
        out
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

/// Whether a refusal is about the command, and not about the connection.
fn speaks_of_hello(refusal: &Fault) -> bool {
    let text = refusal.cause.as_deref().unwrap_or_default().to_ascii_lowercase();
    ["hello", "command"].iter().any(|word| text.contains(word))
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
mod tests;
