//! The filters, for what Redis answered and for what the application answered. Cache-Status is
//! added, and a Redis-Cache line of the application, which only a stored page may have, dropped;
//! what else happens to an answer is in [`answer`].

use std::ffi::c_void;
use std::ptr::{self, addr_of_mut};

use ngx::ffi::{
    ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_output_header_filter_pt,
    ngx_http_request_t, ngx_http_top_body_filter, ngx_http_top_header_filter, ngx_int_t,
};
use ngx::http::HttpModule;

use crate::entry;
use crate::http::cache_status;
use crate::nginx::Module;
use crate::nginx::http::answer;
use crate::nginx::http::answer::Next;
use crate::nginx::http::conditions;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, chain, rc};
use crate::reason::{Reason, StoreReason};

static mut NEXT_HEADER: ngx_http_output_header_filter_pt = None;
static mut NEXT_BODY: ngx_http_output_body_filter_pt = None;

/// Puts the filters in front of the ones that are there.
///
/// # Safety
/// Called once a configuration, in postconfiguration.
pub(in crate::nginx) unsafe fn register() {
    // SAFETY: nginx is single-threaded, and configures before it serves.
    unsafe {
        *addr_of_mut!(NEXT_HEADER) = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(header_filter);
        *addr_of_mut!(NEXT_BODY) = ngx_http_top_body_filter;
        ngx_http_top_body_filter = Some(body_filter);
    }
}

unsafe extern "C" fn header_filter(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request whose header is about to be sent.
    unsafe {
        match Request::new(request).and_then(Lookup::of) {
            Some(lookup) => match answer::on_header(lookup) {
                Next::Pass => pass_header(lookup),
                Next::Wait => rc::OK,
                Next::Done(code) => code,
            },
            None => next_header(request),
        }
    }
}

unsafe extern "C" fn body_filter(
    request: *mut ngx_http_request_t,
    chain: *mut ngx_chain_t,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request and a valid chain or null; the context is a lookup
    // that lives as long as the request's pool.
    unsafe {
        match Request::new(request).and_then(Request::context) {
            Some(lookup) => answer::on_body(lookup, chain),
            None => next_body(request, chain),
        }
    }
}

unsafe fn next_header(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: the caller passes a live request.
    unsafe {
        match *addr_of_mut!(NEXT_HEADER) {
            Some(next) => next(request),
            None => rc::ERROR,
        }
    }
}

unsafe fn next_body(request: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: the caller passes a live request and a valid chain or null.
    unsafe {
        match *addr_of_mut!(NEXT_BODY) {
            Some(next) => next(request, chain),
            None => rc::ERROR,
        }
    }
}

/// Sends the header on, with what this module adds to it.
pub(in crate::nginx) fn pass_header(lookup: Lookup) -> ngx_int_t {
    let request = lookup.request();
    if request.is_main() && mark(lookup).is_err() {
        return rc::ERROR;
    }
    if lookup.reason().is_some_and(Reason::is_answered_by_redis) {
        conditions::drop_last_modified_time(request);
    }
    // SAFETY: the request is alive.
    unsafe { next_header(request.as_ptr()) }
}

/// Sends a piece of the body on; null sends what was kept back.
///
/// # Safety
/// The chain is valid or null.
pub(in crate::nginx) unsafe fn pass_body(request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: the caller guarantees it; the request is alive.
    unsafe { next_body(request.as_ptr(), chain) }
}

/// Takes a piece of the body as sent, so that its producer goes on; null sends what was kept back.
///
/// # Safety
/// The chain is valid or null.
pub(in crate::nginx) unsafe fn drop_body(request: Request, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: the caller guarantees that links and buffers of the chain are valid.
    for buffer in unsafe { chain::buffers(chain).filter_map(|buffer| buffer.as_mut()) } {
        buffer.pos = buffer.last;
        buffer.file_pos = buffer.file_last;
    }
    // SAFETY: the request is alive, and so is its connection; null makes the filters below send what
    // they keep. nginx's last filter takes it for a mistake to be called for nothing.
    unsafe {
        let keeps = (*request.connection()).buffered() != 0 || !request.raw().postponed.is_null();
        match keeps || chain.is_null() {
            true => next_body(request.as_ptr(), ptr::null_mut()),
            false => rc::OK,
        }
    }
}

/// Adds Cache-Status, once, and drops the line that only a stored page may have.
fn mark(lookup: Lookup) -> Result<(), OutOfMemory> {
    let request = lookup.request();
    request.headers_out().list().hide(entry::LINE);
    let Some(decision) = lookup.decision() else { return Ok(()) };
    if !lookup.plan().status_header || !lookup.is_to_send_status() {
        return Ok(());
    }
    let is_open = |why: &StoreReason| matches!(why, StoreReason::Incomplete | StoreReason::Queued);
    let not_stored = lookup.store_reason().filter(|why| !is_open(why));
    let value = cache_status::value(decision.reason, decision.ttl, not_stored);
    request.headers_out().list().push("Cache-Status", None, value.as_bytes())
}

impl Request {
    fn context_slot(self) -> *mut *mut c_void {
        let module = <Module as HttpModule>::module();
        // SAFETY: the array has a place for every module.
        unsafe { self.raw().ctx.add(module.ctx_index) }
    }

    /// The lookup whose answer the body filter is to look at. Set when the header is sent:
    /// nginx clears it where another location takes over.
    pub fn set_context(self, lookup: Lookup) {
        // SAFETY: the slot is that of this module, and lives as long as the request.
        unsafe { *self.context_slot() = lookup.as_ptr() }
    }

    /// See [`Self::set_context`].
    pub fn context(self) -> Option<Lookup> {
        // SAFETY: the slot is null or holds a lookup of this request.
        unsafe { Lookup::from_ptr(*self.context_slot()) }
    }
}
