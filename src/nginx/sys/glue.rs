//! What glue.c has beside it, bound by bindgen in build.rs: bit fields of a request, and macros of nginx
//! and OpenSSL. Names are those of glue.c without `ngx_http_redis_cache_`.
#![allow(missing_docs, clippy::missing_safety_doc, reason = "bindgen writes the rest")]

use ngx::ffi::*;

/// Reads a bit field of a request that is alive.
pub(in crate::nginx) type Get = unsafe extern "C" fn(*const ngx_http_request_t) -> bool;

/// Sets a bit field of a request that is alive.
pub(in crate::nginx) type Set = unsafe extern "C" fn(*mut ngx_http_request_t, bool);

include!(concat!(env!("OUT_DIR"), "/glue.rs"));
