//! The event engine: the servers of an upstream, connections to each, and the replies that come off
//! them. It knows no socket, no clock and no request: what it stands on is a [`System`], nginx's event
//! loop or a test's.
//!
//! | room | what it does |
//! |---|---|
//! | [`upstream`] | the servers of one upstream: whom to ask, where an answer leads |
//! | [`upkeep`] | what it finds out about them: errands, names |
//! | [`client`] | the connections to one server: which of them takes a query |
//! | [`connection`] | one of them: connecting, writing, reading, its end |
//! | [`delivery`] | a reply to everybody who waits for it |
//! | [`desk`] | where answers are left, and word for an upstream |
//! | [`memory`] | the memory of values, bounded |
//! | [`schedule`] | when a name is resolved |

pub mod client;
pub mod connection;
pub mod delivery;
pub mod desk;
pub mod memory;
pub mod schedule;
pub mod upkeep;
pub mod upstream;

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::SockAddr;

use crate::config::Connections;
use crate::fault::Fault;
use crate::redis::endpoint::Address;
use crate::redis::topology::ServerId;
use desk::Desk;
use memory::Memory;

/// A server of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index of the endpoint.
    pub endpoint: usize,
    /// The server.
    pub server: ServerId,
}

/// How much a line in the error log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For who looks at what happens.
    Debug,
    /// Something has changed.
    Notice,
    /// Something is amiss.
    Warn,
}

/// What the engine of one endpoint stands on.
pub trait System: Clone + 'static {
    /// An open socket.
    type Socket: Socket;
    /// What stays of a connection while no socket is open.
    type Owner;
    /// The events of the worker.
    type Events: Events;
    /// Who waits for an answer.
    type Parked: Parked;

    /// The settings of the endpoint.
    fn connections(&self) -> &Connections;

    /// The name of the endpoint in the error log.
    fn name(&self) -> &str;

    /// What stays of the connection with a number to a server.
    fn owner(&self, place: Place, connection: usize) -> Self::Owner;

    /// Begins to connect; a fault is a failure at once.
    fn connect(&self, address: &SockAddr, owner: &mut Self::Owner) -> Result<Self::Socket, Fault>;

    /// Where a server is, as far as it is known without asking anybody.
    fn addresses_of(&self, server: &Address) -> Vec<SockAddr>;

    /// Whether names are resolved while the worker goes on.
    fn has_resolver(&self) -> bool;

    /// Asks for the addresses of a server; the answer comes by
    /// [`Upstream::take_addresses`](upstream::Upstream::take_addresses). Whether it was asked.
    fn resolve(&self, place: Place, server: &Address) -> bool;

    /// A clock that all workers share, in milliseconds.
    fn shared_millis(&self) -> usize;

    /// The time.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// A random number below 65,536, for jitter.
    fn random(&self) -> u32;

    /// Whether the worker is about to end.
    fn is_exiting(&self) -> bool;

    /// Writes a line in the error log.
    fn say(&self, level: Level, sentence: &str);
}

/// What sending or receiving came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes.
    Bytes(usize),
    /// The handlers are called when it can go on.
    Later,
    /// The connection is over.
    End,
}

/// How far the handshake of TLS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsProgress {
    /// The server is who it must be, and may be written to; or there is no TLS.
    Done,
    /// The write handler is called when it can go on.
    Later,
    /// It failed.
    Failed(Fault),
}

/// An open socket: [`Connection::on_read`](connection::Connection::on_read) and
/// [`on_write`](connection::Connection::on_write) are called for what happens to it.
pub trait Socket {
    /// Whether connecting was over at once, as with a unix socket.
    fn is_connected(&self) -> bool;

    /// Why connecting has failed, if it has, once it is over.
    fn connect_failure(&self) -> Option<Fault>;

    /// Begins TLS with a server, where the endpoint has it, or says how far it is.
    fn secure(&mut self, server: &Address) -> TlsProgress;

    /// Sends as many of the bytes as it can.
    fn send(&self, bytes: &[u8]) -> Progress;

    /// Appends what there is to `space`, up to its capacity.
    fn receive(&self, space: &mut BytesMut) -> Progress;

    /// Why the connection ended by itself.
    fn end(&self) -> Fault;

    /// Goes on reading in the next turn, so that others get theirs.
    fn read_on_in_next_turn(&self);

    /// Limits connecting and the handshake.
    fn set_connect_timer(&self, limit: Duration);

    /// Connecting and the handshake are over.
    fn clear_connect_timer(&self);

    /// Whether the time of [`Self::set_connect_timer`] is over.
    fn connecting_timed_out(&self) -> bool;

    /// Has the read handler called after `patience`, at the latest.
    fn watch(&self, patience: Duration);

    /// Whether the time of [`Self::watch`] is over; true once.
    fn watch_is_over(&self) -> bool;

    /// Tells whether a worker that exits may have the connection closed at once.
    fn set_idle(&self, idle: bool);

    /// Whether the worker exits and the connection was idle.
    fn is_told_to_close(&self) -> bool;

    /// Closes it; nothing is called for it any more.
    fn close(self);
}

/// The events of a worker that belong to no connection.
pub trait Events {
    /// Has the answers on the desk given out at the end of this turn.
    fn post_resume(&mut self);

    /// Has the lookups of this turn sent at its end.
    fn post_flush(&mut self);

    /// Sees to it that the upstreams are looked after soon.
    fn tick_soon(&mut self);

    /// Somebody waits until `deadline`, and an exiting worker with them.
    fn wait_until(&mut self, deadline: Instant, now: Instant);
}

/// Who waits for an answer.
pub trait Parked {
    /// Another server than before is asked for it.
    fn is_asked_of(&mut self, server: &Rc<str>);
}

/// What everything that happens in one turn of the event loop works with.
pub struct Turn<'a, S: System> {
    /// What the engine stands on.
    pub system: &'a S,
    /// When it began.
    pub now: Instant,
    /// Where answers are left.
    pub desk: &'a mut Desk<S>,
    /// The memory of the endpoint.
    pub memory: &'a Memory,
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
