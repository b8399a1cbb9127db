//! Conditions and ranges of a request whose answer may be stored: the client's are kept from the
//! application, which is to send the whole page, and the validators of a stale page take their place.

use crate::entry::Page;
use crate::http::range;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, glue};

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
    let unwanted = |name: &[u8]| is_validator(name) || name.eq_ignore_ascii_case(b"range");
    request.headers_in().remove(unwanted)?;
    if found {
        request.set(glue::set_disable_not_modified, true);
    }
    Ok(found)
}

/// Lets nginx's filters answer the client's own conditions.
pub(in crate::nginx) fn restore(request: Request) {
    request.set(glue::set_disable_not_modified, false);
}

/// Has nginx's filter answer If-Modified-Since of a page without Last-Modified by its Date, or by when
/// it was stored where it has none (RFC 9111 section 4.3.2).
pub(in crate::nginx) fn date_for_last_modified(request: Request, page: &Page<'_>) {
    // SAFETY: the request is alive, and nothing of its header was sent.
    unsafe {
        let asks = !request.raw().headers_in.if_modified_since.is_null();
        let out = &raw mut (*request.as_ptr()).headers_out;
        if asks && request.is_main() && (*out).last_modified.is_null() {
            (*out).last_modified_time = page.dated().map_or(-1, |date| date / 1000);
        }
    }
}

/// Takes the date back that stood for Last-Modified, which the page does not have.
pub(in crate::nginx) fn drop_last_modified_time(request: Request) {
    // SAFETY: the request is alive, and its header was not sent yet.
    unsafe {
        let out = &raw mut (*request.as_ptr()).headers_out;
        if (*out).last_modified.is_null() {
            (*out).last_modified_time = -1;
        }
    }
}

/// Takes If-None-Match and If-Modified-Since off a main request.
pub(in crate::nginx) fn drop_validators(request: Request) -> Result<(), OutOfMemory> {
    request.headers_in().remove(is_validator)
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
    for (name, lowercase, validator) in [
        ("If-None-Match", "if-none-match", page.own_etag()),
        ("If-Modified-Since", "if-modified-since", page.value("last-modified")),
    ] {
        if let Some(value) = validator {
            request.headers_in().push(name, Some(lowercase), value)?;
        }
    }
    Ok(())
}
