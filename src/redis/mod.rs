//! What we say to Redis, without nginx: where it is ([`endpoint`]), how a connection begins
//! ([`handshake`]), what is asked ([`command`]), what its errors mean ([`error_reply`]), when it
//! is left alone ([`breaker`], [`oversize`]), and queries that block ([`blocking`]).

pub mod blocking;
pub mod breaker;
pub mod budget;
pub mod command;
pub mod endpoint;
pub mod error_reply;
pub mod handshake;
pub mod oversize;

use bytes::Bytes;

use crate::reason::Reason;

/// What a lookup of one key brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value.
    Value(Bytes),
    /// Nothing under the key.
    Nil,
    /// No value, and why.
    Fault(Reason),
}
