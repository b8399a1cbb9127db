//! `redis_cache`: the lookup in front of the location's own handler, as a handler of the precontent
//! phase. The access rules of the location come before it, `try_files` and `mirror` behind it.

use ngx::ffi::{NGX_AGAIN, ngx_http_request_t, ngx_int_t};

use crate::config::Door;
use crate::key::Key;
use crate::nginx::conf::{ActivePlan, LocationConf};
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::{fallback, handler};
use crate::nginx::sys::rc;
use crate::nginx::sys::request::Request;

/// nginx's way in. While a request is parked, nginx may come here again.
pub(in crate::nginx) unsafe extern "C" fn on_precontent(
    request: *mut ngx_http_request_t,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::DECLINED };
    let plan = LocationConf::of(request.raw()).and_then(|conf| conf.plan.as_ref());
    let Some(plan) = plan.filter(|active| active.plan.door == Door::InPlace) else {
        return rc::DECLINED;
    };
    match Lookup::of(request) {
        Some(lookup) if lookup.ticket().is_some() => return NGX_AGAIN as ngx_int_t,
        Some(lookup) if covers(lookup, plan) => return rc::DECLINED,
        _ => {}
    }
    let Ok(lookup) = Lookup::begin(request, plan) else { return rc::INTERNAL_SERVER_ERROR };
    if let Err(reason) = handler::begin(lookup) {
        return fallback::leave(lookup, reason, None);
    }
    match handler::watch(request) {
        Ok(()) => NGX_AGAIN as ngx_int_t,
        Err(code) => code,
    }
}

/// Whether an earlier lookup of the request, here or in a location before this one, has said
/// already what this one would say.
fn covers(lookup: Lookup, plan: &'static ActivePlan) -> bool {
    if std::ptr::eq(lookup.active(), plan) {
        return true;
    }
    let request = lookup.request();
    let is_known = |key: &Key| lookup.key().is_some_and(|known| known.bytes == key.bytes);
    !request.is_after_response()
        && lookup.active().endpoint == plan.endpoint
        && request.key(&plan.plan).is_ok_and(|key| is_known(&key))
}
