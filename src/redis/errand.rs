//! Commands that no request waits for: signs of life, and what is asked to know the servers.

use redis::Value;

use super::command::encode;
use super::error_reply;
use super::reader::Frame;
use crate::fault::Fault;
use crate::reason::Reason;

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A sign of life.
    Ping,
    /// How far replication has got (`INFO replication`).
    Replication,
    /// Which server has which slots (`CLUSTER SLOTS`).
    Slots,
    /// Who the primary is (`SENTINEL MASTER`).
    Primary,
    /// Who its replicas are (`SENTINEL REPLICAS`).
    Replicas,
    /// To be told of another primary (`SUBSCRIBE +switch-master`).
    Subscribe,
}

impl Task {
    /// Whether the reply is a push message, which RESP3 alone has.
    pub fn is_answered_by_push(self) -> bool {
        self == Self::Subscribe
    }
}

/// A command and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// What it is for.
    pub task: Task,
    /// The command, as it is sent.
    pub command: Vec<u8>,
}

impl Errand {
    /// An errand; `master` is the name that sentinels know the primary by.
    pub fn new(task: Task, master: &str) -> Self {
        let master = master.as_bytes();
        let arguments: &[&[u8]] = match task {
            Task::Ping => &[b"PING"],
            Task::Replication => &[b"INFO", b"replication"],
            Task::Slots => &[b"CLUSTER", b"SLOTS"],
            Task::Primary => &[b"SENTINEL", b"MASTER", master],
            Task::Replicas => &[b"SENTINEL", b"REPLICAS", master],
            Task::Subscribe => &[b"SUBSCRIBE", b"+switch-master"],
        };
        let mut command = Vec::new();
        encode(&mut command, arguments);
        Self { task, command }
    }
}

/// The reply to an errand.
pub fn reply(frame: Frame) -> Result<Value, Fault> {
    match frame {
        Frame::Value(bytes) => Ok(Value::BulkString(bytes.to_vec())),
        Frame::Other(reply) => {
            redis::parse_redis_value(&reply).map_err(|_| Reason::Protocol.into())
        }
        Frame::Nil => Ok(Value::Nil),
        Frame::Error(code, text) => Err(error_reply::fault(&code, &text, &[])),
        Frame::Skipped(_) | Frame::Push(_) => Err(Reason::Protocol.into()),
    }
}
