//! The header filter, for what Redis answered and for what the fallback answered: Cache-Status is
//! added, and a Redis-Cache line of the application, which only a stored page may have, dropped.

use std::ptr::{self, addr_of_mut};

use ngx::ffi::{
    ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_header_filter, ngx_int_t,
    ngx_str_t,
};

use super::context::Lookup;
use super::request::Request;
use super::{list, rc, str_over};
use crate::entry;
use crate::http::cache_status;

static mut NEXT: ngx_http_output_header_filter_pt = None;

/// Puts the filter in front of the ones that are there.
///
/// # Safety
/// Called once a configuration, in postconfiguration.
pub(super) unsafe fn register() {
    // SAFETY: nginx is single-threaded, and configures before it serves.
    unsafe {
        *addr_of_mut!(NEXT) = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(header_filter);
    }
}

unsafe extern "C" fn header_filter(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request whose header is about to be sent.
    unsafe {
        if Request::new(request).is_some_and(|request| treat(request).is_none()) {
            return rc::ERROR;
        }
        match *addr_of_mut!(NEXT) {
            Some(next) => next(request),
            None => rc::ERROR,
        }
    }
}

/// `None` is out of memory.
fn treat(request: Request) -> Option<()> {
    if !request.is_main() {
        return Some(());
    }
    let Some(lookup) = Lookup::of(request) else { return Some(()) };
    // SAFETY: the request is alive; nginx sends no field whose hash is 0.
    unsafe { list::hide(&raw mut (*request.as_ptr()).headers_out.headers, entry::LINE) };
    let Some(reason) = lookup.reason() else { return Some(()) };
    if !lookup.plan.plan.status_header || lookup.status_sent {
        return Some(());
    }
    lookup.status_sent = true;
    let value = cache_status::value(reason, lookup.ttl);
    // SAFETY: the request is alive; the value is copied into its pool.
    unsafe {
        let value = ngx_str_t::from_bytes(request.pool(), value.as_bytes())?;
        let headers = &raw mut (*request.as_ptr()).headers_out.headers;
        list::push(headers, str_over(b"Cache-Status"), ptr::null_mut(), value)?;
    }
    Some(())
}
