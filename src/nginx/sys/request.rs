//! A view of a request: what the pure half asks of it.

use std::borrow::Cow;
use std::ptr::NonNull;

use ngx::ffi::{
    NGX_ESCAPE_URI, NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_OPTIONS, NGX_HTTP_TRACE,
    ngx_connection_t, ngx_escape_uri, ngx_http_core_srv_conf_t, ngx_http_discard_request_body,
    ngx_http_log_ctx_t, ngx_http_request_t, ngx_int_t, ngx_log_t, ngx_pool_t, ngx_str_t,
};
use ngx::http::{HttpModuleServerConf, NgxHttpCoreModule};

use crate::http::Field;
use crate::http::cache_control::RequestControl;
use crate::key::Authority;
use crate::nginx::sys::list::Headers;
use crate::nginx::sys::{OutOfMemory, bytes_of, glue, list, str_over};
use crate::reason::Reason;

/// A request that nginx holds alive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::nginx) struct Request(NonNull<ngx_http_request_t>);

impl Request {
    /// A view for the time of one callback of nginx.
    ///
    /// # Safety
    /// The request is alive, and no view of it is used after it is finalized.
    pub unsafe fn new(request: *mut ngx_http_request_t) -> Option<Self> {
        NonNull::new(request).map(Self)
    }

    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    /// nginx's structure, to be read.
    pub fn raw<'a>(self) -> &'a ngx_http_request_t {
        // SAFETY: the request is alive (see `new`), and one thread alone uses it.
        unsafe { self.0.as_ref() }
    }

    /// Whether a bit field is set.
    pub fn has(self, bit: glue::Get) -> bool {
        // SAFETY: the request is alive (see `new`).
        unsafe { bit(self.as_ptr()) }
    }

    pub fn connection(self) -> *mut ngx_connection_t {
        self.raw().connection
    }

    pub fn pool(self) -> *mut ngx_pool_t {
        self.raw().pool
    }

    pub fn log(self) -> *mut ngx_log_t {
        // SAFETY: a live request has a connection.
        unsafe { (*self.connection()).log }
    }

    /// Makes log lines speak of this request, as nginx's upstream does after an event.
    pub fn set_as_log_context(self) {
        // SAFETY: the log of an http connection carries this context.
        unsafe {
            let context = (*self.log()).data.cast::<ngx_http_log_ctx_t>();
            if !context.is_null() {
                (*context).current_request = self.as_ptr();
            }
        }
    }

    pub fn is_main(self) -> bool {
        self.raw().main == self.as_ptr()
    }

    pub fn is_get(self) -> bool {
        self.raw().method == NGX_HTTP_GET as usize
    }

    fn server(self) -> Option<&'static ngx_http_core_srv_conf_t> {
        NgxHttpCoreModule::server_conf(self.raw())
    }

    /// The fields of the request. A subrequest shares those of its main request.
    pub fn headers_in(self) -> Headers {
        // SAFETY: the list is that of a live request, and lives in its pool.
        unsafe { Headers::new(&raw mut (*self.as_ptr()).headers_in.headers, self.pool()) }
    }

    /// All fields; `None` where the name of one is no text.
    pub fn fields<'a>(self) -> Option<Vec<Field<'a>>> {
        // SAFETY: the list lives as long as the request and is not changed while it is read, and
        // neither are the strings.
        unsafe {
            list::fields(&raw const (*self.as_ptr()).headers_in.headers)
                .map(|field| {
                    let name = std::str::from_utf8(bytes_of(field.key)).ok()?;
                    Some(Field { name, value: bytes_of(field.value) })
                })
                .collect()
        }
    }

    /// The values of all request header lines called `name`.
    pub fn header_values<'a>(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        // SAFETY: the list lives as long as the request and is not changed while it is read.
        unsafe { list::values(&raw const (*self.as_ptr()).headers_in.headers, name) }
    }

    /// All lines of a request header joined with `, `; `None` where there is none.
    pub fn header(self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.header_values(name);
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    /// The main request, where this is a subrequest.
    pub fn main(self) -> Option<Self> {
        NonNull::new(self.raw().main).map(Self).filter(|_| !self.is_main())
    }

    /// Whether the request has a field called `name`.
    pub fn has_header(self, name: &str) -> bool {
        self.header_values(name).next().is_some()
    }

    /// The Cache-Control of the request.
    pub fn control(self) -> RequestControl {
        RequestControl::parse(self.header_values("cache-control"), self.header_values("pragma"))
    }

    /// Whether the method may change something (RFC 9110 section 9.2.1).
    pub fn is_unsafe(self) -> bool {
        const SAFE: u32 = NGX_HTTP_GET
            | NGX_HTTP_HEAD
            | NGX_HTTP_OPTIONS
            | NGX_HTTP_TRACE
            | ngx::ffi::NGX_HTTP_PROPFIND;
        self.raw().method & SAFE as usize == 0
    }

    /// Whether the request has a body, even an empty one without a stated length.
    pub fn has_body(self) -> bool {
        let headers_in = &self.raw().headers_in;
        headers_in.content_length_n > 0 || headers_in.chunked() != 0
    }

    /// Takes from nginx's filters what RFC 9110 does not let them act on: If-Modified-Since beside
    /// If-None-Match (section 13.2.2), Range of a HEAD (14.2), and Range beside an If-Range with a
    /// weak tag (13.1.5).
    pub fn obey_precedence(self) {
        // SAFETY: the request is alive; fields are elements of its list.
        unsafe {
            let headers_in = &raw mut (*self.as_ptr()).headers_in;
            if !(*headers_in).if_none_match.is_null() {
                (*headers_in).if_modified_since = std::ptr::null_mut();
            }
            let weak = (*headers_in)
                .if_range
                .as_ref()
                .is_some_and(|field| bytes_of(field.value).starts_with(b"W/"));
            if weak || !self.is_get() {
                (*headers_in).range = std::ptr::null_mut();
            }
        }
    }

    /// Adds to the count of those who hold the main request; each gives its own back by
    /// `ngx_http_finalize_request`.
    pub fn hold(self) {
        // SAFETY: the request is alive (see `new`), and so is its main request.
        unsafe { glue::hold(self.as_ptr()) };
    }

    /// Sets a bit field.
    pub fn set(self, bit: glue::Set, value: bool) {
        // SAFETY: the request is alive (see `new`).
        unsafe { bit(self.as_ptr(), value) }
    }

    /// Whether an internal redirect brought the request here after another response: error_page
    /// and X-Accel-Redirect do, try_files does not.
    pub fn is_after_response(self) -> bool {
        !self.raw().upstream.is_null() || self.is_error_page()
    }

    /// Whether another cache of nginx answers.
    pub fn is_cached(self) -> bool {
        #[cfg(ngx_feature = "http_cache")]
        return self.has(glue::cached);
        #[cfg(not(ngx_feature = "http_cache"))]
        return false;
    }

    /// Whether the response is one that nginx makes for an error, or that error_page names.
    pub fn is_error_page(self) -> bool {
        self.has(glue::error_page) || self.raw().err_status != 0
    }

    /// Has the status of the response be its own again, not that of an error.
    pub fn forget_error(self) {
        // SAFETY: the request is alive (see `new`).
        unsafe { (*self.as_ptr()).err_status = 0 };
    }

    pub fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    fn is_tls(self) -> bool {
        // SAFETY: a live request has a connection.
        #[cfg(ngx_feature = "http_ssl")]
        return unsafe { !(*self.connection()).ssl.is_null() };
        #[cfg(not(ngx_feature = "http_ssl"))]
        return false;
    }

    pub fn host_header<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the header is null or an element of the request's list.
        unsafe { self.raw().headers_in.host.as_ref().map(|host| bytes_of(host.value)) }
    }

    /// The host that selected the server and the port that the client named. A Host header that
    /// names another host (an absolute-form request) is refused with [`Reason::Host`].
    pub fn authority<'a>(self) -> Result<Authority<'a>, Reason> {
        // SAFETY: strings of a request live as long as it, those of a server longer.
        let (selected, server_name) = unsafe {
            let name = self.server().map(|server| bytes_of(server.server_name));
            (bytes_of(self.raw().headers_in.server), name.unwrap_or_default())
        };
        let host = if selected.is_empty() { server_name } else { selected };
        if host.is_empty() {
            return Err(Reason::Host);
        }
        let named = match self.host_header() {
            Some(header) => Some(Authority::parse(header)?),
            // An absolute-form target without Host comes from no current client.
            None if !self.raw().host_start.is_null() => return Err(Reason::Host),
            None => None,
        };
        match named {
            Some(named) if named.host.eq_ignore_ascii_case(host) => {
                Ok(Authority { host, port: named.port })
            }
            Some(_) => Err(Reason::Host),
            None => Ok(Authority { host, port: None }),
        }
    }

    /// Gives a main request of HTTP/3 the Host that an intermediary has to make of `:authority`
    /// (RFC 9114 section 4.3.1); nginx does so for HTTP/2 alone.
    pub fn complete_host(self) -> Result<(), OutOfMemory> {
        let raw = self.raw();
        let has_host = !raw.headers_in.host.is_null();
        let is_named = !raw.host_start.is_null() && !raw.host_end.is_null();
        if raw.http_version != glue::NGX_HTTP_VERSION_30 as usize || has_host || !is_named {
            return Ok(());
        }
        // SAFETY: both ends point into one string of the request; the list is its own.
        unsafe {
            let len = usize::try_from(raw.host_end.offset_from(raw.host_start)).unwrap_or(0);
            let value = ngx_str_t { len, data: raw.host_start };
            let host = self.headers_in().push_as_it_is(str_over(b"Host"), Some("host"), value)?;
            (*self.as_ptr()).headers_in.host = host;
        }
        Ok(())
    }

    /// The request target as it was sent; of a subrequest its own uri, escaped, and args.
    /// `None` is out of memory.
    pub fn target<'a>(self) -> Option<Cow<'a, [u8]>> {
        let raw = self.raw();
        // SAFETY: strings of a request live as long as it.
        let (unparsed, uri, args) =
            unsafe { (bytes_of(raw.unparsed_uri), bytes_of(raw.uri), bytes_of(raw.args)) };
        if self.is_main() {
            return Some(unparsed.into());
        }
        let mut target = escaped(uri, 1 + args.len())?;
        if !args.is_empty() {
            target.push(b'?');
            target.extend_from_slice(args);
        }
        Some(target.into())
    }

    /// Reads the body away, which the response does not depend on.
    pub fn discard_body(self) -> ngx_int_t {
        // SAFETY: the request is alive (see `new`).
        unsafe { ngx_http_discard_request_body(self.as_ptr()) }
    }
}

/// A uri escaped as nginx does it, with `room` behind it; `None` is out of memory.
fn escaped(uri: &[u8], room: usize) -> Option<Vec<u8>> {
    let (source, kind) = (uri.as_ptr().cast_mut(), NGX_ESCAPE_URI as usize);
    let mut escaped = Vec::<u8>::new();
    // SAFETY: nginx reads the uri alone, and writes as many bytes as it has computed, for which there
    // is room.
    unsafe {
        let more = 2 * ngx_escape_uri(std::ptr::null_mut(), source, uri.len(), kind);
        escaped.try_reserve_exact(uri.len() + more + room).ok()?;
        if more == 0 {
            escaped.extend_from_slice(uri);
        } else {
            ngx_escape_uri(escaped.as_mut_ptr(), source, uri.len(), kind);
            escaped.set_len(uri.len() + more);
        }
    }
    Some(escaped)
}
