//! nginx's structures made safe: what a [`request`] and a [`response`] say, their header [`list`]s and the
//! [`chain`]s of their bodies, the header of an answer of our own ([`headers_out`]), what only C can
//! say in [`glue`], and Rust's idea of all of them in [`layout`].

pub(in crate::nginx) mod chain;
pub(in crate::nginx) mod cookies;
pub(in crate::nginx) mod field_lines;
pub(in crate::nginx) mod glue;
pub(in crate::nginx) mod headers_out;
pub(in crate::nginx) mod layout;
pub(in crate::nginx) mod list;
pub(in crate::nginx) mod request;
pub(in crate::nginx) mod response;
pub(in crate::nginx) mod variables;

use std::time::{SystemTime, UNIX_EPOCH};

use ngx::ffi::ngx_str_t;

/// nginx's return codes, in the type that its functions use.
pub(in crate::nginx) mod rc {
    use ngx::ffi::ngx_int_t;

    pub const OK: ngx_int_t = ngx::ffi::NGX_OK as ngx_int_t;
    pub const ERROR: ngx_int_t = ngx::ffi::NGX_ERROR as ngx_int_t;
    pub const DONE: ngx_int_t = ngx::ffi::NGX_DONE as ngx_int_t;
    pub const DECLINED: ngx_int_t = ngx::ffi::NGX_DECLINED as ngx_int_t;
    pub const INTERNAL_SERVER_ERROR: ngx_int_t =
        ngx::ffi::NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
}

/// nginx could not give memory.
pub(in crate::nginx) struct OutOfMemory;

/// The name in the error log.
pub(in crate::nginx) const NAME: &str = "redis_cache";

/// The time in milliseconds since 1970.
pub(in crate::nginx) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// nginx's own clock in milliseconds: it stands still in a turn of the event loop, and is the same
/// for all workers.
pub(in crate::nginx) fn now_of_nginx() -> usize {
    // SAFETY: a plain value, which nothing changes in the middle of a callback.
    unsafe { ngx::ffi::ngx_current_msec }
}

/// The bytes of an nginx string.
///
/// # Safety
/// The string is empty, or its bytes live and do not change for `'a`.
pub(in crate::nginx) unsafe fn bytes_of<'a>(string: ngx_str_t) -> &'a [u8] {
    if string.len == 0 || string.data.is_null() {
        return &[];
    }
    // SAFETY: the caller guarantees it.
    unsafe { std::slice::from_raw_parts(string.data, string.len) }
}

/// An nginx string over bytes that Rust owns. nginx does not write through it.
pub(in crate::nginx) fn str_over(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}

/// Whether the worker is about to end.
pub(in crate::nginx) fn worker_is_exiting() -> bool {
    // SAFETY: nginx is single-threaded; a signal handler never writes this flag.
    unsafe { ngx::ffi::ngx_exiting != 0 }
}

/// A random part: above 0, and at most 1.
pub(in crate::nginx) fn random_part() -> f64 {
    let bits = u32::try_from(ngx::ffi::ngx_random() & 0x7fff_ffff).unwrap_or(0);
    (f64::from(bits) + 1.0) / f64::from(1_u32 << 31)
}

/// A random number below 65,536, for jitter.
pub(in crate::nginx) fn random() -> u32 {
    u32::try_from(ngx::ffi::ngx_random() & 0xffff).unwrap_or(0)
}
