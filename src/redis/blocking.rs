//! Queries that block the worker, `redis_cache_io blocking`: a small pool of connections to one
//! endpoint, with the `redis` crate reading the values.
//!
//! A query never takes longer than its budget, connecting included. A connection that failed,
//! or on which anything but the awaited reply arrived, is closed and never used again.

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Parser, Value};

use super::Reply;
use super::breaker::{Admission, Breaker, BreakerSettings};
use super::budget::{Stream, fault_of};
use super::command::encode;
use super::endpoint::{Login, ServerAddr};
use super::error_reply;
use super::handshake::{Greeting, Handshake, Line, Next};
use super::hello::Hello;
use super::oversize::Oversize;
use super::reader::{Admit, Frame, Reader};
use crate::fault::Fault;
use crate::reason::Reason;

/// The largest reply of a handshake or to a write, in bytes.
const MAX_SHORT_REPLY: usize = 16 * 1024;

/// Settings of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The name of the server in the log.
    pub name: String,
    /// Has the log told something that is no fault.
    pub notice: fn(&str),
    /// Who we are, and the database.
    pub login: Login,
    /// The addresses of the server, resolved.
    pub addresses: Vec<ServerAddr>,
    /// The most connections that are kept.
    pub connections: usize,
    /// The budget of connecting, handshake included.
    pub connect_timeout: Duration,
    /// When Redis is left alone.
    pub breaker: Option<BreakerSettings>,
}

/// The connections of one worker to one endpoint.
pub struct Pool {
    settings: PoolSettings,
    idle: Vec<Introduced>,
    hello: Hello,
    breaker: Breaker,
    oversize: Oversize,
    command: Vec<u8>,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

/// A connection that takes queries.
struct Introduced {
    stream: Stream,
    /// HELLO was part of it.
    resp3: bool,
}

/// A query that failed.
struct Failure {
    fault: Fault,
    /// The connection had been idle and was dead before a byte of the reply came.
    was_dead: bool,
}

/// A reply taken off a connection.
struct Taken {
    value: Value,
    /// Nothing else lies on the connection.
    in_step: bool,
}

impl Pool {
    /// An empty pool; connections are made when they are needed.
    pub fn new(settings: PoolSettings) -> Self {
        let breaker = Breaker::new(settings.breaker);
        Self {
            settings,
            idle: Vec::new(),
            hello: Hello::default(),
            breaker,
            oversize: Oversize::default(),
            command: Vec::new(),
        }
    }

    /// Asks for the value under `key`, for at most `timeout` and `max_size` bytes.
    pub fn get(&mut self, key: &[u8], timeout: Duration, max_size: usize) -> Reply {
        let now = Instant::now();
        if self.oversize.knows(key, max_size, now) {
            return Reply::Fault(Reason::TooLarge.into());
        }
        self.command.clear();
        encode(&mut self.command, &[b"GET", key]);
        let reply = self.run(Kind::Read, now, timeout, max_size);
        if matches!(&reply, Reply::Fault(fault) if fault.reason == Reason::TooLarge) {
            self.oversize.remember(key, max_size, now);
        }
        reply
    }

    /// Sends a command that writes, once, for at most `timeout`.
    pub fn write(&mut self, command: Vec<u8>, timeout: Duration) -> Reply {
        self.command = command;
        let reply = self.run(Kind::Write, Instant::now(), timeout, MAX_SHORT_REPLY);
        self.command = Vec::new();
        reply
    }

    fn run(&mut self, kind: Kind, now: Instant, timeout: Duration, max_size: usize) -> Reply {
        if self.breaker.admit(now) == Admission::Refuse {
            return Reply::Fault(Reason::Breaker.into());
        }
        let is_reply = |reply: &Reply| match kind {
            Kind::Read => *reply != Reply::Done,
            Kind::Write => !matches!(reply, Reply::Value(_)),
        };
        let taken = self.query(kind, now + timeout, max_size);
        match taken.and_then(|reply| match is_reply(&reply) {
            true => Ok(reply),
            false => Err(Reason::Protocol.into()),
        }) {
            Ok(reply) => {
                self.breaker.success();
                reply
            }
            Err(fault) => {
                if fault.reason.is_connection_fault() {
                    self.breaker.fault(Instant::now());
                }
                Reply::Fault(fault)
            }
        }
    }

    /// One query. A lookup is repeated once on a fresh connection where an idle one turns out
    /// dead; a write never is, since it may have been carried out.
    fn query(&mut self, kind: Kind, deadline: Instant, max_size: usize) -> Result<Reply, Fault> {
        let says_hello = self.hello.is_said(Instant::now());
        while let Some(introduced) = self.idle.pop() {
            if !introduced.stream.is_quiet() || (says_hello && !introduced.resp3) {
                continue;
            }
            match self.query_on(introduced, deadline, max_size) {
                Err(failure) if failure.was_dead && kind == Kind::Read => self.idle.clear(),
                result => return result.map_err(|failure| failure.fault),
            }
        }
        let introduced = self.connect(deadline)?;
        if !introduced.stream.is_quiet() {
            return Err(Reason::Protocol.into());
        }
        self.query_on(introduced, deadline, max_size).map_err(|failure| failure.fault)
    }

    /// A new connection, introduced; where HELLO was in the way of that, without it.
    fn connect(&mut self, deadline: Instant) -> Result<Introduced, Fault> {
        let deadline = deadline.min(Instant::now() + self.settings.connect_timeout);
        loop {
            let stream =
                Stream::connect(&self.settings.addresses, deadline).inspect_err(|fault| {
                    self.hello.failed(None, fault.reason, Instant::now());
                })?;
            let greeting = Greeting { login: self.settings.login.clone(), ..Greeting::default() };
            let says_hello = self.hello.is_said(Instant::now());
            let (mut handshake, out) = Handshake::start(&greeting, says_hello);
            let introduced = introduce(&stream, &mut handshake, out, deadline);
            let now = Instant::now();
            match introduced {
                Ok(()) => {
                    let news = self.hello.succeeded(&handshake, &self.settings.name, now);
                    if let Some(news) = news {
                        (self.settings.notice)(&news);
                    }
                    return Ok(Introduced { stream, resp3: handshake.speaks_resp3() });
                }
                Err(fault) if self.hello.failed(Some(&handshake), fault.reason, now) => {}
                Err(fault) => return Err(handshake.ended(fault)),
            }
        }
    }

    /// Sends the command; the connection goes back to the pool if it is in step afterwards.
    fn query_on(
        &mut self,
        introduced: Introduced,
        deadline: Instant,
        max_size: usize,
    ) -> Result<Reply, Failure> {
        let stream = &introduced.stream;
        if let Err(error) = stream.write_all(&self.command, deadline) {
            let fault = fault_of(&error);
            return Err(Failure { was_dead: fault.reason == Reason::Closed, fault });
        }
        let taken = take_reply(stream, deadline, max_size)?;
        if taken.in_step && self.idle.len() < self.settings.connections {
            self.idle.push(introduced);
        }
        let fault = match taken.value {
            Value::BulkString(bytes) if bytes.len() > max_size => Reason::TooLarge.into(),
            Value::BulkString(bytes) => return Ok(Reply::Value(Bytes::from(bytes))),
            Value::Nil => return Ok(Reply::Nil),
            Value::Okay => return Ok(Reply::Done),
            Value::ServerError(error) => {
                error_reply::fault(error.code(), error.details().unwrap_or_default(), &[])
            }
            _ => Reason::Protocol.into(),
        };
        Err(Failure { fault, was_dead: false })
    }
}

/// Goes through a handshake, whose first write is `out`.
fn introduce(
    stream: &Stream,
    handshake: &mut Handshake,
    mut out: Vec<u8>,
    deadline: Instant,
) -> Result<(), Fault> {
    let mut replies = Reader::default();
    loop {
        stream.write_all(&out, deadline).map_err(|error| fault_of(&error))?;
        out = loop {
            let answer = match next_reply(stream, &mut replies, deadline)? {
                Frame::Error(code, text) => handshake.on_reply(Line::Error(&code, &text)),
                Frame::Other(reply) => handshake.on_reply(Line::Fine(&reply)),
                _ => handshake.on_reply(Line::Fine(b"")),
            };
            match answer {
                Next::Read => {}
                Next::Write(bytes) => break bytes,
                Next::Ready if replies.is_at_rest() => return Ok(()),
                Next::Ready => return Err(Reason::Protocol.into()),
                Next::Fail(fault) => return Err(fault),
            }
        };
    }
}

/// The next reply of a handshake.
fn next_reply(stream: &Stream, replies: &mut Reader, deadline: Instant) -> Result<Frame, Fault> {
    let mut input = stream.reply(deadline, MAX_SHORT_REPLY);
    let mut piece = [0; 4096];
    loop {
        let admit = |size| if size > MAX_SHORT_REPLY { Admit::Refuse } else { Admit::Take };
        if let Some(frame) = replies.next(admit)? {
            return Ok(frame);
        }
        let read = input.read(&mut piece).map_err(|error| fault_of(&error))?;
        replies.space().extend_from_slice(piece.get(..read).unwrap_or_default());
    }
}

fn take_reply(stream: &Stream, deadline: Instant, max_size: usize) -> Result<Taken, Failure> {
    let mut reader = stream.reply(deadline, max_size);
    match Parser::new().parse_value(&mut reader) {
        Ok(value) => {
            let in_step = match &value {
                Value::BulkString(bytes) => reader.is_just_a_string_of(bytes.len()),
                Value::Nil | Value::Okay | Value::ServerError(_) => reader.is_just_a_line(),
                _ => false,
            };
            Ok(Taken { value, in_step })
        }
        Err(_) => {
            let fault = reader.failure().unwrap_or(Reason::Protocol.into());
            let was_dead = fault.reason == Reason::Closed && reader.is_untouched();
            Err(Failure { fault, was_dead })
        }
    }
}
