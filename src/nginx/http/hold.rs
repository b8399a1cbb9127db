//! The answer to an unsafe method waits until the pages that it invalidates are gone from Redis, or
//! the time budget is over: the client must not read what it has just replaced.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::{
    NGX_AGAIN, ngx_chain_add_copy, ngx_chain_t, ngx_http_finalize_request,
    ngx_http_run_posted_requests, ngx_int_t,
};

use crate::entry::tombstone;
use crate::http::{field_value, uri};
use crate::nginx::http::answer::Next;
use crate::nginx::http::fate::Fate;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::{fill, filter};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::response::{Response, upstream};
use crate::nginx::sys::{glue, rc};
use crate::nginx::worker::writer;
use crate::nginx::worker::writer::{Holder, Outcome};
use crate::policy;
use crate::policy::Invalidates;
use crate::reason::Reason;
use crate::redis::write::Write;

/// An answer that waits: the pieces of its body that have come.
pub(in crate::nginx) struct Hold {
    holder: Holder,
    chain: Cell<*mut ngx_chain_t>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Hold {
    /// The request is being destroyed: nobody is to be released any more.
    pub fn let_go(&self) {
        self.holder.set(None);
    }

    /// Keeps a piece of the body.
    ///
    /// # Safety
    /// The chain is one that nginx passes to a body filter for this request.
    pub unsafe fn keep(&self, request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
        let mut kept = self.chain.get();
        // SAFETY: the links are copied into the request's pool; the buffers stay as they are until
        // they are passed on, which nginx sees by their unsent bytes.
        let copied = unsafe { ngx_chain_add_copy(request.pool(), &raw mut kept, chain) };
        self.chain.set(kept);
        if copied == rc::OK { NGX_AGAIN as ngx_int_t } else { rc::ERROR }
    }
}

/// Puts tombstones in the place of the pages under `keys`, and of those that Location and
/// Content-Location name. Whether the answer has to wait.
pub(in crate::nginx) fn begin(lookup: Lookup, keys: Vec<Vec<u8>>) -> bool {
    let waits = try_to_begin(lookup, keys);
    if !waits {
        confirm(lookup, Outcome::Failed);
    }
    waits
}

fn try_to_begin(lookup: Lookup, mut keys: Vec<Vec<u8>>) -> bool {
    let request = lookup.request();
    let response = Response::of(request);
    if !policy::invalidates(response.status) || keys.is_empty() {
        return false;
    }
    if lookup.plan().invalidates == Invalidates::Location {
        keys.extend(keys_of_references(lookup, &response));
    }
    keys.sort_unstable();
    keys.dedup();
    let random = fill::random_hex();
    let Some(tombstone) = random.and_then(|random| tombstone(&random)) else { return false };
    if lookup.cancel_with_request().is_err() {
        return false;
    }
    let holder = Rc::new(Cell::new(Some(lookup)));
    let backups = lookup.plan().connections.upstream.backups();
    let write = Write::tombstones(keys, &tombstone, backups);
    if writer::invalidate(lookup, write, &holder).is_err() {
        return false;
    }
    request.set(glue::set_buffered, true);
    request.set_context(lookup);
    lookup.set_fate(Fate::Held(Rc::new(Hold { holder, chain: Cell::new(ptr::null_mut()) })));
    true
}

/// The keys of pages of the same origin that the answer names.
fn keys_of_references(lookup: Lookup, response: &Response<'_>) -> Vec<Vec<u8>> {
    let request = lookup.request();
    let origin = request.origin(lookup.plan());
    let Ok(base) = origin.and_then(|origin| request.cache_uri(&origin)) else { return Vec::new() };
    ["location", "content-location"]
        .iter()
        .filter_map(|name| field_value(&response.received, name))
        .filter_map(|reference| uri::target_of_same_origin(&base, reference))
        .flat_map(|target| request.keys_of_page(lookup.plan(), &target))
        .collect()
}

/// Takes what waits out of the lookup, if anything does.
fn end(lookup: Lookup) -> Option<Rc<Hold>> {
    let hold = lookup.with_fate(|fate| match fate {
        Fate::Held(_) => match std::mem::replace(fate, Fate::Unasked) {
            Fate::Held(hold) => Some(hold),
            _ => None,
        },
        _ => None,
    })?;
    lookup.request().set(glue::set_buffered, false);
    Some(hold)
}

/// Another header for an answer that waits: that of an error takes its place.
pub(in crate::nginx) fn on_second_header(lookup: Lookup) -> Next {
    let request = lookup.request();
    if !request.is_error_page() {
        return Next::Wait;
    }
    if let Some(hold) = end(lookup) {
        // SAFETY: the chain is that of buffers which nginx passed.
        unsafe { filter::drop_body(request, hold.chain.get()) };
    }
    Next::Pass
}

/// Lets the answer go on.
///
/// # Safety
/// The lookup is that of a live request.
pub(in crate::nginx) unsafe fn release(lookup: Lookup, outcome: Outcome) {
    let Some(hold) = end(lookup) else { return };
    let request = lookup.request();
    confirm(lookup, outcome);
    let connection = request.connection();
    request.set_as_log_context();
    // SAFETY: the request is alive until it is finalized here; its connection outlives it. The
    // write handler goes on with whoever produces or sends the answer.
    unsafe {
        let mut code = filter::pass_header(lookup);
        if code == rc::OK || code == NGX_AGAIN as ngx_int_t {
            code = match request.has(glue::header_only) {
                true => filter::drop_body(request, hold.chain.get()),
                false => filter::pass_body(request, hold.chain.get()),
            };
        }
        if code == rc::ERROR || code > rc::OK {
            take_over(request);
            ngx_http_finalize_request(request.as_ptr(), code);
        } else if let Some(go_on) = (*request.as_ptr()).write_event_handler {
            go_on(request.as_ptr());
        }
        ngx_http_run_posted_requests(connection);
    }
}

/// The answer to PURGE says what became of it.
fn confirm(lookup: Lookup, outcome: Outcome) {
    if lookup.reason() == Some(Reason::Purge) {
        lookup.request().headers_out().set_status(match outcome {
            Outcome::Gone => 200,
            Outcome::Late => 202,
            Outcome::Failed => 503,
        });
    }
}

/// Ends the upstream of an answer that cannot be sent, and takes its count of the request over, which
/// the caller gives back. An upstream that has ended has left its count to whoever sends the answer.
///
/// # Safety
/// The request is alive.
unsafe fn take_over(request: Request) {
    // SAFETY: the caller guarantees it. The cleanup of a running upstream points at its handler,
    // which gives its count back: another one keeps the request alive meanwhile, as in nginx's own
    // ngx_http_upstream_create.
    unsafe {
        let cleanup = upstream(request).and_then(|upstream| upstream.cleanup.as_ref());
        if let Some(end) = cleanup.copied().flatten() {
            request.hold();
            end(request.as_ptr().cast());
        }
    }
}
