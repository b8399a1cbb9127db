//! A lookup: begin, park, resume, decide. Its two doors are the content handler of
//! `redis_cache_pass`, here, and the phase handler of `redis_cache` in [`super::in_place`].

use ngx::ffi::{
    ngx_handle_read_event, ngx_http_block_reading, ngx_http_core_run_phases,
    ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t,
};

use crate::config::{Door, Format};
use crate::engine::desk::Found;
use crate::entry::{Page, Stored};
use crate::nginx::conf::LocationConf;
use crate::nginx::http::fate::{Confirmable, StalePage};
use crate::nginx::http::lookup::{Asked, Decision, Lookup};
use crate::nginx::http::{fallback, flight, refresh, serve, use_stale};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{NAME, now_millis, rc};
use crate::nginx::worker;
use crate::policy::{ClientFacts, Reuse, Stale, Variant, Verdict};
use crate::reason::Reason;
use crate::{entry, policy};

type ContentHandler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// The handler as one address, to be compared with.
pub(in crate::nginx) const CONTENT_HANDLER: ContentHandler = content_handler;

/// What a stored value is to a request.
enum Outcome<'a> {
    /// The body alone.
    Raw(&'a [u8]),
    /// A page, and what is sent as its body.
    Page(Page<'a>, Reuse, &'a [u8]),
    /// A page that the application may confirm.
    Stale(Page<'a>, Stale),
    /// The page varies: the variant is to be asked for.
    Varies(Variant),
    /// Nothing.
    No(Reason),
}

/// nginx's way in.
pub(in crate::nginx) unsafe extern "C" fn content_handler(
    request: *mut ngx_http_request_t,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::ERROR };
    let conf = LocationConf::of(request.raw());
    let Some(plan) = conf.and_then(|conf| conf.plan.as_ref()) else { return rc::ERROR };
    let Ok(lookup) = Lookup::begin(request, plan) else { return rc::INTERNAL_SERVER_ERROR };
    if let Err(reason) = begin(lookup) {
        return fallback::leave(lookup, reason, None);
    }
    match watch(request) {
        Ok(()) => {
            request.hold();
            rc::DONE
        }
        Err(code) => code,
    }
}

/// Decides whether to ask, and asks.
pub(in crate::nginx) fn begin(lookup: Lookup) -> Result<(), Reason> {
    let (request, plan) = (lookup.request(), lookup.plan());
    let decided = policy::look_up(&request.facts(plan));
    // The application may be told the key, or a page invalidated under it.
    if let Ok(()) | Err(Reason::BypassCondition | Reason::Method) = decided {
        let key = request.key(plan);
        let key = key.map(|key| lookup.set_key(key));
        decided?;
        let key = key?;
        let text = key.bytes.escape_ascii();
        ngx::ngx_log_debug_http!(request, "{NAME}: look up {text}");
        return worker::ask(lookup, Asked::First, &key.bytes);
    }
    decided
}

/// Has nginx notice a client that goes away while its request is parked.
pub(in crate::nginx) fn watch(request: Request) -> Result<(), ngx_int_t> {
    // SAFETY: the request and its connection are alive; the handlers are nginx's own, used as
    // in its limit_req module.
    unsafe {
        if request.is_main() {
            let read = (*request.connection()).read;
            if ngx_handle_read_event(read, 0) != rc::OK {
                return Err(rc::ERROR);
            }
            (*request.as_ptr()).read_event_handler = Some(ngx_http_test_reading);
        }
    }
    Ok(())
}

/// Goes on with a request whose answer is there.
///
/// # Safety
/// The lookup is that of a live, parked request that has just left the lot.
pub(in crate::nginx) unsafe fn resume(lookup: Lookup, found: Found) {
    let request = lookup.request();
    let connection = request.connection();
    request.set_as_log_context();
    if let (Found::Fault(_), Some(ticket)) = (&found, lookup.ticket()) {
        lookup.leave_flight(ticket);
    }
    let asked = lookup.unpark();
    // SAFETY: the request is alive until it is finalized here; the connection outlives it.
    unsafe {
        if request.is_main() {
            (*request.as_ptr()).read_event_handler = Some(ngx_http_block_reading);
        }
        let in_place = lookup.plan().door == Door::InPlace;
        match go_on(lookup, &asked, found) {
            None => {}
            Some(rc::DECLINED) if in_place => ngx_http_core_run_phases(request.as_ptr()),
            Some(code) => {
                if in_place {
                    (*request.as_ptr()).write_event_handler = Some(ngx_http_request_empty_handler);
                }
                ngx_http_finalize_request(request.as_ptr(), code);
            }
        }
        ngx_http_run_posted_requests(connection);
    }
}

/// Answers the request or lets it go on; `None` where it was parked anew.
fn go_on(lookup: Lookup, asked: &Asked, found: Found) -> Option<ngx_int_t> {
    let request = lookup.request();
    if matches!(asked, Asked::Fill) {
        return after_fill(lookup, &found);
    }
    let outcome = match found {
        Found::Fault(fault) => Outcome::No(lookup.fault(fault)),
        Found::Done => Outcome::No(Reason::Protocol),
        Found::Nil if matches!(asked, Asked::Variant(_)) => Outcome::No(Reason::Vary),
        Found::Nil => Outcome::No(Reason::Absent),
        Found::Held(held) => {
            // SAFETY: the value is taken back only where nothing of it is sent.
            let value = unsafe { lookup.keep(held) };
            judge(lookup, asked, value)
        }
    };
    let (reason, stale) = match outcome {
        Outcome::Raw(body) => {
            lookup.decide(Reason::Fresh);
            return Some(serve::raw(request, body));
        }
        Outcome::Page(page, reuse, _) if refresh::is_early(lookup, &page) => {
            (Reason::Refresh, Some((page, Stale { reason: Reason::Refresh, form: reuse.form })))
        }
        Outcome::Page(page, reuse, body) => {
            refresh::reached(lookup);
            refresh::begin_early(lookup, &page);
            let reason = flight::reason_of_hit(lookup);
            lookup.decide(Decision::page(reason, &reuse));
            return Some(serve::page(lookup, &page, &reuse, body));
        }
        Outcome::Varies(variant) => {
            lookup.note(asked);
            lookup.take_value();
            let key = variant.key.clone();
            let Err(reason) = worker::ask(lookup, Asked::Variant(variant), &key) else {
                return None;
            };
            return Some(fallback::leave(lookup, reason, None));
        }
        Outcome::Stale(page, stale) => {
            if let Some(code) = send_stale(lookup, asked, &page, &stale) {
                return Some(code);
            }
            (refresh::reason(lookup, &stale), Some((page, stale)))
        }
        Outcome::No(reason) => (reason, None),
    };
    lookup.note(asked);
    if flight::joins(lookup, asked, reason) {
        return None;
    }
    let reason = flight::reason_of_fetch(lookup, reason);
    let stale = stale.zip(lookup.take_value()).map(|((page, stale), held)| {
        let Stale { reason, form } = stale;
        Confirmable { page, stale: StalePage { reason, held, form } }
    });
    Some(fallback::leave(lookup, reason, stale))
}

/// Sends a stale page, where that may be without asking the application.
fn send_stale(lookup: Lookup, asked: &Asked, page: &Page<'_>, stale: &Stale) -> Option<ngx_int_t> {
    refresh::answer(lookup, page, stale).or_else(|| use_stale::spare(lookup, asked, page, stale))
}

/// Asks once more, for the page that another request has fetched, or fetches it where that one takes too
/// long.
fn after_fill(lookup: Lookup, found: &Found) -> Option<ngx_int_t> {
    lookup.land(found);
    lookup.restart();
    let reason = worker::ask(lookup, Asked::First, lookup.key_bytes()).err()?;
    Some(fallback::leave(lookup, reason, None))
}

/// What the value is to this request.
fn judge<'a>(lookup: Lookup, asked: &Asked, value: &'a [u8]) -> Outcome<'a> {
    let request = lookup.request();
    if lookup.plan().format == Format::Raw {
        return entry::decode_raw(value).map_or_else(Outcome::No, Outcome::Raw);
    }
    let page = match (entry::decode(value), asked) {
        (Ok(Stored::Page(page)), _) => page,
        (Ok(Stored::Tombstone), _) => return Outcome::No(Reason::Gone),
        (Ok(Stored::Marker { vary, generation }), Asked::First | Asked::Fill) => {
            let key = lookup.key_bytes();
            let value_of = |name: &str| request.field_of_fill(lookup.plan(), name);
            return Outcome::Varies(Variant::new(key, vary, generation, value_of));
        }
        (Ok(Stored::Marker { .. }), Asked::Variant(_)) => return Outcome::No(Reason::Entry),
        (Err(reason), _) => return Outcome::No(reason),
    };
    let accept_encoding = request.accept_encoding();
    let plan = lookup.plan();
    let client = ClientFacts {
        hashed_text: lookup.key().and_then(|key| key.hashed_text.as_deref()),
        accept_encoding: accept_encoding.as_deref(),
        gunzip: request.gunzip_is_on(),
        decodes: plan.compress.is_some(),
        range: request.is_main() && request.is_get() && !request.raw().headers_in.range.is_null(),
        indexed: match asked {
            Asked::First | Asked::Fill => &[],
            Asked::Variant(variant) => &variant.fields,
        },
        ignores_vary: plan.ignores_vary,
        cookies_are_in_key: plan.cookies.is_some(),
        authorization: request.is_authorized(),
        control: if plan.request_control { request.control() } else { Default::default() },
    };
    match policy::reuse(&page, &client, now_millis()) {
        Verdict::Fresh(reuse) => match serve::body(lookup, &page, reuse.form) {
            Ok(body) => Outcome::Page(page, reuse, body),
            Err(reason) => Outcome::No(reason),
        },
        Verdict::Stale(stale) => Outcome::Stale(page, stale),
        Verdict::No(reason) => Outcome::No(reason),
    }
}
