//! Conditions and ranges of a request whose answer may be stored: the client's are kept from the
//! application, which is to send the whole page, and the validators of a stale page take their place.

use ngx::ffi::ngx_str_t;

use crate::entry::Page;
use crate::http::range;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, layout, list, str_over};

/// Whether the request asks for a part of the page, or for one under a condition.
pub(in crate::nginx) fn asks_for_a_part(request: Request) -> bool {
    let is_whole = !request.has_header("range") || range::is_whole(request.header_values("range"));
    !is_whole || request.has_header("if-range")
}

/// Keeps If-None-Match, If-Modified-Since and a Range that is the whole page from the application;
/// nginx answers them when [`restore`] lets it. Whether there was one.
pub(in crate::nginx) fn take(request: Request) -> Result<bool, OutOfMemory> {
    let headers_in = &request.raw().headers_in;
    let found = !headers_in.if_none_match.is_null()
        || !headers_in.if_modified_since.is_null()
        || !headers_in.range.is_null();
    // SAFETY: the request is the main one. nginx's own filters look at the elements that
    // `headers_in` points at.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_in.headers;
        list::remove(headers, request.pool(), |name| {
            is_validator(name) || name.eq_ignore_ascii_case(b"range")
        })?;
    }
    if found {
        request.set(&layout::DISABLE_NOT_MODIFIED, true);
    }
    Ok(found)
}

/// Lets nginx's filters answer the client's own conditions.
pub(in crate::nginx) fn restore(request: Request) {
    request.set(&layout::DISABLE_NOT_MODIFIED, false);
}

/// Takes If-None-Match and If-Modified-Since off a main request.
pub(in crate::nginx) fn drop_validators(request: Request) -> Result<(), OutOfMemory> {
    // SAFETY: the list is the main request's own.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_in.headers;
        list::remove(headers, request.pool(), is_validator)
    }
}

/// Whether a field is If-None-Match or If-Modified-Since.
pub(in crate::nginx) fn is_validator(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"if-none-match") || name.eq_ignore_ascii_case(b"if-modified-since")
}

/// Adds the validators of a stored page to a main request.
pub(in crate::nginx) fn add_validators(
    request: Request,
    page: &Page<'_>,
) -> Result<(), OutOfMemory> {
    let validators: [(&[u8], &[u8], &str); 2] = [
        (b"If-None-Match", b"if-none-match", "etag"),
        (b"If-Modified-Since", b"if-modified-since", "last-modified"),
    ];
    for (name, lowercase, field) in validators {
        let Some(value) = page.value(field) else { continue };
        // SAFETY: the request is the main one; names are static and the value is copied into
        // its pool.
        unsafe {
            let value = ngx_str_t::from_bytes(request.pool(), value).ok_or(OutOfMemory)?;
            let headers = &raw mut (*request.as_ptr()).headers_in.headers;
            list::push(headers, str_over(name), lowercase.as_ptr().cast_mut(), value)?;
        }
    }
    Ok(())
}
