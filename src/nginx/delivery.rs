//! Replies as they come off a connection, each to everybody who waits for it.

use std::time::Instant;

use super::client::Client;
use super::desk::{Desk, Found, Report};
use super::memory::{Held, Memory};
use super::socket::Peer;
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::backoff::Backoff;
use crate::redis::error_reply;
use crate::redis::link::Event;
use crate::redis::oversize::Oversize;
use crate::redis::query::{Query, Route, Waiter};
use crate::redis::reader::{Admit, Frame};

impl Client {
    /// Takes the replies that were read on a connection; an error is the end of it.
    pub(super) fn take_replies(
        &mut self,
        number: usize,
        desk: &mut Desk,
        memory: &Memory,
    ) -> Result<(), Fault> {
        let place = self.place;
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
                desk.deposit(waiter.ticket, Found::Fault(reason.into()));
            }
            match next {
                None => return Ok(()),
                Some(Event::Push(_)) => desk.report(place, Report::Push),
                Some(Event::Ready(handshake)) => {
                    self.server.introduced(&handshake);
                    connection.backoff.succeeded();
                    if let Some(peer) = &connection.peer {
                        peer.clear_connect_timer();
                    }
                    desk.flush_later(place, number);
                }
                Some(Event::Errand(task, frame)) => {
                    match &frame {
                        Frame::Error(code, text)
                            if error_reply::reason(code, text).is_connection_fault() =>
                        {
                            self.breaker.fault(Instant::now());
                        }
                        _ => self.breaker.success(),
                    }
                    desk.report(place, Report::Errand(task, frame));
                }
                Some(Event::Reply(query, Frame::Error(code, text)))
                    if self.server.redirects
                        && query.route == Route::Direct
                        && is_elsewhere(&code) =>
                {
                    self.breaker.success();
                    desk.report(place, Report::Elsewhere(query, code, text));
                }
                Some(Event::Reply(query, frame)) => {
                    let oversize = &mut self.oversize;
                    let reason = deliver(&query, frame, oversize, desk, memory);
                    match reason {
                        Some(reason) if reason.is_connection_fault() => {
                            self.breaker.fault(Instant::now());
                        }
                        _ => self.breaker.success(),
                    }
                    if query.invalidates() {
                        self.debts = match reason.is_some_and(|reason| !reason.is_final()) {
                            true => {
                                connection.link.owe(vec![query]);
                                desk.events.tick_soon();
                                self.debts.after_failure(Instant::now(), Peer::random())
                            }
                            false => {
                                connection.link.pay(true);
                                desk.flush_later(place, number);
                                Backoff::default()
                            }
                        };
                    }
                    if reason.is_some_and(is_misplaced) {
                        desk.report(place, Report::Trouble);
                    }
                }
            }
        }
    }
}

/// Whether an error reply of a cluster names the server that has the key.
fn is_elsewhere(code: &str) -> bool {
    matches!(code, "MOVED" | "ASK")
}

/// Whether a server that answers so is not what it was held for.
fn is_misplaced(reason: Reason) -> bool {
    matches!(reason, Reason::ReadOnly | Reason::MasterDown | Reason::Moved | Reason::Loading)
}

/// Gives the same fault to everybody who waits.
pub(super) fn refuse(queries: &[Query], fault: &Fault, desk: &mut Desk) {
    for waiter in queries.iter().flat_map(Query::waiters) {
        desk.deposit(waiter.ticket, Found::Fault(fault.clone()));
    }
}

/// Gives a reply to everybody who waits for it. The reason of a fault that it stands for is returned.
pub(super) fn deliver(
    query: &Query,
    frame: Frame,
    oversize: &mut Oversize,
    desk: &mut Desk,
    memory: &Memory,
) -> Option<Reason> {
    match frame {
        Frame::Value(value) => {
            let size = value.len();
            let held = memory.hold(value);
            let answer = |waiter: Waiter, held: Held| match size <= waiter.max_size {
                true => Found::Held(held),
                false => Found::Fault(Reason::TooLarge.into()),
            };
            for &waiter in query.others() {
                desk.deposit(waiter.ticket, answer(waiter, held.clone()));
            }
            desk.deposit(query.first().ticket, answer(query.first(), held));
            None
        }
        Frame::Skipped(size) => {
            if size > query.max_size() {
                oversize.remember(&query.key, query.max_size(), Instant::now());
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
