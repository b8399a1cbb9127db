//! One connection of a client: connecting, the handshake, writing, reading, and its end.

use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::client::Server;
use super::delivery::refuse;
use super::desk::Report;
use super::{Events, Level, Place, Progress, Socket, System, TlsProgress, Turn};
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::link::Link;
use crate::redis::query::Query;

/// What is read from one connection in a turn, in bytes: others get their turn too.
const READ_A_TURN: usize = 1 << 20;

/// One connection, open or not.
pub struct Connection<S: System> {
    /// What is asked on it.
    pub link: Link,
    pub(super) place: Place,
    pub(super) number: usize,
    pub(super) socket: Option<S::Socket>,
    owner: Box<S::Owner>,
    /// How long it is not made anew.
    pub backoff: Backoff,
    /// Why connecting failed last.
    pub failure: Fault,
    /// The address that is tried next.
    next_address: usize,
    /// Addresses that this attempt has not tried yet.
    untried: usize,
    /// When bytes came last, or a lookup was sent while none was in flight.
    progress: Instant,
    /// The address that it goes to.
    pub(super) at: Option<SockAddr>,
    /// That is no longer an address of the server, or HELLO may be known there by now: it takes
    /// nothing new.
    pub(super) leaves: bool,
    /// For how long bytes may fail to come while a reply is awaited: the longest time budget of
    /// those that wait.
    patience: Duration,
}

impl<S: System> Connection<S> {
    /// One that is not open. The reply to an errand is awaited for `patience`.
    pub fn new(
        link: Link,
        (place, number): (Place, usize),
        owner: S::Owner,
        patience: Duration,
        now: Instant,
    ) -> Self {
        Self {
            link,
            place,
            number,
            socket: None,
            owner: Box::new(owner),
            backoff: Backoff::default(),
            failure: Reason::Refused.into(),
            next_address: 0,
            untried: 0,
            progress: now,
            leaves: false,
            at: None,
            patience,
        }
    }

    /// Something waits whose time budget is `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) {
        let others_wait = self.link.awaits_reply() || self.link.has_unsent();
        self.patience = if others_wait { self.patience.max(timeout) } else { timeout };
    }

    /// Sees to it that what was asked is sent: at the end of this turn, or once it is connected.
    pub(super) fn send_soon(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        if self.link.is_down() {
            self.connect(server, turn);
        } else {
            turn.desk.flush_later(self.place, self.number);
        }
    }

    /// Connects to the first address of the server that answers.
    fn connect(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        self.untried = server.at.len();
        let begun = self.connect_to_next(server, turn);
        self.end_if(begun, server, turn);
    }

    fn connect_to_next(
        &mut self,
        server: &mut Server,
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Fault> {
        let address = server.at.get(self.next_address % server.at.len().max(1));
        self.untried = self.untried.saturating_sub(1);
        self.leaves = false;
        self.at = address.cloned();
        let address = address.ok_or(Reason::Refused)?;
        let socket = turn.system.connect(address, &mut self.owner)?;
        self.link.connecting();
        socket.set_connect_timer(turn.system.connections().connect_timeout);
        let is_connected = socket.is_connected();
        self.socket = Some(socket);
        if is_connected { self.introduce(server, turn) } else { Ok(()) }
    }

    /// The connection is made; where the endpoint has TLS, its handshake comes first.
    fn introduce(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) -> Result<(), Fault> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        match socket.secure(&server.address) {
            TlsProgress::Done => {}
            TlsProgress::Later => return Ok(()),
            TlsProgress::Failed(fault) => return Err(fault),
        }
        self.link.connected(&server.greeting, server.hello.is_said(turn.now));
        self.write()
    }

    /// Sends the lookups of this turn, as many as the window allows.
    pub fn flush(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        if self.link.is_down() {
            if !self.link.is_idle() || self.link.owes() {
                self.connect(server, turn);
            }
            return;
        }
        if self.link.is_ready() && !self.link.speaks_resp3() {
            self.leaves |= server.hello.is_said(turn.now);
        }
        if self.leaves && !self.link.awaits_reply() {
            self.leave(server, turn);
        } else if self.link.is_ready() && !self.leaves {
            let was_quiet = !self.link.awaits_reply();
            self.link.pump(|ticket| turn.desk.lot.holds(ticket));
            if was_quiet && self.link.awaits_reply() {
                self.progress = turn.now;
                if let Some(socket) = &self.socket {
                    socket.set_idle(false);
                    socket.watch(self.patience);
                }
            }
            let written = self.write();
            self.end_if(written, server, turn);
        }
    }

    /// Ends a connection that takes nothing new.
    fn leave(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        self.close();
        turn.desk.report(self.place, Report::Trouble);
        if !self.link.is_idle() {
            self.connect(server, turn);
        }
    }

    fn write(&mut self) -> Result<(), Fault> {
        let Some(socket) = &self.socket else { return Ok(()) };
        while !self.link.to_write().is_empty() {
            match socket.send(self.link.to_write()) {
                Progress::Bytes(count) => self.link.wrote(count),
                Progress::Later => return Ok(()),
                Progress::End => return Err(socket.end()),
            }
        }
        Ok(())
    }

    /// The socket may be written to: it is made, or takes more bytes.
    pub fn on_write(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        let Some(socket) = &self.socket else { return };
        let done = if socket.connecting_timed_out() {
            Err(Reason::Timeout.into())
        } else if self.link.is_connecting() {
            match socket.connect_failure() {
                Some(fault) => Err(fault),
                None => self.introduce(server, turn),
            }
        } else {
            self.write()
        };
        self.end_if(done, server, turn);
    }

    /// There is something to read, the watch is over, or the worker is exiting.
    pub fn on_read(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) {
        let Some(socket) = &self.socket else { return };
        if socket.is_told_to_close() {
            return self.close();
        }
        let done = if self.link.is_connecting() {
            socket.connect_failure().map_or(Ok(()), Err)
        } else if socket.watch_is_over() && self.is_silent(turn.now) {
            Err(Reason::Timeout.into())
        } else {
            // A handshake goes on by what it has heard.
            self.read(server, turn).and_then(|()| self.write()).map(|()| self.rest(turn))
        };
        self.end_if(done, server, turn);
    }

    /// Whether bytes failed to come for too long; if not, the watch goes on.
    fn is_silent(&self, now: Instant) -> bool {
        if !self.link.awaits_reply() {
            return false;
        }
        let silence = now.saturating_duration_since(self.progress);
        if silence < self.patience {
            if let Some(socket) = &self.socket {
                socket.watch(self.patience.saturating_sub(silence));
            }
        }
        silence >= self.patience
    }

    fn read(&mut self, server: &mut Server, turn: &mut Turn<'_, S>) -> Result<(), Fault> {
        let mut read = 0;
        while let Some(socket) = &self.socket {
            if read >= READ_A_TURN {
                socket.read_on_in_next_turn();
                break;
            }
            match socket.receive(self.link.space()) {
                Progress::Bytes(count) => {
                    read += count;
                    self.progress = turn.now;
                    self.take_replies(server, turn)?;
                }
                Progress::Later => break,
                Progress::End => return Err(socket.end()),
            }
        }
        Ok(())
    }

    /// What is left to do after reading: send what the window now allows, or rest.
    fn rest(&mut self, turn: &mut Turn<'_, S>) {
        if self.link.has_unsent() || self.leaves {
            turn.desk.flush_later(self.place, self.number);
        } else if self.link.is_ready() && self.link.is_idle() {
            if turn.system.is_exiting() {
                self.close();
            } else if let Some(socket) = &self.socket {
                socket.set_idle(true);
            }
        }
    }

    fn end_if(&mut self, done: Result<(), Fault>, server: &mut Server, turn: &mut Turn<'_, S>) {
        if let Err(fault) = done {
            self.end(fault, server, turn);
        }
    }

    /// The connection came to an end. Lookups in flight on a connection that had worked are worth
    /// one more; with one that could not be made, everything fails.
    fn end(&mut self, fault: Fault, server: &mut Server, turn: &mut Turn<'_, S>) {
        let was_ready = self.link.is_ready();
        let fault = if was_ready {
            fault
        } else {
            match self.try_on(fault, server, turn) {
                Some(fault) => fault,
                None => return,
            }
        };
        let reason = fault.reason;
        turn.system.say(Level::Debug, &format!("a connection to {} ended: {reason}", server.name));
        let proved = self.link.has_proved_itself();
        self.close_socket();
        let head_is_lost = matches!(reason, Reason::Protocol | Reason::TooLarge);
        let remains = self.link.end(head_is_lost);
        self.failure = fault.clone();
        let all_retried = was_ready && remains.lost.is_empty();
        let harmless =
            reason == Reason::TooLarge || (reason == Reason::Closed && (all_retried || proved));
        if !harmless {
            server.breaker.fault(turn.now);
        }
        if !was_ready {
            self.backoff.failed(turn.now, turn.system.random());
        }
        if reason == Reason::TooLarge {
            for query in remains.lost.iter().filter(|query| !query.writes()) {
                server.oversize.remember(&query.key, query.max_size(), turn.now);
            }
        }
        turn.desk.report(self.place, Report::Trouble);
        self.give_up(remains.lost, &fault, turn);
        if was_ready && reason != Reason::Timeout {
            self.link.retry(remains.retry);
            if !self.link.is_idle() {
                self.connect(server, turn);
            }
        } else {
            self.give_up(remains.retry, &fault, turn);
            let unsent = self.link.take_unsent();
            self.give_up(unsent, &fault, turn);
        }
    }

    /// A connection could not be made, or not introduced: without HELLO or to another address it
    /// may be. Returns the fault where there is nothing more to try.
    fn try_on(
        &mut self,
        fault: Fault,
        server: &mut Server,
        turn: &mut Turn<'_, S>,
    ) -> Option<Fault> {
        let handshake = self.link.handshake();
        let without_hello = server.hello.failed(handshake, fault.reason, turn.now);
        let fault = handshake.map_or(fault.clone(), |handshake| handshake.ended(fault));
        if without_hello {
            self.untried += 1;
        } else {
            self.next_address = self.next_address.wrapping_add(1);
            if self.untried == 0 || fault.reason != Reason::Refused {
                return Some(fault);
            }
        }
        self.close_socket();
        let begun = self.connect_to_next(server, turn);
        self.end_if(begun, server, turn);
        None
    }

    /// Gives everybody the same fault who waits; what invalidates stays owed.
    fn give_up(&mut self, queries: Vec<Query>, fault: &Fault, turn: &mut Turn<'_, S>) {
        refuse(&queries, fault, turn.desk);
        self.link.owe(queries);
        if self.link.owes() {
            turn.desk.events.tick_soon();
        }
    }

    pub(super) fn close_socket(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close();
        }
    }

    /// Ends a connection on which nothing is awaited.
    pub fn close(&mut self) {
        self.close_socket();
        self.link.end(false);
    }
}
