//! Who may see `X-Redis-Cache-Key`: never a copy that a client sent, and of ours only the
//! location that it was meant for. An application that got it for another page (a subrequest, an
//! error page, X-Accel-Redirect) would store that page under the wrong key. Likewise no subrequest
//! sees the validators by which the application is to confirm the page of its main request.
//! Here a request of HTTP/3 gets its Host as well, before anything has asked for it.

use ngx::ffi::{ngx_http_request_t, ngx_int_t};
use ngx::http::{HttpModuleLocationConf, NgxHttpCoreModule};

use crate::config::Door;
use crate::nginx::http::conditions::is_validator;
use crate::nginx::http::fallback::{is_key_header, strip};
use crate::nginx::http::fill::disarm;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::rewrite;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, bytes_of, glue, rc};

/// Removes the client's own header from every request, and gives it its Host.
pub(in crate::nginx) unsafe extern "C" fn on_client_request(
    request: *mut ngx_http_request_t,
) -> ngx_int_t {
    // SAFETY: nginx passes a live main request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::DECLINED };
    match strip(request).and(request.complete_host()) {
        Ok(()) => rc::DECLINED,
        Err(OutOfMemory) => rc::INTERNAL_SERVER_ERROR,
    }
}

/// Removes our header wherever an internal request has not come from the lookup that set it.
pub(in crate::nginx) unsafe extern "C" fn on_location(
    request: *mut ngx_http_request_t,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::DECLINED };
    if !request.has(glue::internal) {
        return rc::DECLINED;
    }
    if disarm_after_response(request).is_err() {
        return rc::INTERNAL_SERVER_ERROR;
    }
    if is_meant_for_this_location(request) {
        return rc::DECLINED;
    }
    let stripped = match request.main() {
        None => strip(request),
        Some(main) => prepare_subrequest(request, main),
    };
    match stripped {
        Ok(()) => rc::DECLINED,
        Err(OutOfMemory) => rc::INTERNAL_SERVER_ERROR,
    }
}

/// What answers after error_page or X-Accel-Redirect is another page than the one that was looked
/// up, under the same URI.
fn disarm_after_response(request: Request) -> Result<(), OutOfMemory> {
    match Lookup::of(request) {
        Some(lookup) if request.is_after_response() => disarm(lookup),
        _ => Ok(()),
    }
}

fn is_meant_for_this_location(request: Request) -> bool {
    if !request.is_main() {
        return false;
    }
    let plan = Lookup::of(request).map(Lookup::plan);
    if plan.is_some_and(|plan| plan.door == Door::InPlace) {
        return !request.is_after_response();
    }
    let fallback = plan.and_then(|plan| plan.fallback.as_deref());
    let location = NgxHttpCoreModule::location_conf(request.raw());
    // SAFETY: the name of a location lives as long as the configuration.
    let name = location.map(|location| unsafe { bytes_of(location.name) });
    fallback.map(str::as_bytes) == name
}

/// Makes the header of a subrequest the client's own again, where its main request is being filled.
fn prepare_subrequest(request: Request, main: Request) -> Result<(), OutOfMemory> {
    let lookup = Lookup::of(main);
    let asks = lookup.is_some_and(Lookup::asks_to_confirm);
    let unwanted = |name: &[u8]| is_key_header(name) || (asks && is_validator(name));
    request.headers_in().remove_from_copy(unwanted)?;
    lookup.map_or(Ok(()), |lookup| rewrite::give_fields(lookup, request))
}
