//! One fill for all who want a page: who comes while it is fetched waits for it (`redis_cache_lock`).

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::engine::client::hash_of;
use crate::flight::{Landing, Leader};
use crate::nginx::http::handler;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::nginx::sys::request::Request;
use crate::nginx::worker::flights;
use crate::reason::{Reason, Status};

/// What a lookup has to do with flights.
#[derive(Default)]
pub(in crate::nginx) struct Flying {
    leads: Cell<Option<Leader>>,
    /// The page that was not there, by the hash of its key: that of a variant is its own.
    page: Cell<u64>,
    since: Cell<Option<Instant>>,
    waited: Cell<Duration>,
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

    /// It waits no more.
    pub fn land(self) {
        let Flying { since, waited, .. } = self.flying();
        if let Some(began) = since.take() {
            waited.set(waited.get() + began.elapsed().max(Duration::from_nanos(1)));
        }
    }

    /// Takes out what its request leads, if it leads.
    pub fn take_lead(self) -> Option<Leader> {
        self.flying().leads.take()
    }

    /// What it leads ends so, if it leads.
    pub fn end_flight(self, landing: Landing) {
        if let (Some(leader), Some(main)) = (self.take_lead(), self.request().main_conf()) {
            flights::end(main, leader, landing);
        }
    }
}

/// Has the request wait for the page that it did not find, if another one fetches it.
pub(in crate::nginx) fn joins(lookup: Lookup, asked: &Asked, reason: Reason) -> bool {
    let Some(lock) = &lookup.plan().fetch.lock else { return false };
    let key = match asked {
        Asked::Variant(variant) => &variant.key,
        Asked::First | Asked::Fill => lookup.key_bytes(),
    };
    let flying = lookup.flying();
    flying.page.set(hash_of(key));
    if !may_wait(lookup.request(), reason) || wants_stored_alone(lookup) {
        return false;
    }
    if !flights::wait(lookup, flying.page.get(), lock, flying.waited.get()) {
        return false;
    }
    flying.since.set(Some(Instant::now()));
    // Where nginx would not notice that the client leaves, its request waits for its time at most.
    _ = handler::watch(lookup.request());
    true
}

/// A part of another response may be what that one is waiting for.
fn may_wait(request: Request, reason: Reason) -> bool {
    let is_open = matches!(reason.status(), Status::Miss | Status::Expired);
    let is_own = matches!(reason, Reason::Collision | Reason::NotPublic | Reason::Reload);
    let asks_for_part = !request.raw().headers_in.range.is_null();
    is_open && !is_own && request.is_main() && !request.is_authorized() && !asks_for_part
}

fn wants_stored_alone(lookup: Lookup) -> bool {
    let control = lookup.request().control();
    lookup.plan().request_control && (control.only_if_cached || control.no_store)
}

/// The request fetches the page: others may wait for it.
pub(in crate::nginx) fn lead(lookup: Lookup) {
    if let Some(lock) = &lookup.plan().fetch.lock {
        let flying = lookup.flying();
        flying.leads.set(flights::lead(lookup, flying.page.get(), lock.age));
    }
}

/// Why a page is sent that is fresh.
pub(in crate::nginx) fn reason_of_hit(lookup: Lookup) -> Reason {
    if lookup.waited_for_fill().is_some() { Reason::Collapsed } else { Reason::Fresh }
}
