//! What we say to Redis, without nginx: where it is ([`endpoint`], [`upstream`]), which server has
//! a key ([`topology`], kept up by each [`errand`]), how a connection begins ([`handshake`],
//! [`hello`]), what
//! is asked ([`command`]), what its errors mean ([`error_reply`]), when it is left alone
//! ([`breaker`], [`backoff`], [`oversize`]), and what it is [`owed`] then.
//!
//! Two engines ask. The event engine is a [`link`] a connection, without I/O of its own: lookups
//! in flight in their order, as many as the [`window`] allows, replies out of the [`reader`].
//! Queries that block are in [`blocking`], on sockets that keep to a [`budget`]. What is written,
//! and over what, is in [`mod@write`].

pub mod backoff;
pub mod blocking;
pub mod breaker;
pub mod budget;
pub mod command;
pub mod endpoint;
pub mod errand;
pub mod error_reply;
pub mod handshake;
pub mod hello;
pub mod link;
pub mod oversize;
pub mod owed;
pub mod pending;
pub mod query;
pub mod reader;
pub mod topology;
pub mod upstream;
pub mod window;
pub mod write;

use bytes::Bytes;

use crate::fault::Fault;

/// What a lookup of one key, or a command that writes, brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value.
    Value(Bytes),
    /// Nothing under the key; or the guard of a write did not hold.
    Nil,
    /// It was written.
    Done,
    /// No value, and why.
    Fault(Fault),
}
