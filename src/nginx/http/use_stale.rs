//! The application failed: a stored page that is no longer fresh is sent in its place (RFC 5861).

use ngx::ffi::ngx_int_t;

use crate::entry::{Page, Stored};
use crate::flight::Landing;
use crate::nginx::http::fate::Fate;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::nginx::http::{flight, revalidate, serve};
use crate::nginx::sys::response::{Response, upstream};
use crate::nginx::sys::{now_millis, rc};
use crate::policy::{Failure, Stale};
use crate::reason::{Reason, StoreReason};
use crate::{entry, policy};

/// Sends the stored page; `None` where the answer is no failure, or no page may take its place.
pub(in crate::nginx) fn rescue(lookup: Lookup) -> Option<ngx_int_t> {
    if !lookup.has_stale() {
        return None;
    }
    let failure = failure_of(lookup)?;
    let stale = lookup.take_stale().filter(|stale| stale.reason == Reason::Stale)?;
    // SAFETY: the answer is decided here, so the value stays until the pool is freed.
    let value = unsafe { lookup.keep(stale.held) };
    let Ok(Stored::Page(page)) = entry::decode(value) else { return None };
    let staleness = staleness(lookup, &page, failure)?;
    let body = serve::body(lookup, &page, stale.form).ok()?;
    let response = Response::of(lookup.request());
    if let Fate::Armed(armed) = lookup.set_fate(Fate::Unasked) {
        if armed.undo(lookup).is_err() {
            return Some(rc::ERROR);
        }
    }
    lookup.end_flight(Landing::Failed(Some(failure)));
    lookup.settle(StoreReason::Stale);
    let reuse = serve::decide_stale(lookup, &page, stale.form, Reason::UseStale, staleness);
    Some(revalidate::replace(lookup, &page, &reuse, body, &response))
}

/// Sends the stored page where the application was asked for it a moment ago, and failed.
pub(in crate::nginx) fn spare(
    lookup: Lookup,
    asked: &Asked,
    page: &Page<'_>,
    stale: &Stale,
) -> Option<ngx_int_t> {
    let failure = flight::failure(lookup, asked).filter(|_| stale.reason == Reason::Stale)?;
    let staleness = staleness(lookup, page, failure)?;
    let body = serve::body(lookup, page, stale.form).ok()?;
    let reuse = serve::decide_stale(lookup, page, stale.form, Reason::UseStale, staleness);
    Some(serve::page(lookup, page, &reuse, body))
}

/// For how many milliseconds the page has been stale; `None` where it may not be sent after that failure.
fn staleness(lookup: Lookup, page: &Page<'_>, failure: Failure) -> Option<i64> {
    policy::use_stale(page, failure, &lookup.plan().fetch.use_stale, now_millis())
}

/// How the application failed, whose answer is about to be sent, or nginx's own in its place.
fn failure_of(lookup: Lookup) -> Option<Failure> {
    let request = lookup.request();
    let came = upstream(request)?.headers_in.status_n;
    let sent = request.raw().headers_out.status;
    Failure::of(u16::try_from(came).ok()?, u16::try_from(sent).ok()?)
}
