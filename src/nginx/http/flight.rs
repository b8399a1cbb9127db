//! One fill for all who want a page: who comes while it is fetched waits for it (`redis_cache_lock`).

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::engine::client::hash_of;
use crate::engine::desk::Found;
use crate::flight::{Landing, Leader};
use crate::nginx::http::handler;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::nginx::sys::request::Request;
use crate::nginx::worker::flights;
use crate::parking::Ticket;
use crate::policy::Failure;
use crate::reason::{Reason, Status, StoreReason};

/// What a lookup has to do with flights.
#[derive(Default)]
pub(in crate::nginx) struct Flying {
    leads: Cell<Option<Leader>>,
    /// The page that was not there, by the hash of its key: that of a variant is its own.
    page: Cell<u64>,
    since: Cell<Option<Instant>>,
    waited: Cell<Duration>,
    /// It has waited for as long as may be.
    is_late: Cell<bool>,
    /// It waits no more, whatever comes.
    is_alone: Cell<bool>,
    /// How many milliseconds the application took to answer.
    took: Cell<i64>,
}

impl Lookup {
    /// How long it has waited for a page that another request fetched; `None` where it did not.
    pub fn waited_for_fill(self) -> Option<Duration> {
        let Flying { since, waited, .. } = self.flying();
        let running = since.get().map_or(Duration::ZERO, |since| since.elapsed());
        let all = waited.get() + running;
        (!all.is_zero()).then_some(all)
    }

    /// How many milliseconds the application took to answer.
    pub fn took_to_fill(self) -> i64 {
        self.flying().took.get()
    }

    /// See [`Self::took_to_fill`].
    pub fn set_took_to_fill(self, millis: i64) {
        self.flying().took.set(millis);
    }

    /// It waits no more, and not again but where the page is there or its leader was lost.
    pub fn land(self, found: &Found) {
        let Flying { since, waited, is_late, is_alone, .. } = self.flying();
        if let Some(began) = since.take() {
            waited.set(waited.get() + began.elapsed().max(Duration::from_nanos(1)));
        }
        is_late.set(is_late.get() || matches!(found, Found::Fault(_)));
        is_alone.set(!matches!(found, Found::Done));
    }

    /// Its request is being destroyed, or its time is over: it is not to be told.
    pub fn leave_flight(self, ticket: Ticket) {
        if self.flying().since.get().is_some() {
            flights::leave(self, self.flying().page.get(), ticket);
        }
    }

    /// Takes out what its request leads, if it leads.
    pub fn take_lead(self) -> Option<Leader> {
        self.flying().leads.take()
    }

    /// What it leads ends so, if it leads.
    pub fn end_flight(self, landing: Landing) {
        let Some(leader) = self.take_lead() else { return };
        if let Some(main) = self.request().main_conf() {
            flights::end(main, leader, landing);
        }
    }
}

/// Has the request wait for the page that it did not find, if another one fetches it.
pub(in crate::nginx) fn joins(lookup: Lookup, asked: &Asked, reason: Reason) -> bool {
    let Some(lock) = &lookup.plan().fetch.lock else { return false };
    let flying = lookup.flying();
    flying.page.set(page_asked_for(lookup, asked));
    if flying.is_alone.get() || !may_wait(lookup.request(), reason) || wants_stored_alone(lookup) {
        return false;
    }
    if !flights::wait(lookup, flying.page.get(), lock, flying.waited.get()) {
        return false;
    }
    flying.since.set(Some(Instant::now()));
    // Who waits holds nothing meanwhile.
    lookup.let_go();
    // Where nginx would not notice that the client leaves, its request waits for its time at most.
    _ = handler::watch(lookup.request());
    true
}

fn page_asked_for(lookup: Lookup, asked: &Asked) -> u64 {
    let key = match asked {
        Asked::Variant(variant) => &variant.key,
        Asked::First | Asked::Fill => lookup.key_bytes(),
    };
    page_of(lookup, key)
}

/// A page by the hash of its key, and of where it lies.
pub(in crate::nginx) fn page_of(lookup: Lookup, key: &[u8]) -> u64 {
    let endpoint = u64::try_from(lookup.active().endpoint).unwrap_or(0);
    hash_of(key) ^ (endpoint + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A part of another response may be what that one is waiting for.
fn may_wait(request: Request, reason: Reason) -> bool {
    let is_own = matches!(reason, Reason::Collision | Reason::NotPublic | Reason::Reload);
    let asks_for_part = !request.raw().headers_in.range.is_null();
    is_open(reason) && !is_own && request.is_main() && !request.is_authorized() && !asks_for_part
}

/// The page may come yet.
fn is_open(reason: Reason) -> bool {
    matches!(reason.status(), Status::Miss | Status::Expired)
}

fn wants_stored_alone(lookup: Lookup) -> bool {
    let control = lookup.request().control();
    lookup.plan().request_control && (control.only_if_cached || control.no_store)
}

/// The request fetches the page: others may wait for it.
pub(in crate::nginx) fn lead(lookup: Lookup) {
    // What somebody gets who says who it is, is of no use to others, unless it says so.
    let is_shared = !lookup.request().is_authorized();
    if let Some(lock) = lookup.plan().fetch.lock.as_ref().filter(|_| is_shared) {
        let flying = lookup.flying();
        flying.leads.set(flights::lead(lookup, flying.page.get(), lock.age));
    }
}

/// Why a page that is not there is fetched: the request has waited for it in vain, or not at all.
pub(in crate::nginx) fn reason_of_fetch(lookup: Lookup, reason: Reason) -> Reason {
    if lookup.flying().is_late.get() && is_open(reason) { Reason::LockTimeout } else { reason }
}

/// How the application failed a moment ago, asked for the page that is no longer fresh.
pub(in crate::nginx) fn failure(lookup: Lookup, asked: &Asked) -> Option<Failure> {
    lookup.plan().fetch.lock.as_ref()?;
    flights::failure(lookup, page_asked_for(lookup, asked))
}

/// What a flight ends with whose answer is not handed to Redis: a verdict comes from an answer alone.
pub(in crate::nginx) fn landing_of(reason: StoreReason) -> Landing {
    match reason {
        StoreReason::Redirect
        | StoreReason::Incomplete
        | StoreReason::Stale
        | StoreReason::Overload
        | StoreReason::Fault
        | StoreReason::Late
        | StoreReason::Internal => Landing::Failed(None),
        _ => Landing::Unstorable,
    }
}

/// Why a page is sent that is fresh.
pub(in crate::nginx) fn reason_of_hit(lookup: Lookup) -> Reason {
    match lookup.flying().waited.get().is_zero() {
        true => Reason::Fresh,
        false => Reason::Collapsed,
    }
}
