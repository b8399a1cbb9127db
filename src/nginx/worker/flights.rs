//! The flights of this worker: requests that wait for a page which another one fetches.

use std::time::{Duration, Instant};

use super::parked::Parked;
use crate::config::Lock;
use crate::engine::Events as _;
use crate::engine::desk::Found;
use crate::flight::{Landing, Leader};
use crate::nginx::conf::MainConf;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::parking::Ticket;
use crate::policy::Failure;

/// Parks the request of `lookup` until whoever fetches `page` is done with it; false where nobody does, it
/// is not worth it, or it has `waited` for as long as may be.
pub(in crate::nginx) fn wait(lookup: Lookup, page: u64, lock: &Lock, waited: Duration) -> bool {
    let Some(main) = lookup.request().main_conf() else { return false };
    if lookup.cancel_with_request().is_err() {
        return false;
    }
    let ticket = super::with(main, |worker| {
        let now = Instant::now();
        // All who wait have one length of time, so that the lot keeps them in one row.
        let began = now.checked_sub(waited)?;
        if waited >= lock.timeout || !worker.flights.is_worth_waiting(page, lock.age, now) {
            return None;
        }
        let ticket = worker.desk.lot.park(Parked::Fill(lookup), began, lock.timeout);
        worker.flights.wait(page, ticket);
        worker.desk.events.wait_until(began + lock.timeout, now);
        Some(ticket)
    });
    let Some(ticket) = ticket else { return false };
    lookup.park(ticket, Asked::Fill);
    true
}

/// Has the request of `lookup` lead, where nobody fetches `page` yet.
pub(in crate::nginx) fn lead(lookup: Lookup, page: u64, age: Duration) -> Option<Leader> {
    let main = lookup.request().main_conf()?;
    super::with(main, |worker| worker.flights.lead(page, age, Instant::now()))
}

/// What a leader has begun is over: those go on who wait for it.
pub(in crate::nginx) fn end(main: &MainConf, leader: Leader, landing: Landing) {
    super::with(main, |worker| {
        for ticket in worker.flights.end(leader, landing, Instant::now()) {
            // Those who have nothing to wait for any more do not queue again.
            let found = match landing {
                Landing::Stored | Landing::Lost => Found::Done,
                Landing::Unstorable | Landing::Failed(_) => Found::Nil,
            };
            worker.desk.deposit(ticket, found);
        }
        Some(())
    });
}

/// The request of `lookup` waits no more for `page`.
pub(in crate::nginx) fn leave(lookup: Lookup, page: u64, ticket: Ticket) {
    if let Some(main) = lookup.request().main_conf() {
        super::with(main, |worker| {
            worker.flights.leave(page, ticket);
            Some(())
        });
    }
}

/// How the application failed a moment ago that was asked for `page`.
pub(in crate::nginx) fn failure(lookup: Lookup, page: u64) -> Option<Failure> {
    let main = lookup.request().main_conf()?;
    super::with(main, |worker| worker.flights.failure(page, Instant::now()))
}
