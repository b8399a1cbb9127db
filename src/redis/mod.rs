//! What we say to Redis, without nginx: where it is ([`endpoint`]), how a connection begins
//! ([`handshake`]), what is asked ([`command`]), what its errors mean ([`error_reply`]), when it
//! is left alone ([`breaker`], [`backoff`], [`oversize`]).
//!
//! Two engines ask. The event engine is a [`link`] a connection, without I/O of its own: lookups
//! in flight in their order, as many as the [`window`] allows, replies out of the [`reader`].
//! Queries that block are in [`blocking`], on sockets that keep to a [`budget`].

pub mod backoff;
pub mod blocking;
pub mod breaker;
pub mod budget;
pub mod command;
pub mod endpoint;
pub mod error_reply;
pub mod handshake;
pub mod link;
pub mod oversize;
pub mod reader;
pub mod window;

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
