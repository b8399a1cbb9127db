//! Everything but a hit: the named location answers, and after a miss is told the key.

use ngx::ffi::{ngx_http_named_location, ngx_int_t, ngx_str_t};

use super::context::Lookup;
use super::request::Request;
use super::{list, rc, str_over, worker};
use crate::key::header_form;
use crate::reason::{Reason, Status};

/// The header that hands the key to the application.
pub(super) const KEY_HEADER: &[u8] = b"X-Redis-Cache-Key";
const KEY_HEADER_LOWERCASE: &[u8] = b"x-redis-cache-key";

/// Leaves for the fallback. The return code is for nginx's finalize: DONE once the named
/// location has taken over, or the status where there is no fallback.
pub(super) fn leave(lookup: &Lookup, reason: Reason) -> ngx_int_t {
    if reason.status() == Status::Error {
        worker::warn(lookup, reason);
    }
    let request = lookup.request();
    let Some(name) = &lookup.plan.plan.fallback else {
        return ngx_int_t::try_from(reason.status_without_fallback()).unwrap_or(rc::ERROR);
    };
    if request.is_main() && hand_over_key(lookup, reason).is_none() {
        return rc::INTERNAL_SERVER_ERROR;
    }
    let mut name = str_over(name.as_bytes());
    // SAFETY: the request is alive and unanswered; the name lives as long as the configuration.
    unsafe { ngx_http_named_location(request.as_ptr(), &raw mut name) }
}

/// Sets or removes the header with the key. `None` is out of memory.
fn hand_over_key(lookup: &Lookup, reason: Reason) -> Option<()> {
    let request = lookup.request();
    strip(request)?;
    if !reason.may_fill() || !request.is_get() || request.is_after_response() {
        return Some(());
    }
    let Some(value) = lookup.key.as_ref().and_then(|key| header_form(&key.bytes)) else {
        return Some(());
    };
    // SAFETY: the request is the main one; the value is copied into its pool.
    unsafe {
        let value = ngx_str_t::from_bytes(request.pool(), &value)?;
        list::push(
            &raw mut (*request.as_ptr()).headers_in.headers,
            str_over(KEY_HEADER),
            KEY_HEADER_LOWERCASE.as_ptr().cast_mut(),
            value,
        )?;
    }
    Some(())
}

/// Whether a field is the header of the key, also with `_` for `-`: CGI-like applications cannot
/// tell the two apart.
pub(super) fn is_key_header(name: &[u8]) -> bool {
    name.len() == KEY_HEADER_LOWERCASE.len()
        && name.iter().zip(KEY_HEADER_LOWERCASE).all(|(byte, wanted)| {
            byte.eq_ignore_ascii_case(wanted) || (*byte == b'_' && *wanted == b'-')
        })
}

/// Removes the header of the key from a main request. `None` is out of memory.
pub(super) fn strip(request: Request) -> Option<()> {
    // SAFETY: the list is the main request's own, and nothing points at a field of this name.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_in.headers;
        list::remove(headers, request.pool(), is_key_header)
    }
}
