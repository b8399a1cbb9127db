//! A hit becomes a response: status, header and body from the stored value's own memory.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_LAST, ngx_chain_t, ngx_http_output_filter, ngx_http_send_header,
    ngx_http_send_special, ngx_int_t,
};

use crate::entry::Page;
use crate::http::list_members;
use crate::nginx::http::conditions;
use crate::nginx::sys::headers_out::HeadersOut;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, chain, glue, rc};
use crate::policy::Reuse;

/// Sends a raw value: 200, with the type that `types` and `default_type` give.
pub(in crate::nginx) fn raw(request: Request, body: &[u8]) -> ngx_int_t {
    let discarded = request.discard_body();
    if discarded != rc::OK {
        return discarded;
    }
    let out = request.headers_out();
    out.set_status(200);
    if out.set_type_by_name().is_err() {
        return rc::ERROR;
    }
    request.set(glue::set_allow_ranges, true);
    send(request, body)
}

/// Sends a status alone.
pub(in crate::nginx) fn status(request: Request, status: u16) -> ngx_int_t {
    let discarded = request.discard_body();
    if discarded != rc::OK {
        return discarded;
    }
    request.headers_out().set_status(status);
    send(request, b"")
}

/// Sends a stored page.
pub(in crate::nginx) fn page(
    request: Request,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> ngx_int_t {
    let discarded = request.discard_body();
    if discarded != rc::OK {
        return discarded;
    }
    respond(request, page, reuse, hidden)
}

/// Sends a stored page to a request whose body is read; fields called as in `hidden` are left
/// out.
pub(in crate::nginx) fn respond(
    request: Request,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> ngx_int_t {
    request.obey_precedence();
    let out = request.headers_out();
    out.set_status(page.status);
    match page.status {
        200 => request.set(glue::set_allow_ranges, true),
        // nginx sees to it that there is no body, unless the line is given.
        204 => {}
        _ if !page.phrase().is_empty() => out.set_status_line(page.status_line),
        _ => {}
    }
    if set_fields(out, page, reuse, hidden).is_err() {
        return rc::ERROR;
    }
    if page.status == 200 {
        conditions::date_for_last_modified(request, page);
    }
    #[cfg(ngx_feature = "http_gzip")]
    if out.is_coded() {
        request.set(glue::set_gzip_tested, true);
        request.set(glue::set_gzip_ok, reuse.coding_accepted);
    }
    send(request, page.body)
}

/// Sends header and body; the body is one buffer of memory that nobody writes to.
fn send(request: Request, body: &[u8]) -> ngx_int_t {
    let response = request.as_ptr();
    request.headers_out().set_length(body.len());
    // SAFETY: the request is alive, and nothing of its response was sent.
    let sent = unsafe { ngx_http_send_header(response) };
    if sent == rc::ERROR || sent > rc::OK || request.has(glue::header_only) {
        return sent;
    }
    if body.is_empty() {
        // SAFETY: the request is alive.
        return unsafe { ngx_http_send_special(response, NGX_HTTP_LAST as usize) };
    }
    let is_last = request.is_main() && !request.has(glue::post_action);
    // SAFETY: the request is alive, and the body lives as long as its pool; nginx copies the link.
    unsafe {
        let Ok(buf) = chain::over(body, request.pool(), is_last) else { return rc::ERROR };
        let mut link = ngx_chain_t { buf, next: ptr::null_mut() };
        ngx_http_output_filter(response, &raw mut link)
    }
}

/// Sets the fields of a page.
fn set_fields(
    out: HeadersOut,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> Result<(), OutOfMemory> {
    let mut varies_on_coding = false;
    for field in page.fields_to_send() {
        if hidden.iter().any(|name| field.is(name)) {
            continue;
        }
        if field.is("vary") {
            varies_on_coding |=
                list_members(field.value).any(|name| name.eq_ignore_ascii_case(b"accept-encoding"));
        }
        // SAFETY: the strings of the page live as long as the request's pool.
        unsafe { out.set(field)? };
    }
    if out.is_coded() && !varies_on_coding {
        out.list().push("Vary", None, b"Accept-Encoding")?;
    }
    if let Some(age) = reuse.age {
        out.list().push("Age", None, age.to_string().as_bytes())?;
    }
    Ok(())
}
