//! A view of the application's answer in the header filter: what it says, and what of it goes to
//! clients and into Redis.

use ngx::ffi::{ngx_http_upstream_t, ngx_str_t, ngx_table_elt_t};

use crate::http::{Field, field_value};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{bytes_of, list, now_millis};

/// An answer whose header has arrived.
pub(in crate::nginx) struct Response<'a> {
    request: Request,
    pub status: u16,
    /// The fields as they came, also those that nginx hides from clients.
    pub received: Vec<Field<'a>>,
}

impl<'a> Response<'a> {
    pub fn of(request: Request) -> Self {
        // SAFETY: the lists live as long as the request, and are not changed while they are read.
        let mut received = unsafe {
            match upstream(request) {
                Some(upstream) => as_fields(list::fields(&raw const upstream.headers_in.headers)),
                None => as_fields(sent(request)),
            }
        };
        // nginx adds these to an answer that has none, so that it sends none of its own.
        received
            .retain(|field| !field.value.is_empty() || !(field.is("date") || field.is("server")));
        let status = u16::try_from(request.raw().headers_out.status).unwrap_or(0);
        Self { request, status, received }
    }

    /// Whether the status is not the one that the upstream sent: the answer is made of parts, or
    /// another module's.
    pub fn is_altered(&self) -> bool {
        let status = upstream(self.request).map(|upstream| upstream.headers_in.status_n);
        status.is_some_and(|status| status != usize::from(self.status))
    }

    /// The length of the body, where it is stated.
    pub fn length(&self) -> Option<usize> {
        let stated = match upstream(self.request) {
            Some(upstream) => upstream.headers_in.content_length_n,
            None => self.request.raw().headers_out.content_length_n,
        };
        usize::try_from(stated).ok()
    }

    /// Whether the end of the connection is known to be the only end of the body: that of an
    /// application which speaks HTTP/1.0, or says that it closes.
    pub fn ends_with_connection(&self) -> bool {
        upstream(self.request).is_some_and(|upstream| {
            // SAFETY: the string lives as long as the request.
            let is_http = unsafe { bytes_of(upstream.schema) }.starts_with(b"http");
            let headers = &upstream.headers_in;
            is_http
                && headers.connection_close() != 0
                && headers.chunked() == 0
                && headers.content_length_n < 0
        })
    }

    /// The reason phrase.
    pub fn phrase(&self) -> &'a [u8] {
        // SAFETY: the line lives as long as the request.
        let line = unsafe { bytes_of(self.request.raw().headers_out.status_line) };
        match line.get(4..) {
            Some(phrase) => phrase,
            None if self.status == 200 => b"OK",
            None => b"",
        }
    }

    /// The fields that go to clients and are stored: those of `headers_out`, those that nginx
    /// keeps elsewhere, and the Date of the application. `None` is out of memory.
    pub fn to_store(&self) -> Option<Vec<Field<'a>>> {
        let out = &self.request.raw().headers_out;
        let mut fields = Vec::new();
        // SAFETY: strings of a response live as long as the request.
        unsafe {
            let content_type = bytes_of(out.content_type);
            if !content_type.is_empty() {
                let charset = bytes_of(out.charset);
                let value = if charset.is_empty() || out.content_type_len != content_type.len() {
                    content_type
                } else {
                    self.keep(&[content_type, b"; charset=", charset].concat())?
                };
                fields.push(Field { name: "Content-Type", value });
            }
            fields.append(&mut as_fields(sent(self.request)));
        }
        // What nginx itself has set for this client, as its access rules may, is not the page's.
        if upstream(self.request).is_some() {
            fields.retain(|field| {
                field.is("content-type") || self.received.iter().any(|own| own.is(field.name))
            });
        }
        if out.last_modified.is_null() && out.last_modified_time != -1 {
            if let Some(value) = self.date(out.last_modified_time) {
                fields.push(Field { name: "Last-Modified", value });
            }
        }
        if field_value(&fields, "date").is_none() {
            let received = field_value(&self.received, "date");
            if let Some(value) = received.or_else(|| self.date_of_arrival()) {
                fields.push(Field { name: "Date", value });
            }
        }
        Some(fields)
    }

    /// What Date says of an answer that arrives now; `None` is out of memory.
    pub fn date_of_arrival(&self) -> Option<&'a [u8]> {
        self.date(now_millis() / 1000)
    }

    fn date(&self, seconds: i64) -> Option<&'a [u8]> {
        let since = std::time::Duration::from_secs(u64::try_from(seconds).ok()?);
        self.keep(httpdate::fmt_http_date(std::time::UNIX_EPOCH + since).as_bytes())
    }

    /// A copy that lives as long as the request.
    pub fn keep(&self, bytes: &[u8]) -> Option<&'a [u8]> {
        // SAFETY: the copy lies in the request's pool.
        unsafe { ngx_str_t::from_bytes(self.request.pool(), bytes).map(|copy| bytes_of(copy)) }
    }
}

/// The upstream that answers.
pub(in crate::nginx) fn upstream<'a>(request: Request) -> Option<&'a ngx_http_upstream_t> {
    // SAFETY: the upstream lives as long as its request.
    unsafe { request.raw().upstream.as_ref() }
}

/// The fields of `headers_out` that are sent.
///
/// # Safety
/// The list is not changed for `'a`.
unsafe fn sent<'a>(request: Request) -> impl Iterator<Item = &'a ngx_table_elt_t> {
    // SAFETY: the caller guarantees it; the list lives as long as the request.
    let fields = unsafe { list::fields(&raw const (*request.as_ptr()).headers_out.headers) };
    fields.filter(|field| field.hash != 0)
}

/// Fields whose name is text; one with another name could not be stored.
fn as_fields<'a>(elements: impl Iterator<Item = &'a ngx_table_elt_t>) -> Vec<Field<'a>> {
    elements
        .filter_map(|element| {
            // SAFETY: strings of a field live as long as its list.
            let (name, value) = unsafe { (bytes_of(element.key), bytes_of(element.value)) };
            Some(Field { name: std::str::from_utf8(name).ok()?, value })
        })
        .collect()
}
