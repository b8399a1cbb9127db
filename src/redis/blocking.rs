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
use super::budget::{Stream, reason_of};
use super::command::encode;
use super::endpoint::{Login, ServerAddr};
use super::error_reply;
use super::handshake::{Answer, Greeting, Handshake, Next};
use super::oversize::Oversize;
use super::reader::{Admit, Frame, Reader};
use crate::reason::Reason;

/// The largest reply of a handshake or to a write, in bytes.
const MAX_SHORT_REPLY: usize = 16 * 1024;

/// Settings of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
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
    idle: Vec<Stream>,
    breaker: Breaker,
    oversize: Oversize,
    command: Vec<u8>,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

/// A query that failed.
struct Failure {
    reason: Reason,
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
            breaker,
            oversize: Oversize::default(),
            command: Vec::new(),
        }
    }

    /// Asks for the value under `key`, for at most `timeout` and `max_size` bytes.
    pub fn get(&mut self, key: &[u8], timeout: Duration, max_size: usize) -> Reply {
        let now = Instant::now();
        if self.oversize.knows(key, max_size, now) {
            return Reply::Fault(Reason::TooLarge);
        }
        self.command.clear();
        encode(&mut self.command, &[b"GET", key]);
        let reply = self.run(Purpose::Read, now, timeout, max_size);
        if matches!(reply, Reply::Fault(Reason::TooLarge)) {
            self.oversize.remember(key, max_size, now);
        }
        reply
    }

    /// Sends a command that writes, once, for at most `timeout`.
    pub fn write(&mut self, command: Vec<u8>, timeout: Duration) -> Reply {
        self.command = command;
        let reply = self.run(Purpose::Write, Instant::now(), timeout, MAX_SHORT_REPLY);
        self.command = Vec::new();
        reply
    }

    fn run(&mut self, purpose: Purpose, now: Instant, timeout: Duration, max_size: usize) -> Reply {
        if self.breaker.admit(now) == Admission::Refuse {
            return Reply::Fault(Reason::Breaker);
        }
        let is_reply = |reply: &Reply| match purpose {
            Purpose::Read => *reply != Reply::Done,
            Purpose::Write => !matches!(reply, Reply::Value(_)),
        };
        let taken = self.query(purpose, now + timeout, max_size);
        match taken
            .and_then(|reply| if is_reply(&reply) { Ok(reply) } else { Err(Reason::Protocol) })
        {
            Ok(reply) => {
                self.breaker.success();
                reply
            }
            Err(reason) => {
                if reason.is_connection_fault() {
                    self.breaker.fault(Instant::now());
                }
                Reply::Fault(reason)
            }
        }
    }

    /// One query. A lookup is repeated once on a fresh connection where an idle one turns out
    /// dead; a write never is, since it may have been carried out.
    fn query(
        &mut self,
        purpose: Purpose,
        deadline: Instant,
        max_size: usize,
    ) -> Result<Reply, Reason> {
        while let Some(stream) = self.idle.pop() {
            if !stream.is_quiet() {
                continue;
            }
            match self.query_on(stream, deadline, max_size) {
                Err(failure) if failure.was_dead && purpose == Purpose::Read => self.idle.clear(),
                result => return result.map_err(|failure| failure.reason),
            }
        }
        let stream = self.connect(deadline)?;
        if !stream.is_quiet() {
            return Err(Reason::Protocol);
        }
        self.query_on(stream, deadline, max_size).map_err(|failure| failure.reason)
    }

    fn connect(&self, deadline: Instant) -> Result<Stream, Reason> {
        let deadline = deadline.min(Instant::now() + self.settings.connect_timeout);
        let stream = Stream::connect(&self.settings.addresses, deadline)?;
        let greeting = Greeting { login: self.settings.login.clone(), ..Greeting::default() };
        let (mut handshake, mut out) = Handshake::start(&greeting);
        let mut replies = Reader::default();
        loop {
            stream.write_all(&out, deadline).map_err(|error| reason_of(&error))?;
            out = loop {
                let answer = match next_reply(&stream, &mut replies, deadline)? {
                    Frame::Error(code, text) => handshake.on_reply(Answer::Error(&code, &text)),
                    Frame::Other(reply) => handshake.on_reply(Answer::Fine(&reply)),
                    _ => handshake.on_reply(Answer::Fine(b"")),
                };
                match answer {
                    Next::Read => {}
                    Next::Write(bytes) => break bytes,
                    Next::Ready if replies.is_at_rest() => return Ok(stream),
                    Next::Ready => return Err(Reason::Protocol),
                    Next::Fail(reason) => return Err(reason),
                }
            };
        }
    }

    /// Sends the command; the connection goes back to the pool if it is in step afterwards.
    fn query_on(
        &mut self,
        stream: Stream,
        deadline: Instant,
        max_size: usize,
    ) -> Result<Reply, Failure> {
        if let Err(error) = stream.write_all(&self.command, deadline) {
            let reason = reason_of(&error);
            return Err(Failure { reason, was_dead: reason == Reason::Closed });
        }
        let taken = take_reply(&stream, deadline, max_size)?;
        if taken.in_step && self.idle.len() < self.settings.connections {
            self.idle.push(stream);
        }
        match taken.value {
            Value::BulkString(bytes) if bytes.len() > max_size => {
                Err(Failure { reason: Reason::TooLarge, was_dead: false })
            }
            Value::BulkString(bytes) => Ok(Reply::Value(Bytes::from(bytes))),
            Value::Nil => Ok(Reply::Nil),
            Value::Okay => Ok(Reply::Done),
            Value::ServerError(error) => Err(Failure {
                reason: error_reply::reason(error.code(), error.details().unwrap_or_default()),
                was_dead: false,
            }),
            _ => Err(Failure { reason: Reason::Protocol, was_dead: false }),
        }
    }
}

/// The next reply of a handshake.
fn next_reply(stream: &Stream, replies: &mut Reader, deadline: Instant) -> Result<Frame, Reason> {
    let mut input = stream.reply(deadline, MAX_SHORT_REPLY);
    let mut piece = [0; 4096];
    loop {
        if let Some(frame) = replies.next(|_| Admit::Take)? {
            return Ok(frame);
        }
        let read = input.read(&mut piece).map_err(|error| reason_of(&error))?;
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
            let reason = reader.failure().unwrap_or(Reason::Protocol);
            Err(Failure { reason, was_dead: reason == Reason::Closed && reader.is_untouched() })
        }
    }
}
