//! One connection of a client: connecting, the handshake, writing, reading, and its end.

use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::client::Client;
use super::delivery::refuse;
use super::desk::{Desk, Report};
use super::memory::Memory;
use super::socket::{Owner, Peer, Progress};
use super::tls::TlsProgress;
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::link::Link;
use crate::redis::query::Query;

/// What is read from one connection in a turn, in bytes: others get their turn too.
const READ_A_TURN: usize = 1 << 20;

/// One connection, open or not.
pub(super) struct Connection {
    pub link: Link,
    pub peer: Option<Peer>,
    owner: Box<Owner>,
    pub backoff: Backoff,
    /// Why connecting failed last.
    pub failure: Fault,
    /// The address that is tried next.
    next_address: usize,
    /// Addresses that this attempt has not tried yet.
    untried: usize,
    /// When bytes came last, or a lookup was sent while none was in flight.
    pub progress: Instant,
    /// The address that it goes to.
    pub at: Option<SockAddr>,
    /// That is no longer an address of the server, or HELLO may be known there by now: it takes
    /// nothing new.
    pub leaves: bool,
    /// For how long bytes may fail to come while a reply is awaited.
    pub patience: Duration,
}

impl Connection {
    /// One that is not open.
    pub fn new(link: Link, owner: Owner, patience: Duration) -> Self {
        Self {
            link,
            peer: None,
            owner: Box::new(owner),
            backoff: Backoff::default(),
            failure: Reason::Refused.into(),
            next_address: 0,
            untried: 0,
            progress: Instant::now(),
            leaves: false,
            at: None,
            patience,
        }
    }
}

impl Client {
    /// Connects to the first address of the server that answers.
    pub(super) fn connect(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
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
        let peer = match address {
            Some(address) => Peer::connect(address, &mut connection.owner),
            None => Err(Reason::Refused.into()),
        };
        let peer = match peer {
            Ok(peer) => peer,
            Err(fault) => return self.fail(number, fault, desk, memory),
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
            (Some(peer), Some(_)) if peer.has_tls() => peer.tls_progress(),
            (Some(peer), Some(context)) => {
                peer.start_tls(context, self.conf.tls_name(&self.server.address))
            }
            _ => TlsProgress::Done,
        };
        match tls {
            TlsProgress::Done => {}
            TlsProgress::Later => return,
            TlsProgress::Failed(fault) => return self.fail(number, fault, desk, memory),
        }
        let Some(connection) = self.connections.get_mut(number) else { return };
        let says_hello = self.server.hello.is_said(Instant::now());
        connection.link.connected(&self.server.greeting, says_hello);
        self.write(number, desk, memory);
    }

    /// Sends the lookups of this turn, as many as the window allows.
    pub fn flush(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.link.is_down() {
            if !connection.link.is_idle() || connection.link.owes() {
                self.connect(number, desk, memory);
            }
            return;
        }
        if connection.link.is_ready() && !connection.link.speaks_resp3() {
            connection.leaves |= self.server.hello.is_said(Instant::now());
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

    /// Ends a connection that takes nothing new.
    fn leave(&mut self, number: usize, desk: &mut Desk, memory: &Memory) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.close();
        desk.report(self.place, Report::Trouble);
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
                    let fault = peer.end();
                    self.fail(number, fault, desk, memory);
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
            self.fail(number, Reason::Timeout.into(), desk, memory);
        } else if connection.link.is_connecting() {
            match peer.connect_failure() {
                Some(fault) => self.fail(number, fault, desk, memory),
                None => self.introduce(number, desk, memory),
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
            if let Some(fault) = peer.connect_failure() {
                self.fail(number, fault, desk, memory);
            }
            return;
        }
        if peer.watch_is_over() {
            let silence = connection.progress.elapsed();
            if connection.link.awaits_reply() && silence >= connection.patience {
                self.fail(number, Reason::Timeout.into(), desk, memory);
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
                Progress::End => Some(peer.end()),
            };
            if let Some(fault) = failure {
                self.fail(number, fault, desk, memory);
                return;
            }
        }
        // A handshake goes on by what it has heard.
        self.write(number, desk, memory);
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
    fn fail(&mut self, number: usize, fault: Fault, desk: &mut Desk, memory: &Memory) {
        let now = Instant::now();
        let Some(connection) = self.connections.get_mut(number) else { return };
        let was_ready = connection.link.is_ready();
        let fault = if was_ready {
            fault
        } else {
            match self.try_on(number, fault, now, desk, memory) {
                Some(fault) => fault,
                None => return,
            }
        };
        let Some(connection) = self.connections.get_mut(number) else { return };
        let reason = fault.reason;
        let proved = connection.link.has_proved_itself();
        connection.close_peer();
        let head_is_lost = matches!(reason, Reason::Protocol | Reason::TooLarge);
        let remains = connection.link.end(head_is_lost);
        connection.failure = fault.clone();
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
        connection.give_up(remains.lost, &fault, desk);
        if was_ready && reason != Reason::Timeout {
            connection.link.retry(remains.retry);
            if !connection.link.is_idle() {
                self.connect(number, desk, memory);
            }
        } else {
            connection.give_up(remains.retry, &fault, desk);
            let unsent = connection.link.take_unsent();
            connection.give_up(unsent, &fault, desk);
        }
    }

    /// A connection could not be made, or not introduced: without HELLO or to another address it
    /// may be. Returns the fault where there is nothing more to try.
    fn try_on(
        &mut self,
        number: usize,
        fault: Fault,
        now: Instant,
        desk: &mut Desk,
        memory: &Memory,
    ) -> Option<Fault> {
        let connection = self.connections.get_mut(number)?;
        let handshake = connection.link.handshake();
        let without_hello = self.server.hello.failed(handshake, fault.reason, now);
        let fault = handshake.map_or(fault.clone(), |handshake| handshake.ended(fault));
        if without_hello {
            connection.untried += 1;
        } else {
            connection.next_address = connection.next_address.wrapping_add(1);
            if connection.untried == 0 || fault.reason != Reason::Refused {
                return Some(fault);
            }
        }
        connection.close_peer();
        self.connect_to_next(number, desk, memory);
        None
    }
}

impl Connection {
    /// Gives everybody the same reason who waits; what invalidates stays owed.
    fn give_up(&mut self, queries: Vec<Query>, fault: &Fault, desk: &mut Desk) {
        refuse(&queries, fault, desk);
        self.link.owe(queries);
        if self.link.owes() {
            desk.events.tick_soon();
        }
    }

    pub fn close_peer(&mut self) {
        if let Some(peer) = self.peer.take() {
            peer.close();
        }
    }

    /// Ends a connection on which nothing is awaited.
    pub fn close(&mut self) {
        self.close_peer();
        self.link.end(false);
    }
}
