//! Replies as they come off a connection, each to everybody who waits for it.

use super::client::Server;
use super::connection::Connection;
use super::desk::{Desk, Found, Report};
use super::memory::Held;
use super::{Events, Level, Socket, System, Turn};
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::error_reply::{self, Redirect};
use crate::redis::link::Event;
use crate::redis::query::{Query, Route, Waiter};
use crate::redis::reader::{Admit, Frame};

impl<S: System> Connection<S> {
    /// Takes the replies that were read; a fault is the end of the connection.
    pub(super) fn take_replies(
        &mut self,
        server: &mut Server,
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Fault> {
        let mut unserved = Vec::new();
        loop {
            let (desk, memory) = (&mut *turn.desk, turn.memory);
            let next = self.link.next(|query, size| {
                let wanted = |w: Waiter| w.max_size >= size && desk.lot.holds(w.ticket);
                if memory.has_room_for(size) && query.waiters().any(wanted) {
                    return Admit::Take;
                }
                unserved.extend(query.waiters().map(|waiter| (waiter, size)));
                Admit::Skip
            })?;
            // Nobody waits for the end of a value that is not kept.
            for (waiter, size) in unserved.drain(..) {
                let is_large = size > waiter.max_size;
                let reason = if is_large { Reason::TooLarge } else { Reason::Overload };
                desk.deposit(waiter.ticket, Found::Fault(reason.into()));
            }
            match next {
                None => return Ok(()),
                Some(event) => self.take(event, server, turn),
            }
        }
    }

    fn take(&mut self, event: Event, server: &mut Server, turn: &mut Turn<'_, S>) {
        match event {
            Event::Push(_) => turn.desk.report(self.place, Report::Push),
            Event::Ready(handshake) => {
                if let Some(news) = server.hello.succeeded(&handshake, &server.name, turn.now) {
                    turn.system.say(Level::Notice, &news);
                }
                self.backoff.succeeded();
                if let Some(socket) = &self.socket {
                    socket.clear_connect_timer();
                }
                turn.desk.flush_later(self.place, self.number);
            }
            Event::Errand(task, frame) => {
                let reason = match &frame {
                    Frame::Error(code, text) => Some(error_reply::reason(code, text)),
                    _ => None,
                };
                judge(reason, server, turn);
                turn.desk.report(self.place, Report::Errand(task, frame));
            }
            Event::Reply(query, frame) => {
                match redirect(&query, &frame).filter(|_| server.redirects) {
                    Some(redirect) => {
                        server.breaker.success();
                        turn.desk.report(self.place, Report::Elsewhere(query, redirect));
                    }
                    None => self.take_reply(query, frame, server, turn),
                }
            }
        }
    }

    fn take_reply(
        &mut self,
        query: Query,
        frame: Frame,
        server: &mut Server,
        turn: &mut Turn<'_, S>,
    ) {
        let reason = deliver(&query, frame, server, turn);
        judge(reason, server, turn);
        if query.invalidates() {
            let is_refused = reason.is_some_and(|reason| !reason.is_final());
            server.debts = if is_refused {
                self.link.owe(vec![query]);
                turn.desk.events.tick_soon();
                server.debts.after_failure(turn.now, turn.system.random())
            } else {
                self.link.pay(true);
                turn.desk.flush_later(self.place, self.number);
                Backoff::default()
            };
        }
        if reason.is_some_and(is_misplaced) {
            turn.desk.report(self.place, Report::Trouble);
        }
    }
}

/// A reply came: what it says of the connection to the server.
fn judge<S: System>(reason: Option<Reason>, server: &mut Server, turn: &Turn<'_, S>) {
    match reason {
        Some(reason) if reason.is_connection_fault() => {
            server.breaker.fault(turn.now);
        }
        _ => server.breaker.success(),
    }
}

/// Where a server of a cluster sends a query that has not been sent on yet.
fn redirect(query: &Query, frame: &Frame) -> Option<Redirect> {
    match frame {
        Frame::Error(code, text) if query.route == Route::Direct => Redirect::parse(code, text),
        _ => None,
    }
}

/// Whether a server that answers so is not what it was held for.
fn is_misplaced(reason: Reason) -> bool {
    matches!(reason, Reason::ReadOnly | Reason::MasterDown | Reason::Moved | Reason::Loading)
}

/// Gives the same fault to everybody who waits.
pub(super) fn refuse<S: System>(queries: &[Query], fault: &Fault, desk: &mut Desk<S>) {
    for waiter in queries.iter().flat_map(Query::waiters) {
        desk.deposit(waiter.ticket, Found::Fault(fault.clone()));
    }
}

/// Gives a reply to everybody who waits for it. The reason of a fault that it stands for is returned.
fn deliver<S: System>(
    query: &Query,
    frame: Frame,
    server: &mut Server,
    turn: &mut Turn<'_, S>,
) -> Option<Reason> {
    let desk = &mut *turn.desk;
    match frame {
        Frame::Value(value) => {
            let size = value.len();
            let held = turn.memory.hold(value);
            let found = |waiter: Waiter, held: Held| match size <= waiter.max_size {
                true => Found::Held(held),
                false => Found::Fault(Reason::TooLarge.into()),
            };
            for &waiter in query.others() {
                desk.deposit(waiter.ticket, found(waiter, held.clone()));
            }
            desk.deposit(query.first().ticket, found(query.first(), held));
            None
        }
        Frame::Skipped(size) => {
            if size > query.max_size() {
                server.oversize.remember(&query.key, query.max_size(), turn.now);
            }
            None
        }
        Frame::Error(code, text) => {
            let fault = error_reply::fault(&code, &text, &[&query.key]);
            refuse(std::slice::from_ref(query), &fault, desk);
            Some(fault.reason)
        }
        Frame::Nil => {
            for waiter in query.waiters() {
                desk.deposit(waiter.ticket, Found::Nil);
            }
            None
        }
        Frame::Other(_) if query.writes() => {
            desk.deposit(query.first().ticket, Found::Done);
            None
        }
        Frame::Other(_) | Frame::Push(_) => {
            refuse(std::slice::from_ref(query), &Reason::Protocol.into(), desk);
            Some(Reason::Protocol)
        }
    }
}
