//! Everything but a hit: the application answers, in the named location or in place. After a miss
//! its answer may be stored, by this module or by the application itself, which is told the key.

use ngx::ffi::{
    NGX_HTTP_FORBIDDEN, NGX_HTTP_GATEWAY_TIME_OUT, ngx_http_finalize_request,
    ngx_http_named_location, ngx_int_t,
};

use crate::config::Door;
use crate::key::header_form;
use crate::nginx::http::fate::{Confirmable, Fate};
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::{fill, rewrite, serve};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, rc, str_over};
use crate::nginx::worker;
use crate::reason::{Reason, Status};

/// The header that hands the key to the application.
pub(in crate::nginx) const KEY_HEADER: &str = "X-Redis-Cache-Key";
const KEY_HEADER_LOWERCASE: &str = "x-redis-cache-key";

/// Leaves for the application. The return code is for nginx's finalize: DONE once the named
/// location has taken over, or the status where there is no fallback; DECLINED where the request
/// goes on in place. `stale` is the stored page that the application may confirm.
pub(in crate::nginx) fn leave(
    lookup: Lookup,
    reason: Reason,
    stale: Option<Confirmable<'_>>,
) -> ngx_int_t {
    lookup.decide(reason);
    if reason.status() == Status::Error {
        worker::warn(lookup, reason);
    }
    let request = lookup.request();
    match reason {
        Reason::Purge => return purge(lookup),
        Reason::PurgeDenied => return NGX_HTTP_FORBIDDEN as ngx_int_t,
        _ => {}
    }
    if wants_only_a_stored_page(lookup, reason) {
        return NGX_HTTP_GATEWAY_TIME_OUT as ngx_int_t;
    }
    if prepare(lookup, reason, stale).is_err() {
        return rc::INTERNAL_SERVER_ERROR;
    }
    if lookup.plan().door == Door::InPlace {
        return rc::DECLINED;
    }
    let Some(name) = &lookup.plan().fallback else {
        return ngx_int_t::try_from(reason.status_without_fallback()).unwrap_or(rc::ERROR);
    };
    let mut name = str_over(name.as_bytes());
    // SAFETY: the request is alive and unanswered; the name lives as long as the configuration.
    unsafe { ngx_http_named_location(request.as_ptr(), &raw mut name) }
}

/// Answers PURGE, once the tombstones are written: [`super::hold`] has the answer wait for them.
fn purge(lookup: Lookup) -> ngx_int_t {
    let request = lookup.request();
    lookup.set_fate(Fate::Invalidates(request.keys_to_purge(lookup.plan())));
    let code = serve::status(request, 200);
    if lookup.plan().door == Door::Pass {
        return code;
    }
    // SAFETY: the request is alive, and is not used after this: its phases are over.
    unsafe { ngx_http_finalize_request(request.as_ptr(), code) };
    rc::DONE
}

/// Prepares the request for the application: its answer may be stored, here or there.
fn prepare(
    lookup: Lookup,
    reason: Reason,
    stale: Option<Confirmable<'_>>,
) -> Result<(), OutOfMemory> {
    fill::arm(lookup, reason, stale.as_ref())?;
    if let Some(Confirmable { stale, .. }) = stale {
        lookup.set_stale(stale);
    }
    let handed = lookup.request().is_main() && hand_over_key(lookup, reason)?;
    match handed || lookup.is_armed() {
        true => rewrite::apply(lookup),
        false => Ok(()),
    }
}

/// Whether the request says `only-if-cached`, and is obeyed (RFC 9111 section 5.2.1.7).
fn wants_only_a_stored_page(lookup: Lookup, reason: Reason) -> bool {
    let request = lookup.request();
    lookup.plan().request_control
        && request.is_main()
        && reason != Reason::Method
        && request.control().only_if_cached
}

/// Sets or removes the header with the key; whether there is one.
fn hand_over_key(lookup: Lookup, reason: Reason) -> Result<bool, OutOfMemory> {
    let request = lookup.request();
    strip(request)?;
    if !may_be_told(lookup, reason) {
        return Ok(false);
    }
    let Some(value) = lookup.key().and_then(|key| header_form(&key.bytes)) else {
        return Ok(false);
    };
    request.headers_in().push(KEY_HEADER, Some(KEY_HEADER_LOWERCASE), &value)?;
    Ok(true)
}

/// Whether the application may store its answer under the key. What goes past the cache reaches it as
/// it was sent, which is not what everybody's page is to be made of.
fn may_be_told(lookup: Lookup, reason: Reason) -> bool {
    let (request, plan) = (lookup.request(), lookup.plan());
    plan.store.is_none()
        && reason.may_fill()
        && request.is_get()
        // The application would have to know by itself what it may store of such a request.
        && !request.is_authorized()
        && request.origin(plan).is_ok_and(|origin| origin.is_canonical())
        && !request.forges_origin(plan)
        && !request.is_after_response()
        && !(reason == Reason::BypassCondition && rewrite::changes(request, plan))
        && fill::is_used_enough(lookup, reason)
}

/// Whether a field is the header of the key, also with `_` for `-`: CGI-like applications cannot
/// tell the two apart.
pub(in crate::nginx) fn is_key_header(name: &[u8]) -> bool {
    name.len() == KEY_HEADER_LOWERCASE.len()
        && name.iter().zip(KEY_HEADER_LOWERCASE.bytes()).all(|(byte, wanted)| {
            byte.eq_ignore_ascii_case(&wanted) || (*byte == b'_' && wanted == b'-')
        })
}

/// Removes the header of the key from a main request.
pub(in crate::nginx) fn strip(request: Request) -> Result<(), OutOfMemory> {
    request.headers_in().remove(is_key_header)
}
