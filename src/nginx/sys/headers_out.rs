//! The header of a response that this module makes: each field goes into the slot where nginx's filters
//! look for it.

use std::ptr;

use ngx::ffi::{
    ngx_http_headers_out_t, ngx_http_set_content_type, ngx_http_weak_etag, ngx_parse_http_time,
    ngx_table_elt_t,
};

use crate::http::{Field, content_type, date_millis};
use crate::nginx::sys::list::Headers;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, glue, rc, str_over};

/// The header of the response to a request.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct HeadersOut(Request);

impl Request {
    pub fn headers_out(self) -> HeadersOut {
        HeadersOut(self)
    }
}

impl HeadersOut {
    /// Runs `work` on nginx's structure; it calls nothing of nginx.
    fn with<T>(self, work: impl FnOnce(&mut ngx_http_headers_out_t) -> T) -> T {
        // SAFETY: the request is alive, as its view guarantees, and one thread alone uses it.
        work(unsafe { &mut (*self.0.as_ptr()).headers_out })
    }

    /// Its fields.
    pub fn list(self) -> Headers {
        // SAFETY: the list is that of a live request, and lives in its pool.
        unsafe { Headers::new(&raw mut (*self.0.as_ptr()).headers_out.headers, self.0.pool()) }
    }

    pub fn set_status(self, status: u16) {
        self.with(|out| out.status = usize::from(status));
    }

    /// Sets the status line behind the version; it lives as long as the request's pool.
    pub fn set_status_line(self, line: &[u8]) {
        self.with(|out| out.status_line = str_over(line));
    }

    /// Sets the length of the body.
    pub fn set_length(self, length: usize) {
        self.with(|out| out.content_length_n = i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// Makes the ETag weak.
    pub fn weaken_etag(self) {
        // SAFETY: the request is alive.
        unsafe { ngx_http_weak_etag(self.0.as_ptr()) };
    }

    /// Sets the type that `types` and `default_type` give.
    pub fn set_type_by_name(self) -> Result<(), OutOfMemory> {
        // SAFETY: the request is alive.
        match unsafe { ngx_http_set_content_type(self.0.as_ptr()) } {
            rc::OK => Ok(()),
            _ => Err(OutOfMemory),
        }
    }

    /// Whether the body is in a content coding.
    pub fn is_coded(self) -> bool {
        self.with(|out| !out.content_encoding.is_null())
    }

    /// Sets a field. Of those that have a slot the first line counts.
    ///
    /// # Safety
    /// Its strings live as long as the request's pool.
    pub unsafe fn set(self, field: Field<'_>) -> Result<(), OutOfMemory> {
        if field.is("content-type") {
            self.set_content_type(field.value);
            return Ok(());
        }
        let slot = self.with(|out| slot_of(out, &field).map(ptr::from_mut));
        // SAFETY: the slot is one of a live request.
        if slot.is_some_and(|slot| unsafe { !(*slot).is_null() }) {
            return Ok(());
        }
        let (name, value) = (str_over(field.name.as_bytes()), str_over(field.value));
        // SAFETY: the caller guarantees that the strings live as long as the list.
        let element = unsafe { self.list().push_as_it_is(name, None, value)? };
        if let Some(slot) = slot {
            // SAFETY: as above.
            unsafe { *slot = element };
        }
        if field.is("last-modified") {
            self.with(|out| out.last_modified_time = seconds(field.value));
        }
        if field.is("cache-control") {
            // SAFETY: the request is alive, and the field is of its list.
            let linked = unsafe { glue::link_cache_control(self.0.as_ptr(), element) };
            if linked != rc::OK {
                return Err(OutOfMemory);
            }
        }
        Ok(())
    }

    /// Sets the type so that gzip, SSI, sub and charset see it without parameters, and the charset
    /// where nginx keeps it. The first line counts.
    fn set_content_type(self, value: &[u8]) {
        let (length, charset) = content_type::parts(value);
        self.with(|out| {
            if out.content_type.len > 0 {
                return;
            }
            out.content_type = str_over(value);
            out.content_type_len = length;
            out.content_type_lowcase = ptr::null_mut();
            if let Some(charset) = charset {
                out.charset = str_over(charset);
            }
        });
    }
}

/// Where nginx looks for a field.
fn slot_of<'a>(
    out: &'a mut ngx_http_headers_out_t,
    field: &Field<'_>,
) -> Option<&'a mut *mut ngx_table_elt_t> {
    Some(match field.name {
        name if name.eq_ignore_ascii_case("etag") => &mut out.etag,
        name if name.eq_ignore_ascii_case("last-modified") => &mut out.last_modified,
        name if name.eq_ignore_ascii_case("date") => &mut out.date,
        name if name.eq_ignore_ascii_case("server") => &mut out.server,
        name if name.eq_ignore_ascii_case("expires") => &mut out.expires,
        name if name.eq_ignore_ascii_case("content-encoding") => &mut out.content_encoding,
        // nginx makes a relative Location absolute where it stands in its slot.
        name if name.eq_ignore_ascii_case("location") && field.value.first() != Some(&b'/') => {
            &mut out.location
        }
        _ => return None,
    })
}

/// Seconds since 1970 of a date; -1 where it is none. nginx reads the usual form in a third of the
/// time, and some that are allowed not at all.
fn seconds(date: &[u8]) -> i64 {
    // SAFETY: nginx reads the bytes during the call alone.
    match unsafe { ngx_parse_http_time(date.as_ptr().cast_mut(), date.len()) } {
        -1 => date_millis(date).map_or(-1, |date| date / 1000),
        seconds => seconds,
    }
}
