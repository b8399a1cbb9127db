//! The connections of one worker to one server: which of them takes a query, and whether it may be
//! asked at all.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::connection::Connection;
use super::delivery::refuse;
use super::desk::Desk;
use super::schedule::Schedule;
use super::{Events, Place, System, Turn};
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::breaker::{Admission, Breaker};
use crate::redis::endpoint::Address;
use crate::redis::errand::{Errand, Task};
use crate::redis::handshake::Greeting;
use crate::redis::hello::Hello;
use crate::redis::link::Link;
use crate::redis::oversize::Oversize;
use crate::redis::query::{Command, Query, Waiter};

/// How long a reply to an errand is awaited, at least.
const ERRAND_PATIENCE: Duration = Duration::from_millis(250);

/// The server of a client, and what is known of it.
pub struct Server {
    /// Where it is, as it was named.
    pub address: Address,
    /// Its socket addresses.
    pub at: Vec<SockAddr>,
    /// `$redis_cache_server`.
    pub name: Rc<str>,
    /// How connections to it begin.
    pub greeting: Greeting,
    /// Whether they begin with HELLO.
    pub hello: Hello,
    /// Whether it belongs to a cluster.
    pub redirects: bool,
    /// Whether it has pages of its own, and no replica's.
    pub is_primary: bool,
    /// How many connections there may be.
    pub connections: usize,
    /// When its name is resolved, if there is a resolver for it.
    pub schedule: Option<Schedule>,
    /// Whether it is left alone.
    pub breaker: Breaker,
    /// When what is owed is tried again that was not taken.
    pub debts: Backoff,
    /// Keys whose values are too large.
    pub oversize: Oversize,
}

/// The connections of one worker to one server.
pub struct Client<S: System> {
    /// Which server.
    pub place: Place,
    /// The server.
    pub server: Server,
    connections: Vec<Connection<S>>,
}

/// A place on a connection for something that may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    connection: usize,
    /// The hash of the key.
    pub hash: u64,
}

/// What is wanted of a server.
pub struct Wanted<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Who waits for it.
    pub waiter: Waiter,
    /// For how long bytes may fail to come while it is waited for.
    pub timeout: Duration,
    /// What is asked.
    pub command: Command,
}

impl<S: System> Client<S> {
    /// Connections that are not open yet.
    pub fn new(system: &S, place: Place, server: Server) -> Self {
        let patience = system.connections().connect_timeout.max(ERRAND_PATIENCE);
        let now = system.now();
        let connection = |number| {
            let link = if server.redirects { Link::with_redirects() } else { Link::default() };
            Connection::new(link, (place, number), system.owner(place, number), patience, now)
        };
        let connections = (0..server.connections).map(connection).collect();
        Self { place, server, connections }
    }

    /// Whether it is known that a lookup would not be answered now.
    pub fn is_out(&self, now: Instant) -> bool {
        let waits = |c: &Connection<S>| c.link.is_down() && c.backoff.holds(now);
        self.server.breaker.is_open() || self.connections.iter().all(waits)
    }

    /// A connection, and the server that it is to.
    fn connection(&mut self, number: usize) -> Option<(&mut Connection<S>, &mut Server)> {
        Some((self.connections.get_mut(number)?, &mut self.server))
    }

    /// A socket may be written to.
    pub fn on_write(&mut self, number: usize, turn: &mut Turn<'_, S>) {
        if let Some((connection, server)) = self.connection(number) {
            connection.on_write(server, turn);
        }
    }

    /// A socket may be read.
    pub fn on_read(&mut self, number: usize, turn: &mut Turn<'_, S>) {
        if let Some((connection, server)) = self.connection(number) {
            connection.on_read(server, turn);
        }
    }

    /// Sends the lookups of this turn on one connection.
    pub fn flush(&mut self, number: usize, turn: &mut Turn<'_, S>) {
        if let Some((connection, server)) = self.connection(number) {
            connection.flush(server, turn);
        }
    }

    /// Lets a probe through, if the breaker wants one, and connects where invalidations wait.
    pub fn look_after(&mut self, now: Instant, desk: &mut Desk<S>) {
        let breaker = &mut self.server.breaker;
        if breaker.is_open() && breaker.admit(now) == Admission::Probe {
            self.run(Errand::new(Task::Ping, ""), desk);
        }
        if self.server.breaker.is_open() {
            return;
        }
        let may_pay = !self.server.debts.holds(now);
        for (number, Connection { link, backoff, .. }) in self.connections.iter_mut().enumerate() {
            let may_connect = link.is_down() && !backoff.holds(now);
            if link.owes() && ((link.is_ready() && may_pay) || may_connect) {
                link.pay(false);
                desk.flush_later(self.place, number);
            }
        }
    }

    /// The server has these addresses now. Connections to others end when what they are asked is
    /// answered.
    pub fn move_to(&mut self, addresses: Vec<SockAddr>, breaker: Breaker, desk: &mut Desk<S>) {
        let server = &mut self.server;
        let is_known = |address: &SockAddr| server.at.contains(address);
        if addresses.len() == server.at.len() && addresses.iter().all(is_known) {
            return;
        }
        server.at = addresses;
        server.breaker = breaker;
        server.hello = Hello::default();
        for (number, connection) in self.connections.iter_mut().enumerate() {
            connection.backoff = Backoff::default();
            connection.leaves = connection.socket.is_some()
                && !connection.at.as_ref().is_some_and(|at| server.at.contains(at));
            if connection.leaves {
                desk.flush_later(self.place, number);
            }
        }
    }

    /// Whether a lookup may be asked now, and by which connection: all operations on one key use
    /// one, so that they stay in order. A refusal is answered at once.
    pub fn admit(
        &mut self,
        key: &[u8],
        max_size: usize,
        turn: &mut Turn<'_, S>,
    ) -> Result<Seat, Fault> {
        if self.server.oversize.knows(key, max_size, turn.now) {
            return Err(Reason::TooLarge.into());
        }
        self.route(key, turn)
    }

    /// Which connection takes a command on `key`, if one may be sent now.
    pub fn route(&mut self, key: &[u8], turn: &mut Turn<'_, S>) -> Result<Seat, Fault> {
        match self.server.breaker.admit(turn.now) {
            Admission::Ask => {}
            Admission::Refuse => return Err(Reason::Breaker.into()),
            Admission::Probe => {
                self.run(Errand::new(Task::Ping, ""), turn.desk);
                return Err(Reason::Breaker.into());
            }
        }
        let hash = hash_of(key);
        let number = self.number_for(hash);
        let connection = self.connections.get(number).ok_or(Reason::Internal)?;
        if connection.link.is_down() && connection.backoff.holds(turn.now) {
            return Err(connection.failure.clone());
        }
        Ok(Seat { connection: number, hash })
    }

    /// Takes a lookup, or a command that writes, to be sent at the end of this turn.
    pub fn ask(&mut self, seat: Seat, wanted: Wanted<'_>, turn: &mut Turn<'_, S>) {
        let Some((connection, server)) = self.connection(seat.connection) else { return };
        let Wanted { key, waiter, timeout, command } = wanted;
        connection.wait(timeout);
        match command {
            Command::Get => connection.link.enqueue(key, seat.hash, waiter),
            command => {
                connection.link.enqueue_query(Query::new(key, seat.hash, waiter, command));
            }
        }
        if connection.link.is_down() || connection.link.is_ready() {
            connection.send_soon(server, turn);
        }
    }

    /// Takes a query that another server could not answer, or that nobody could be asked before.
    pub fn take(&mut self, query: Query, turn: &mut Turn<'_, S>) {
        match self.route(&query.key, turn) {
            Ok(seat) => {
                let Some((connection, server)) = self.connection(seat.connection) else { return };
                connection.link.enqueue_query(query);
                connection.send_soon(server, turn);
            }
            Err(fault) => {
                refuse(std::slice::from_ref(&query), &fault, turn.desk);
                self.owe(query, turn.desk);
            }
        }
    }

    /// Keeps a query for when the server is back, if it invalidates.
    pub fn owe(&mut self, query: Query, desk: &mut Desk<S>) {
        let number = self.number_for(query.hash());
        if let Some(connection) = self.connections.get_mut(number) {
            connection.link.owe(vec![query]);
            desk.events.tick_soon();
        }
    }

    /// The connection that takes what is about a key with this hash.
    fn number_for(&self, hash: u64) -> usize {
        usize::try_from(hash % self.connections.len().max(1) as u64).unwrap_or(0)
    }

    /// Whether invalidations wait for the server to be back.
    pub fn owes(&self) -> bool {
        self.connections.iter().any(|connection| connection.link.owes())
    }

    /// Every invalidation that is not known to be carried out.
    pub fn invalidations(&self) -> impl Iterator<Item = &Query> {
        self.connections.iter().flat_map(|connection| connection.link.invalidations())
    }

    /// Runs an errand, on the first connection; no request waits for it.
    pub fn run(&mut self, errand: Errand, desk: &mut Desk<S>) {
        let Some(connection) = self.connections.first_mut() else { return };
        connection.link.run(errand);
        desk.flush_later(self.place, 0);
    }

    /// Closes every connection, for a worker that exits.
    pub fn close_all(&mut self) {
        self.connections.iter_mut().for_each(Connection::close);
    }

    /// Closes every connection, for a server that is no longer one. Returns the lookups that may
    /// be asked elsewhere.
    pub fn retire(mut self, desk: &mut Desk<S>) -> Vec<Query> {
        let mut elsewhere = Vec::new();
        for connection in &mut self.connections {
            connection.close_socket();
            let remains = connection.link.end(false);
            refuse(&remains.lost, &Reason::Closed.into(), desk);
            elsewhere.extend(remains.lost.into_iter().filter(Query::invalidates));
            elsewhere.extend(connection.link.take_owed());
            elsewhere.extend(remains.retry);
            elsewhere.extend(connection.link.take_unsent());
        }
        elsewhere
    }
}

/// The hash of a key, by which its connection is chosen.
pub fn hash_of(key: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}
