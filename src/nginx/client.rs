//! The event engine: the connections of one worker to one endpoint, on nginx's event loop. What
//! to write and what a reply means is [`Link`]'s; this connects, reads, writes and times.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::conf::{EndpointConf, MainConf};
use super::delivery::{deliver, refuse};
use super::memory::Memory;
use super::socket::{Owner, Peer, Progress};
use super::tls::{TlsProgress, TlsSession};
use super::worker::{Answer, Desk};
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::breaker::{Admission, Breaker};
use crate::redis::endpoint::ServerAddr;
use crate::redis::link::{Event, Link, Waiter};
use crate::redis::oversize::Oversize;
use crate::redis::reader::{Admit, Frame};

/// What is read from one connection in a turn, in bytes: others get their turn too.
const READ_A_TURN: usize = 1 << 20;

/// The connections of one worker to one endpoint.
pub(super) struct Client {
    at: usize,
    conf: &'static EndpointConf,
    addresses: Vec<SockAddr>,
    connections: Vec<Connection>,
    breaker: Breaker,
    oversize: Oversize,
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
struct Connection {
    link: Link,
    peer: Option<Peer>,
    owner: Box<Owner>,
    backoff: Backoff,
    /// Why connecting failed last.
    failure: Reason,
    /// The address that is tried next.
    next_address: usize,
    /// Addresses that this attempt has not tried yet.
    untried: usize,
    /// A sign of life is wanted as soon as the connection is ready.
    probes: bool,
    /// When bytes came last, or a lookup was sent while none was in flight.
    progress: Instant,
    /// For how long bytes may fail to come while a reply is awaited.
    patience: Duration,
}

impl Client {
    pub fn new(main: &'static MainConf, at: usize, conf: &'static EndpointConf) -> Self {
        let connection = |number| Connection {
            link: Link::default(),
            peer: None,
            owner: Box::new(Owner {
                main,
                endpoint: at,
                connection: number,
                session: TlsSession::default(),
            }),
            backoff: Backoff::default(),
            failure: Reason::Refused,
            next_address: 0,
            untried: 0,
            probes: false,
            progress: Instant::now(),
            patience: conf.connections.connect_timeout,
        };
        let address = |address: &ServerAddr| match address {
            ServerAddr::Tcp(address) => Some(SockAddr::from(*address)),
            ServerAddr::Unix(path) => SockAddr::unix(path).ok(),
        };
        Self {
            at,
            conf,
            addresses: conf.addresses.iter().filter_map(address).collect(),
            connections: (0..conf.connections.connections).map(connection).collect(),
            breaker: Breaker::new(conf.connections.breaker),
            oversize: Oversize::default(),
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
                self.probe(desk);
                return Err(Reason::Breaker);
            }
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
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
            desk.flush_later(self.at, number);
        }
    }

    /// Looks for a sign of life, on the first connection; no request waits for it.
    fn probe(&mut self, desk: &mut Desk) {
        let Some(connection) = self.connections.first_mut() else { return };
        connection.probes = true;
        desk.flush_later(self.at, 0);
    }

    /// Connects to the first address of the server that answers.
    fn connect(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        if let Some(connection) = self.connections.get_mut(number) {
            connection.untried = self.addresses.len();
        }
        self.connect_to_next(number, desk, memory);
    }

    fn connect_to_next(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let address = self.addresses.get(connection.next_address % self.addresses.len().max(1));
        connection.untried = connection.untried.saturating_sub(1);
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
            (Some(peer), Some(context)) => peer.start_tls(context, self.conf.tls_name()),
            _ => TlsProgress::Done,
        };
        match tls {
            TlsProgress::Done => {}
            TlsProgress::Later => return,
            TlsProgress::Failed(reason) => return self.fail(number, reason, desk, memory),
        }
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.link.connected(&self.conf.connections.endpoint);
        self.write(number, desk, memory);
    }

    /// Sends the lookups of this turn, as many as the window allows.
    pub fn flush(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.link.is_down() {
            if connection.probes || !connection.link.is_idle() {
                self.connect(number, desk, memory);
            }
            return;
        }
        if !connection.link.is_ready() {
            return;
        }
        let was_quiet = !connection.link.awaits_reply();
        if std::mem::take(&mut connection.probes) {
            connection.link.ping();
        }
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
        if connection.link.has_unsent() {
            desk.flush_later(self.at, number);
        } else if connection.link.is_ready() && connection.link.is_idle() {
            if Peer::worker_is_exiting() {
                connection.close();
            } else if let Some(peer) = &connection.peer {
                peer.set_idle(true);
            }
        }
    }

    fn take_replies(
        &mut self,
        number: usize,
        desk: &mut Desk,
        memory: &Memory,
    ) -> Result<(), Reason> {
        let Some(connection) = self.connections.get_mut(number) else { return Ok(()) };
        let mut unserved = Vec::new();
        loop {
            let next = connection.link.next(|query, size| {
                let wanted = |w: Waiter| w.max_size >= size && desk.lot.holds(w.ticket);
                if memory.has_room_for(size) && query.waiters().any(wanted) {
                    return Admit::Take;
                }
                unserved.extend(query.waiters().map(|waiter| (waiter, size)));
                Admit::Skip
            })?;
            // Nobody waits for the end of a value that is not kept.
            for (waiter, size) in unserved.drain(..) {
                let reason =
                    if size > waiter.max_size { Reason::TooLarge } else { Reason::Overload };
                desk.deposit(waiter.ticket, Answer::Fault(reason));
            }
            match next {
                None => return Ok(()),
                Some(Event::Ready) => {
                    connection.backoff.succeeded();
                    if let Some(peer) = &connection.peer {
                        peer.clear_connect_timer();
                    }
                    desk.flush_later(self.at, number);
                }
                Some(Event::Pong(Frame::Error(..))) => {
                    self.breaker.fault(Instant::now());
                }
                Some(Event::Pong(_)) => self.breaker.success(),
                Some(Event::Reply(query, frame)) => {
                    let oversize = &mut self.oversize;
                    match deliver(&query, frame, oversize, desk, memory) {
                        Some(reason) if reason.is_connection_fault() => {
                            self.breaker.fault(Instant::now());
                        }
                        _ => self.breaker.success(),
                    }
                }
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
