//! `$redis_cache_*`. They keep their values through the named location.

use ngx::ffi::{
    NGX_HTTP_VAR_NOCACHEABLE, ngx_conf_t, ngx_http_add_variable, ngx_http_request_t,
    ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
};

use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{rc, str_over};
use crate::reason::Status;

/// The value of a variable; `None` is not found, an empty string in most places.
type Get = fn(Request) -> Option<Vec<u8>>;

const VARIABLES: &[(&str, Get)] = &[
    ("redis_cache_uri", |request| request.cache_uri(&request.origin_anywhere().ok()?).ok()),
    ("redis_cache_scheme", |request| Some(request.origin_anywhere().ok()?.scheme.into())),
    ("redis_cache_host", |request| Some(request.origin_anywhere().ok()?.uri(b"/").authority())),
    ("redis_cache_status", |request| {
        let reason = Lookup::of(request)?.reason()?;
        Some(reason.status().as_str().into())
    }),
    ("redis_cache_reason", |request| Some(Lookup::of(request)?.reason()?.as_str().into())),
    ("redis_cache_store_reason", |request| {
        Some(Lookup::of(request)?.store_reason()?.as_str().into())
    }),
    ("redis_cache_key", |request| {
        let lookup = Lookup::of(request)?;
        Some(lookup.key()?.bytes.clone())
    }),
    ("redis_cache_age", |request| {
        Some(Lookup::of(request)?.decision()?.age?.to_string().into_bytes())
    }),
    ("redis_cache_time", |request| {
        let took = Lookup::of(request)?.waited()?;
        Some(format!("{}.{:06}", took.as_secs(), took.subsec_micros()).into_bytes())
    }),
    ("redis_cache_wait_time", |request| {
        let waited = Lookup::of(request)?.waited_for_fill()?;
        Some(format!("{}.{:03}", waited.as_secs(), waited.subsec_millis()).into_bytes())
    }),
    ("redis_cache_server", |request| {
        let lookup = Lookup::of(request)?;
        let failed = lookup.reason().is_some_and(|reason| reason.status() == Status::Error);
        if lookup.waited().is_none() && !failed {
            return None;
        }
        if let Some(server) = lookup.server() {
            return Some(server.as_bytes().to_vec());
        }
        let name = &request.main_conf()?.endpoints.get(lookup.active().endpoint)?.name;
        Some(name.clone().into_bytes())
    }),
];

/// Registers the variables.
///
/// # Safety
/// `cf` is nginx's context in preconfiguration.
pub(in crate::nginx) unsafe fn register(cf: *mut ngx_conf_t) -> ngx_int_t {
    for (at, (name, _)) in VARIABLES.iter().enumerate() {
        let mut name = str_over(name.as_bytes());
        // SAFETY: the caller guarantees it; nginx copies the name.
        unsafe {
            let flags = NGX_HTTP_VAR_NOCACHEABLE as usize;
            let variable = ngx_http_add_variable(cf, &raw mut name, flags);
            if variable.is_null() {
                return rc::ERROR;
            }
            (*variable).get_handler = Some(get);
            (*variable).data = at;
        }
    }
    rc::OK
}

unsafe extern "C" fn get(
    request: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    at: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request and room for a value, which lives in its pool.
    unsafe {
        let Some(request) = Request::new(request) else { return rc::ERROR };
        let Some(found) = VARIABLES.get(at).and_then(|(_, get)| get(request)) else {
            (*value).set_not_found(1);
            return rc::OK;
        };
        let Some(text) = ngx_str_t::from_bytes(request.pool(), &found) else { return rc::ERROR };
        (*value).set_len(u32::try_from(text.len).unwrap_or(0));
        (*value).data = text.data;
        (*value).set_valid(1);
        (*value).set_no_cacheable(1);
        (*value).set_not_found(0);
    }
    rc::OK
}
