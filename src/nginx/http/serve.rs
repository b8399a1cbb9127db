//! A hit becomes a response: status, header and body from the stored value's own memory.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_LAST, ngx_buf_t, ngx_chain_t, ngx_http_discard_request_body, ngx_http_output_filter,
    ngx_http_request_t, ngx_http_send_header, ngx_http_send_special, ngx_http_set_content_type,
    ngx_int_t, ngx_parse_http_time, ngx_pcalloc, ngx_str_t, ngx_table_elt_t,
};

use crate::entry::Page;
use crate::http::{Field, list_members};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, layout, list, rc, str_over};
use crate::policy::Reuse;

/// Sends a raw value: 200, with the type that `types` and `default_type` give.
pub(in crate::nginx) fn raw(request: Request, body: &[u8]) -> ngx_int_t {
    // SAFETY: the request is alive, and nothing of its response was sent.
    unsafe {
        let discarded = ngx_http_discard_request_body(request.as_ptr());
        if discarded != rc::OK {
            return discarded;
        }
        let response = request.as_ptr();
        (*response).headers_out.status = 200;
        if ngx_http_set_content_type(response) != rc::OK {
            return rc::ERROR;
        }
        layout::ALLOW_RANGES.set(response, true);
    }
    send(request, body)
}

/// Sends a stored page.
pub(in crate::nginx) fn page(
    request: Request,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> ngx_int_t {
    // SAFETY: the request is alive, and nothing of its response was sent.
    let discarded = unsafe { ngx_http_discard_request_body(request.as_ptr()) };
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
    // SAFETY: the request is alive, and nothing of its response was sent; strings of the page
    // live as long as the request's pool.
    unsafe {
        let response = request.as_ptr();
        (*response).headers_out.status = usize::from(page.status);
        if page.status == 200 {
            layout::ALLOW_RANGES.set(response, true);
        }
        if set_fields(response, page, reuse, hidden).is_err() {
            return rc::ERROR;
        }
        #[cfg(ngx_feature = "http_gzip")]
        if !(*response).headers_out.content_encoding.is_null() {
            layout::GZIP_TESTED.set(response, true);
            layout::GZIP_OK.set(response, reuse.coding_accepted);
        }
    }
    send(request, page.body)
}

/// Sends header and body; the body is one buffer of memory that nobody writes to.
fn send(request: Request, body: &[u8]) -> ngx_int_t {
    // SAFETY: the request is alive; the buffer lies in its pool, and the body lives as long.
    unsafe {
        let response = request.as_ptr();
        (*response).headers_out.content_length_n = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let sent = ngx_http_send_header(response);
        if sent == rc::ERROR || sent > rc::OK || layout::HEADER_ONLY.get(response) {
            return sent;
        }
        if body.is_empty() {
            return ngx_http_send_special(response, NGX_HTTP_LAST as usize);
        }
        let buffer = ngx_pcalloc(request.pool(), size_of::<ngx_buf_t>()).cast::<ngx_buf_t>();
        if buffer.is_null() {
            return rc::ERROR;
        }
        (*buffer).pos = body.as_ptr().cast_mut();
        (*buffer).last = (*buffer).pos.add(body.len());
        (*buffer).start = (*buffer).pos;
        (*buffer).end = (*buffer).last;
        (*buffer).set_memory(1);
        let is_last = request.is_main() && !layout::POST_ACTION.get(response);
        (*buffer).set_last_buf(u32::from(is_last));
        (*buffer).set_last_in_chain(1);
        let mut chain = ngx_chain_t { buf: buffer, next: ptr::null_mut() };
        ngx_http_output_filter(response, &raw mut chain)
    }
}

/// Puts the fields of a page into `headers_out`, each into the slot where nginx looks for it.
unsafe fn set_fields(
    response: *mut ngx_http_request_t,
    page: &Page<'_>,
    reuse: &Reuse,
    hidden: &[String],
) -> Result<(), OutOfMemory> {
    // SAFETY: the caller guarantees a live request and strings that live as long.
    unsafe {
        let mut varies_on_coding = false;
        for field in page.fields_to_send() {
            if hidden.iter().any(|name| field.is(name)) {
                continue;
            }
            if field.name.eq_ignore_ascii_case("vary") {
                varies_on_coding |= list_members(field.value)
                    .any(|name| name.eq_ignore_ascii_case(b"accept-encoding"));
            }
            set_field(response, field)?;
        }
        let headers = &raw mut (*response).headers_out.headers;
        if !(*response).headers_out.content_encoding.is_null() && !varies_on_coding {
            let value = str_over(b"Accept-Encoding");
            list::push(headers, str_over(b"Vary"), ptr::null_mut(), value)?;
        }
        if let Some(age) = reuse.age {
            let value = ngx_str_t::from_bytes((*response).pool, age.to_string().as_bytes())
                .ok_or(OutOfMemory)?;
            list::push(headers, str_over(b"Age"), ptr::null_mut(), value)?;
        }
    }
    Ok(())
}

unsafe fn set_field(
    response: *mut ngx_http_request_t,
    field: Field<'_>,
) -> Result<(), OutOfMemory> {
    // SAFETY: as in `set_fields`; slots point at elements of the list that lives in the pool.
    unsafe {
        let out = &raw mut (*response).headers_out;
        if field.name.eq_ignore_ascii_case("content-type") {
            set_content_type(response, field.value);
            return Ok(());
        }
        let slot: Option<*mut *mut ngx_table_elt_t> = match field.name {
            name if name.eq_ignore_ascii_case("etag") => Some(&raw mut (*out).etag),
            name if name.eq_ignore_ascii_case("last-modified") => {
                Some(&raw mut (*out).last_modified)
            }
            name if name.eq_ignore_ascii_case("date") => Some(&raw mut (*out).date),
            name if name.eq_ignore_ascii_case("server") => Some(&raw mut (*out).server),
            name if name.eq_ignore_ascii_case("expires") => Some(&raw mut (*out).expires),
            name if name.eq_ignore_ascii_case("content-encoding") => {
                Some(&raw mut (*out).content_encoding)
            }
            // nginx makes a relative Location absolute where it stands in its slot.
            name if name.eq_ignore_ascii_case("location") && field.value.first() != Some(&b'/') => {
                Some(&raw mut (*out).location)
            }
            _ => None,
        };
        if slot.is_some_and(|slot| !(*slot).is_null()) {
            return Ok(());
        }
        let name = str_over(field.name.as_bytes());
        let value = str_over(field.value);
        let element = list::push(&raw mut (*out).headers, name, ptr::null_mut(), value)?;
        if let Some(slot) = slot {
            *slot = element;
        }
        if ptr::eq((*out).last_modified, element) {
            (*out).last_modified_time = ngx_parse_http_time(value.data, value.len);
        }
        if field.name.eq_ignore_ascii_case("cache-control") {
            link_cache_control(response, element)?;
        }
    }
    Ok(())
}

/// `headers_out.cache_control` is a linked list since nginx 1.23.
#[cfg(nginx_linked_headers)]
unsafe fn link_cache_control(
    response: *mut ngx_http_request_t,
    element: *mut ngx_table_elt_t,
) -> Result<(), OutOfMemory> {
    // SAFETY: every element of the chain lies in the request's list; the last has no next.
    unsafe {
        let mut link = &raw mut (*response).headers_out.cache_control;
        while !(*link).is_null() {
            link = &raw mut (**link).next;
        }
        *link = element;
    }
    Ok(())
}

/// `headers_out.cache_control` is an array of pointers before nginx 1.23.
#[cfg(not(nginx_linked_headers))]
unsafe fn link_cache_control(
    response: *mut ngx_http_request_t,
    element: *mut ngx_table_elt_t,
) -> Result<(), OutOfMemory> {
    use ngx::ffi::{ngx_array_push, ngx_palloc};
    // SAFETY: an array without elements is initialised as ngx_array_init does it; the push
    // gives room for one pointer, or null.
    unsafe {
        let array = &raw mut (*response).headers_out.cache_control;
        if (*array).elts.is_null() {
            const ROOM: usize = 2;
            (*array).size = size_of::<*mut ngx_table_elt_t>();
            (*array).nalloc = ROOM;
            (*array).pool = (*response).pool;
            (*array).elts = ngx_palloc((*response).pool, ROOM * (*array).size);
            if (*array).elts.is_null() {
                return Err(OutOfMemory);
            }
        }
        let place = ngx_array_push(array).cast::<*mut ngx_table_elt_t>();
        if place.is_null() {
            return Err(OutOfMemory);
        }
        *place = element;
    }
    Ok(())
}

/// Sets the type so that gzip, SSI, sub and charset see it without parameters, and the charset
/// where nginx keeps it. The first line counts.
unsafe fn set_content_type(response: *mut ngx_http_request_t, value: &[u8]) {
    let essence = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    let length = value.get(..essence).unwrap_or(value).trim_ascii_end().len();
    let charset = value.split(|&byte| byte == b';').skip(1).map(<[u8]>::trim_ascii).find_map(|p| {
        let (name, charset) = p.split_at_checked(8)?;
        name.eq_ignore_ascii_case(b"charset=").then_some(charset)
    });
    let charset = charset.map(|charset| {
        charset.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\"")).unwrap_or(charset)
    });
    // SAFETY: the request is alive, and the value lives as long as its pool.
    unsafe {
        let out = &raw mut (*response).headers_out;
        if (*out).content_type.len > 0 {
            return;
        }
        (*out).content_type = str_over(value);
        (*out).content_type_len = length;
        (*out).content_type_lowcase = ptr::null_mut();
        if let Some(charset) = charset {
            (*out).charset = str_over(charset);
        }
    }
}
