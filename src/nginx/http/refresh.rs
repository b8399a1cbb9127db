//! A page that is no longer fresh is sent at once, and fetched anew by a request of nginx's own (RFC 5861).

use ngx::ffi::ngx_int_t;

use crate::config::KeySource;
use crate::entry::Page;
use crate::http::cookie::Cookies;
use crate::http::{Field, replay};
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::serve;
use crate::nginx::sys;
use crate::nginx::sys::now_millis;
use crate::nginx::worker::refreshes;
use crate::nginx::worker::refreshes::Refusal;
use crate::policy;
use crate::policy::Stale;
use crate::reason::Reason;

/// Sends the page; `None` where the visitor has to wait for the application.
pub(in crate::nginx) fn answer(
    lookup: Lookup,
    page: &Page<'_>,
    stale: &Stale,
) -> Option<ngx_int_t> {
    let (request, plan) = (lookup.request(), lookup.plan());
    if stale.reason != Reason::Stale || plan.fetch.background_limit == 0 || !request.is_main() {
        return None;
    }
    // Who asks for a newer page than that gets it from the application.
    let control = request.control();
    let wants_newer = control.no_cache || control.max_age.is_some() || control.min_fresh.is_some();
    if plan.request_control && wants_newer {
        return None;
    }
    let staleness = policy::use_while_revalidated(page, &plan.fetch.use_stale, now_millis())?;
    if refreshes::is_refresh(request) {
        return None;
    }
    let text = text_for_everybody(lookup)?;
    let body = serve::body(lookup, page, stale.form).ok()?;
    let reason = match refreshes::begin(lookup, request.peer(), &text) {
        Ok(()) => Reason::Revalidating,
        Err(Refusal::Busy) => Reason::Updating,
        Err(Refusal::Failed) => return None,
    };
    let reuse = serve::decide_stale(lookup, page, stale.form, reason, staleness);
    Some(serve::page(lookup, page, &reuse, body))
}

/// Has a page fetched anew that is fresh yet, where its time has come.
pub(in crate::nginx) fn begin_early(lookup: Lookup, page: &Page<'_>) {
    let plan = lookup.plan();
    if !plan.fetch.refresh_early || plan.fetch.background_limit == 0 || !lookup.request().is_main()
    {
        return;
    }
    if policy::is_due_early(page, now_millis(), sys::random_part()) {
        if let Some(text) = text_for_everybody(lookup) {
            // Another visitor's chance is as good.
            _ = refreshes::begin(lookup, lookup.request().peer(), &text);
        }
    }
}

/// Whether the request is one that was begun early, and nobody else has fetched the page since.
pub(in crate::nginx) fn is_early(lookup: Lookup, page: &Page<'_>) -> bool {
    let plan = lookup.plan();
    plan.fetch.refresh_early
        && policy::is_near_its_end(page, now_millis())
        && refreshes::is_refresh(lookup.request())
        && {
            refreshes::reached(lookup);
            true
        }
}

/// A page is sent that is fresh: where a refresh gets it, another machine was faster.
pub(in crate::nginx) fn reached(lookup: Lookup) {
    if lookup.request().is_main() && refreshes::any(lookup.request()) {
        refreshes::reached(lookup);
    }
}

/// The request without its visitor. `None` where its key would be another one: cookies may be in a key
/// that is a string.
fn text_for_everybody(lookup: Lookup) -> Option<Vec<u8>> {
    let (request, plan) = (lookup.request(), lookup.plan());
    let cookies = match &plan.cookies {
        Some(names) => Cookies::select(names, request.header_values("cookie")).field(),
        None if !matches!(plan.key_source, KeySource::Template(_)) => None,
        None if request.has_header("cookie") => return None,
        None => None,
    };
    let fields: Vec<Field<'_>> = request.fields()?;
    let target = request.target()?;
    replay::request(&target, fields.iter().copied(), cookies.as_deref())
}

/// Why a page that is not fresh goes to the application: for a visitor, or for the next one.
pub(in crate::nginx) fn reason(lookup: Lookup, stale: &Stale) -> Reason {
    match stale.reason {
        Reason::Stale if refreshes::is_refresh(lookup.request()) => {
            refreshes::reached(lookup);
            Reason::Refresh
        }
        reason => reason,
    }
}
