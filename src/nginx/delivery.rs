//! A reply to everybody who waits for it.

use std::time::Instant;

use super::memory::{Held, Memory};
use super::worker::{Answer, Desk};
use crate::reason::Reason;
use crate::redis::error_reply;
use crate::redis::link::{Query, Waiter};
use crate::redis::oversize::Oversize;
use crate::redis::reader::Frame;

/// Gives the same reason to everybody who waits.
pub(super) fn refuse(queries: &[Query], reason: Reason, desk: &mut Desk) {
    for waiter in queries.iter().flat_map(Query::waiters) {
        desk.deposit(waiter.ticket, Answer::Fault(reason));
    }
}

/// Gives a reply to everybody who waits for it. A fault that it stands for is returned.
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
                true => Answer::Value(held),
                false => Answer::Fault(Reason::TooLarge),
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
            let reason = error_reply::reason(&code, &text);
            refuse(std::slice::from_ref(query), reason, desk);
            Some(reason)
        }
        Frame::Nil => {
            for waiter in query.waiters() {
                desk.deposit(waiter.ticket, Answer::Nil);
            }
            None
        }
        Frame::Other if query.writes() => {
            desk.deposit(query.first().ticket, Answer::Done);
            None
        }
        Frame::Other | Frame::Push => {
            refuse(std::slice::from_ref(query), Reason::Protocol, desk);
            Some(Reason::Protocol)
        }
    }
}
