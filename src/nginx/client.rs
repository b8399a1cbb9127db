//! The event engine: the connections of one worker to one server, on nginx's event loop. What to
//! write and what a reply means is [`Link`]'s; this connects, reads, writes and times.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::conf::{EndpointConf, MainConf};
use super::delivery::refuse;
use super::memory::Memory;
use super::names::Schedule;
use super::socket::{Owner, Peer, Progress};
use super::tls::{TlsProgress, TlsSession};
use super::worker::{Desk, Place, Report};
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::breaker::{Admission, Breaker};
use crate::redis::endpoint::Address;
use crate::redis::errand::{Errand, Task};
use crate::redis::handshake::Greeting;
use crate::redis::link::{Link, Query, Waiter};
use crate::redis::oversize::Oversize;

/// What is read from one connection in a turn, in bytes: others get their turn too.
const READ_A_TURN: usize = 1 << 20;

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
    /// Whether it belongs to a cluster.
    pub redirects: bool,
    /// How many connections there may be.
    pub connections: usize,
    /// When its name is resolved, if there is a resolver for it.
    pub schedule: Option<Schedule>,
}

/// The connections of one worker to one server.
pub(super) struct Client {
    place: Place,
    conf: &'static EndpointConf,
    pub server: Server,
    pub(super) connections: Vec<Connection>,
    pub(super) breaker: Breaker,
    pub(super) oversize: Oversize,
}

/// A lookup that may be asked.
#[derive(Clone, Copy)]
pub(super) struct Admitted {
    connection: usize,
    hash: u64,
}

/// What is asked.
pub(super) struct Asked<'a> {
    pub key: &'a [u8],
    pub waiter: Waiter,
    pub timeout: Duration,
    /// The command, where it is one that writes; else a GET.
    pub write: Option<Vec<u8>>,
}

/// One connection, open or not.
pub(super) struct Connection {
    pub link: Link,
    pub peer: Option<Peer>,
    owner: Box<Owner>,
    pub backoff: Backoff,
    /// Why connecting failed last.
    failure: Reason,
    /// The address that is tried next.
    next_address: usize,
    /// Addresses that this attempt has not tried yet.
    untried: usize,
    /// When bytes came last, or a lookup was sent while none was in flight.
    pub progress: Instant,
    /// The address that it goes to is no longer one of the server: it takes nothing new.
    leaves: bool,
    at: Option<SockAddr>,
    /// For how long bytes may fail to come while a reply is awaited.
    patience: Duration,
}

impl Client {
    pub fn new(
        main: &'static MainConf,
        place: Place,
        conf: &'static EndpointConf,
        server: Server,
    ) -> Self {
        let connection = |number| Connection {
            link: if server.redirects { Link::with_redirects() } else { Link::default() },
            peer: None,
            owner: Box::new(Owner {
                main,
                place,
                connection: number,
                session: TlsSession::default(),
            }),
            backoff: Backoff::default(),
            failure: Reason::Refused,
            next_address: 0,
            untried: 0,
            progress: Instant::now(),
            leaves: false,
            at: None,
            patience: conf.connections.connect_timeout.max(ERRAND_PATIENCE),
        };
        Self {
            place,
            conf,
            connections: (0..server.connections).map(connection).collect(),
            server,
            breaker: Breaker::new(conf.connections.breaker),
            oversize: Oversize::default(),
        }
    }

    /// The place of the server.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether it is known that a lookup would not be answered now.
    pub fn is_out(&self, now: Instant) -> bool {
        let waits = |c: &Connection| c.link.is_down() && c.backoff.holds(now);
        self.breaker.is_open() || self.connections.iter().all(waits)
    }

    /// Lets a probe through, if the breaker wants one.
    pub fn look_after(&mut self, now: Instant, desk: &mut Desk) {
        if self.breaker.is_open() && self.breaker.admit(now) == Admission::Probe {
            self.run(Errand::new(Task::Ping, ""), desk);
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
    ) -> Result<Admitted, Reason> {
        if self.oversize.knows(key, max_size, now) {
            return Err(Reason::TooLarge);
        }
        self.route(key, now, desk)
    }

    /// Which connection takes a command on `key`, if one may be sent now.
    pub fn route(&mut self, key: &[u8], now: Instant, desk: &mut Desk) -> Result<Admitted, Reason> {
        match self.breaker.admit(now) {
            Admission::Ask => {}
            Admission::Refuse => return Err(Reason::Breaker),
            Admission::Probe => {
                self.run(Errand::new(Task::Ping, ""), desk);
                return Err(Reason::Breaker);
            }
        }
        let hash = hash_of(key);
        let number = usize::try_from(hash % self.connections.len().max(1) as u64).unwrap_or(0);
        let connection = self.connections.get(number).ok_or(Reason::Internal)?;
        if connection.link.is_down() && connection.backoff.holds(now) {
            return Err(connection.failure);
        }
        Ok(Admitted { connection: number, hash })
    }

    /// Takes a lookup, or a command that writes, to be sent at the end of this turn.
    pub fn ask(&mut self, admitted: Admitted, query: Asked<'_>, desk: &mut Desk, memory: &Memory) {
        let Admitted { connection: number, hash } = admitted;
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Asked { key, waiter, timeout, write } = query;
        connection.patience = timeout;
        match write {
            Some(command) => connection.link.enqueue_write(key, hash, waiter, command),
            None => connection.link.enqueue(key, hash, waiter),
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
            Err(reason) => refuse(&[query], reason, desk),
        }
    }

    /// Runs an errand, on the first connection; no request waits for it.
    pub fn run(&mut self, errand: Errand, desk: &mut Desk) {
        let Some(connection) = self.connections.first_mut() else { return };
        connection.link.run(errand);
        desk.flush_later(self.place, 0);
    }

    /// Connects to the first address of the server that answers.
    fn connect(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        if let Some(connection) = self.connections.get_mut(number) {
            connection.untried = self.server.at.len();
        }
        self.connect_to_next(number, desk, memory);
    }

    fn connect_to_next(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let addresses = &self.server.at;
        let address = addresses.get(connection.next_address % addresses.len().max(1));
        connection.untried = connection.untried.saturating_sub(1);
        connection.leaves = false;
        connection.at = address.cloned();
        let peer = address.and_then(|address| Peer::connect(address, &mut connection.owner));
        let Some(peer) = peer else {
            self.fail(number, Reason::Refused, desk, memory);
            return;
        };
        connection.link.connecting();
        peer.set_connect_timer(self.conf.connections.connect_timeout);
        let connected = peer.is_connected();
        connection.peer = Some(peer);
        if connected {
            self.introduce(number, desk, memory);
        }
    }

    /// The connection is made; where the endpoint has TLS, its handshake comes first.
    fn introduce(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let tls = match (&mut connection.peer, &self.conf.tls) {
            (Some(peer), Some(_)) if peer.has_tls() => peer.tls_outcome(),
            (Some(peer), Some(context)) => {
                peer.start_tls(context, self.conf.tls_name(&self.server.address))
            }
            _ => TlsProgress::Done,
        };
        match tls {
            TlsProgress::Done => {}
            TlsProgress::Later => return,
            TlsProgress::Failed(reason) => return self.fail(number, reason, desk, memory),
        }
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.link.connected(&self.server.greeting);
        self.write(number, desk, memory);
    }

    /// Sends the lookups of this turn, as many as the window allows.
    pub fn flush(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.link.is_down() {
            if !connection.link.is_idle() {
                self.connect(number, desk, memory);
            }
            return;
        }
        if connection.leaves && !connection.link.awaits_reply() {
            self.leave(number, desk, memory);
            return;
        }
        if !connection.link.is_ready() || connection.leaves {
            return;
        }
        let was_quiet = !connection.link.awaits_reply();
        connection.link.pump(|ticket| desk.lot.holds(ticket));
        if was_quiet && connection.link.awaits_reply() {
            connection.progress = Instant::now();
            if let Some(peer) = &connection.peer {
                peer.set_idle(false);
                peer.watch(connection.patience);
            }
        }
        self.write(number, desk, memory);
    }

    /// Ends a connection to an address that is no longer one of the server.
    fn leave(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.close();
        if !connection.link.is_idle() {
            self.connect(number, desk, memory);
        }
    }

    fn write(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(peer) = &connection.peer else { return };
        let link = &mut connection.link;
        while !link.to_write().is_empty() {
            match peer.send(link.to_write()) {
                Progress::Bytes(count) => link.wrote(count),
                Progress::Later => return,
                Progress::End => {
                    let reason = peer.end_reason();
                    self.fail(number, reason, desk, memory);
                    return;
                }
            }
        }
    }

    /// nginx says that the connection may be written to: it is made, or takes more bytes.
    pub fn on_write(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(peer) = &connection.peer else { return };
        if peer.connecting_timed_out() {
            self.fail(number, Reason::Timeout, desk, memory);
        } else if connection.link.is_connecting() {
            if peer.connect_failed() {
                self.fail(number, Reason::Refused, desk, memory);
            } else {
                self.introduce(number, desk, memory);
            }
        } else {
            self.write(number, desk, memory);
        }
    }

    /// nginx says that there is something to read, that the watch is over, or that the worker is
    /// exiting.
    pub fn on_read(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(peer) = &connection.peer else { return };
        if peer.is_told_to_close() {
            connection.close();
            return;
        }
        if connection.link.is_connecting() {
            if peer.connect_failed() {
                self.fail(number, Reason::Refused, desk, memory);
            }
            return;
        }
        if peer.watch_is_over() {
            let silence = connection.progress.elapsed();
            if connection.link.awaits_reply() && silence >= connection.patience {
                self.fail(number, Reason::Timeout, desk, memory);
                return;
            }
            if connection.link.awaits_reply() {
                peer.watch(connection.patience.saturating_sub(silence));
            }
        }
        self.read(number, desk, memory);
    }

    fn read(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let mut read = 0;
        loop {
            let Some(connection) = self.connections.get_mut(number) else { return };
            let Some(peer) = &connection.peer else { return };
            if read >= READ_A_TURN {
                peer.read_on_in_next_turn();
                break;
            }
            let failure = match peer.receive(connection.link.space()) {
                Progress::Bytes(count) => {
                    read += count;
                    connection.progress = Instant::now();
                    self.take_replies(number, desk, memory).err()
                }
                Progress::Later => break,
                Progress::End => Some(peer.end_reason()),
            };
            if let Some(reason) = failure {
                self.fail(number, reason, desk, memory);
                return;
            }
        }
        self.rest(number, desk);
    }

    /// What is left to do after reading: send what the window now allows, or rest.
    fn rest(&mut self, number: usize, desk: &mut Desk) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.link.has_unsent() || connection.leaves {
            desk.flush_later(self.place, number);
        } else if connection.link.is_ready() && connection.link.is_idle() {
            if Peer::worker_is_exiting() {
                connection.close();
            } else if let Some(peer) = &connection.peer {
                peer.set_idle(true);
            }
        }
    }

    /// The connection came to an end. Lookups in flight on a connection that had worked are worth
    /// one more; with one that could not be made, everything fails.
    fn fail(&mut self, number: usize, reason: Reason, desk: &mut Desk, memory: &Memory) {
        let now = Instant::now();
        let Some(connection) = self.connections.get_mut(number) else { return };
        let was_ready = connection.link.is_ready();
        if !was_ready {
            connection.next_address = connection.next_address.wrapping_add(1);
            if connection.untried > 0 && reason == Reason::Refused {
                connection.close_peer();
                self.connect_to_next(number, desk, memory);
                return;
            }
        }
        let proved = connection.link.has_proved_itself();
        connection.close_peer();
        let head_is_lost = matches!(reason, Reason::Protocol | Reason::TooLarge);
        let remains = connection.link.end(head_is_lost);
        connection.failure = reason;
        let all_retried = was_ready && remains.lost.is_empty();
        let harmless =
            reason == Reason::TooLarge || (reason == Reason::Closed && (all_retried || proved));
        if !harmless {
            self.breaker.fault(now);
        }
        if !was_ready {
            connection.backoff.failed(now, Peer::random());
        }
        if reason == Reason::TooLarge {
            for query in remains.lost.iter().filter(|query| !query.writes()) {
                self.oversize.remember(&query.key, query.max_size(), now);
            }
        }
        desk.report(self.place, Report::Trouble);
        refuse(&remains.lost, reason, desk);
        if was_ready && reason != Reason::Timeout {
            connection.link.retry(remains.retry);
            if !connection.link.is_idle() {
                self.connect(number, desk, memory);
            }
        } else {
            refuse(&remains.retry, reason, desk);
            refuse(&connection.link.take_unsent(), reason, desk);
        }
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
            refuse(&remains.lost, Reason::Closed, desk);
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

impl Connection {
    fn close_peer(&mut self) {
        if let Some(peer) = self.peer.take() {
            peer.close();
        }
    }

    /// Ends a connection on which nothing is awaited.
    fn close(&mut self) {
        self.close_peer();
        self.link.end(false);
    }
}
