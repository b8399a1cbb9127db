//! Conditions and ranges of a request whose answer may be stored: the client's are kept from the
//! application, which is to send the whole page, and the validators of a stale page take their place.

use std::ptr::NonNull;

use ngx::ffi::{ngx_str_t, ngx_table_elt_t};

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
    // SAFETY: the request is the main one. nginx's own filters look at the elements that
    // `headers_in` points at, so these get copies that no later field can lie over.
    let found = unsafe {
        let headers_in = &raw mut (*request.as_ptr()).headers_in;
        let slots = [
            &raw mut (*headers_in).if_none_match,
            &raw mut (*headers_in).if_modified_since,
            &raw mut (*headers_in).range,
        ];
        let mut found = false;
        for slot in slots {
            let Some(element) = (*slot).as_ref() else { continue };
            let copy = ngx::ffi::ngx_pcalloc(request.pool(), size_of::<ngx_table_elt_t>());
            let copy = NonNull::new(copy.cast::<ngx_table_elt_t>()).ok_or(OutOfMemory)?.as_ptr();
            (*copy).hash = element.hash;
            (*copy).key = element.key;
            (*copy).value = element.value;
            (*copy).lowcase_key = element.lowcase_key;
            *slot = copy;
            found = true;
        }
        list::remove(&raw mut (*headers_in).headers, request.pool(), |name| {
            is_validator(name) || name.eq_ignore_ascii_case(b"range")
        })?;
        found
    };
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
    // SAFETY: the list is the main request's own, and nginx points at copies of these fields.
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
