//! The event engine: the connections of one worker to one server, on nginx's event loop. What to
//! write and what a reply means is [`Link`]'s; this connects, reads, writes and times.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::NGX_LOG_NOTICE;
use socket2::SockAddr;

use super::conf::{EndpointConf, MainConf};
use super::connection::Connection;
use super::delivery::refuse;
use super::desk::{Desk, Place};
use super::memory::Memory;
use super::names::Schedule;
use super::socket::Owner;
use super::tls::TlsSession;
use super::upkeep;
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::breaker::{Admission, Breaker};
use crate::redis::endpoint::Address;
use crate::redis::errand::{Errand, Task};
use crate::redis::handshake::{Greeting, Handshake};
use crate::redis::hello::Hello;
use crate::redis::link::Link;
use crate::redis::oversize::Oversize;
use crate::redis::query::{Command, Query, Waiter};

/// How long a reply to an errand is awaited, at least.
const ERRAND_PATIENCE: Duration = Duration::from_millis(250);

/// The server of a client.
pub(super) struct Server {
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
}

impl Server {
    /// A connection to it is ready for lookups.
    pub fn introduced(&mut self, handshake: &Handshake) {
        if let Some(news) = self.hello.succeeded(handshake, &self.name, Instant::now()) {
            upkeep::say(NGX_LOG_NOTICE, &news);
        }
    }
}

/// The connections of one worker to one server.
pub(super) struct Client {
    pub place: Place,
    pub conf: &'static EndpointConf,
    pub server: Server,
    pub connections: Vec<Connection>,
    pub breaker: Breaker,
    /// When what is owed is tried again that was not taken.
    pub debts: Backoff,
    pub oversize: Oversize,
}

/// A lookup that may be asked.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    connection: usize,
    pub hash: u64,
}

/// What is asked.
pub(super) struct Wanted<'a> {
    pub key: &'a [u8],
    pub waiter: Waiter,
    pub timeout: Duration,
    pub command: Command,
}

impl Client {
    pub fn new(
        main: &'static MainConf,
        place: Place,
        conf: &'static EndpointConf,
        server: Server,
    ) -> Self {
        let patience = conf.connections.connect_timeout.max(ERRAND_PATIENCE);
        let connection = |number| {
            let session = TlsSession::default();
            let owner = Owner { main, place, connection: number, session };
            let link = if server.redirects { Link::with_redirects() } else { Link::default() };
            Connection::new(link, owner, patience)
        };
        Self {
            place,
            conf,
            connections: (0..server.connections).map(connection).collect(),
            server,
            breaker: Breaker::new(conf.connections.breaker),
            debts: Backoff::default(),
            oversize: Oversize::default(),
        }
    }

    /// Whether it is known that a lookup would not be answered now.
    pub fn is_out(&self, now: Instant) -> bool {
        let waits = |c: &Connection| c.link.is_down() && c.backoff.holds(now);
        self.breaker.is_open() || self.connections.iter().all(waits)
    }

    /// Lets a probe through, if the breaker wants one, and connects where invalidations wait.
    pub fn look_after(&mut self, now: Instant, desk: &mut Desk) {
        if self.breaker.is_open() && self.breaker.admit(now) == Admission::Probe {
            self.run(Errand::new(Task::Ping, ""), desk);
        }
        if self.breaker.is_open() {
            return;
        }
        let may_pay = !self.debts.holds(now);
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
    pub fn move_to(&mut self, addresses: Vec<SockAddr>, desk: &mut Desk) {
        let is_known = |address: &SockAddr| self.server.at.contains(address);
        if addresses.len() == self.server.at.len() && addresses.iter().all(is_known) {
            return;
        }
        self.server.at = addresses;
        self.breaker = Breaker::new(self.conf.connections.breaker);
        self.server.hello = Hello::default();
        for (number, connection) in self.connections.iter_mut().enumerate() {
            connection.backoff = Backoff::default();
            connection.leaves = connection.peer.is_some()
                && !connection.at.as_ref().is_some_and(|at| self.server.at.contains(at));
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
        now: Instant,
        desk: &mut Desk,
    ) -> Result<Admitted, Fault> {
        if self.oversize.knows(key, max_size, now) {
            return Err(Reason::TooLarge.into());
        }
        self.route(key, now, desk)
    }

    /// Which connection takes a command on `key`, if one may be sent now.
    pub fn route(&mut self, key: &[u8], now: Instant, desk: &mut Desk) -> Result<Admitted, Fault> {
        match self.breaker.admit(now) {
            Admission::Ask => {}
            Admission::Refuse => return Err(Reason::Breaker.into()),
            Admission::Probe => {
                self.run(Errand::new(Task::Ping, ""), desk);
                return Err(Reason::Breaker.into());
            }
        }
        let hash = hash_of(key);
        let number = self.number_for(hash);
        let connection = self.connections.get(number).ok_or(Reason::Internal)?;
        if connection.link.is_down() && connection.backoff.holds(now) {
            return Err(connection.failure.clone());
        }
        Ok(Admitted { connection: number, hash })
    }

    /// Takes a lookup, or a command that writes, to be sent at the end of this turn.
    pub fn ask(
        &mut self,
        admitted: Admitted,
        wanted: Wanted<'_>,
        desk: &mut Desk,
        memory: &Memory,
    ) {
        let Admitted { connection: number, hash } = admitted;
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Wanted { key, waiter, timeout, command } = wanted;
        connection.patience = timeout;
        match command {
            Command::Get => connection.link.enqueue(key, hash, waiter),
            command => connection.link.enqueue_query(Query::new(key, hash, waiter, command)),
        }
        if connection.link.is_down() {
            self.connect(number, desk, memory);
        } else if connection.link.is_ready() {
            desk.flush_later(self.place, number);
        }
    }

    /// Takes a query that another server could not answer, or that nobody could be asked before.
    pub fn take(&mut self, query: Query, now: Instant, desk: &mut Desk, memory: &Memory) {
        match self.route(&query.key, now, desk) {
            Ok(Admitted { connection: number, .. }) => {
                let Some(connection) = self.connections.get_mut(number) else { return };
                connection.link.enqueue_query(query);
                if connection.link.is_down() {
                    self.connect(number, desk, memory);
                } else {
                    desk.flush_later(self.place, number);
                }
            }
            Err(fault) => {
                refuse(std::slice::from_ref(&query), &fault, desk);
                self.owe(query, desk);
            }
        }
    }

    /// Keeps a query for when the server is back, if it invalidates.
    pub fn owe(&mut self, query: Query, desk: &mut Desk) {
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
    pub fn run(&mut self, errand: Errand, desk: &mut Desk) {
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
    pub fn retire(mut self, desk: &mut Desk) -> Vec<Query> {
        let mut elsewhere = Vec::new();
        for connection in &mut self.connections {
            connection.close_peer();
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
pub(super) fn hash_of(key: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}
