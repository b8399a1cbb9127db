//! A hit becomes a response: status, header and body from the stored value's own memory.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_LAST, ngx_chain_t, ngx_http_output_filter, ngx_http_send_header,
    ngx_http_send_special, ngx_int_t,
};

use crate::coder;
use crate::coder::Undecodable;
use crate::entry::Page;
use crate::http::{Field, list_members};
use crate::nginx::http::conditions;
use crate::nginx::http::lookup::{Decision, Lookup};
use crate::nginx::sys::headers_out::HeadersOut;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, chain, glue, now_millis, rc};
use crate::nginx::worker;
use crate::policy;
use crate::policy::{Form, Reuse};
use crate::reason::Reason;

/// The field that a page in a content coding varies on.
const CODING_FIELD: &[u8] = b"accept-encoding";

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

/// The body of a page in the form in which it is sent. What is decoded lives with the lookup.
pub(in crate::nginx) fn body<'a>(
    lookup: Lookup,
    page: &Page<'a>,
    form: Form,
) -> Result<&'a [u8], Reason> {
    let Form::Decoded(coding) = form else { return Ok(page.body) };
    let most = lookup.plan().max_size;
    let room = worker::room(lookup);
    let decoded = coder::decode(coding, page.body, most.min(room)).map_err(|why| match why {
        Undecodable::Damaged => Reason::Coding,
        Undecodable::TooLarge if room < most => Reason::Overload,
        Undecodable::TooLarge => Reason::TooLarge,
    })?;
    let held = worker::hold(lookup, decoded).ok_or(Reason::Internal)?;
    // SAFETY: one body is decoded in the life of a lookup, or one in the place of another.
    Ok(unsafe { lookup.keep_decoded(held) })
}

/// Sends a stored page with `body`, that of its form.
pub(in crate::nginx) fn page(
    lookup: Lookup,
    page: &Page<'_>,
    reuse: &Reuse,
    body: &[u8],
) -> ngx_int_t {
    let discarded = lookup.request().discard_body();
    if discarded != rc::OK {
        return discarded;
    }
    respond(lookup, page, reuse, body)
}

/// Decides that a page is sent that has been stale for `staleness` milliseconds: what of it is reused.
pub(in crate::nginx) fn decide_stale(
    lookup: Lookup,
    page: &Page<'_>,
    form: Form,
    reason: Reason,
    staleness: i64,
) -> Reuse {
    let reuse = Reuse { age: policy::age_of(page, now_millis()), ttl: None, form };
    lookup.decide(Decision { reason, age: reuse.age, ttl: Some(-(staleness / 1000)) });
    reuse
}

/// Sends a stored page to a request whose body is read.
pub(in crate::nginx) fn respond(
    lookup: Lookup,
    page: &Page<'_>,
    reuse: &Reuse,
    body: &[u8],
) -> ngx_int_t {
    let request = lookup.request();
    request.obey_precedence();
    let out = request.headers_out();
    out.set_status(page.status);
    match page.status {
        // nginx sees to it that there is no body, unless the line is given.
        200 | 204 => {}
        _ if !page.phrase().is_empty() => out.set_status_line(page.status_line),
        _ => {}
    }
    if set_fields(out, page, reuse, &lookup.plan().hidden).is_err() {
        return rc::ERROR;
    }
    if page.status == 200 {
        // Parts are those of the decoded form, where there is one.
        let asks = !request.raw().headers_in.range.is_null();
        let has_parts = lookup.plan().compress.is_none() || !out.is_coded() || asks;
        request.set(glue::set_allow_ranges, has_parts);
        conditions::date_for_last_modified(request, page);
    }
    #[cfg(ngx_feature = "http_gzip")]
    if out.is_coded() {
        request.set(glue::set_gzip_tested, true);
        request.set(glue::set_gzip_ok, reuse.form == Form::Stored);
    }
    send(request, body)
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

/// Sets the fields of a page; those called as in `hidden` are left out.
fn set_fields(
    out: HeadersOut,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> Result<(), OutOfMemory> {
    let is_decoded = matches!(reuse.form, Form::Decoded(_));
    match is_decoded {
        false => set_each(out, page.fields_to_send(), hidden)?,
        true => set_each(out, page.fields_to_send_decoded(), hidden)?,
    }
    // The application's tag is that of the coded form, where the coding is the application's.
    if is_decoded && page.facts.coded.is_none() {
        out.weaken_etag();
    }
    let has_vary = |line| list_members(line).any(|name| name.eq_ignore_ascii_case(CODING_FIELD));
    if (is_decoded || out.is_coded()) && !page.values("vary").any(has_vary) {
        out.list().push("Vary", None, b"Accept-Encoding")?;
    }
    if let Some(age) = reuse.age {
        out.list().push("Age", None, age.to_string().as_bytes())?;
    }
    Ok(())
}

fn set_each<'a>(
    out: HeadersOut,
    fields: impl Iterator<Item = Field<'a>>,
    hidden: &[String],
) -> Result<(), OutOfMemory> {
    for field in fields.filter(|field| !hidden.iter().any(|name| field.is(name))) {
        // SAFETY: the strings of the page live as long as the request's pool.
        unsafe { out.set(field)? };
    }
    Ok(())
}
