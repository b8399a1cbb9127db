//! A lookup: begin, park, resume, decide. Its two doors are the content handler of
//! `redis_cache_pass`, here, and the phase handler of `redis_cache` in [`super::in_place`].

use std::borrow::Cow;
use std::ptr::NonNull;
use std::time::Instant;

use ngx::ffi::{
    ngx_handle_read_event, ngx_http_block_reading, ngx_http_core_run_phases,
    ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t,
};

use super::conf::LocationConf;
use super::context::{Found, Life, Lookup, Step, Variant};
use super::desk::Answer;
use super::memory::Held;
use super::request::Request;
use super::worker::{self};
use super::{fallback, fill, now_millis, rc, revalidate, serve};
use crate::config::{Door, Format};
use crate::entry::{self, Page, Stored};
use crate::policy::{self, ClientFacts, Reuse};
use crate::reason::{Reason, Status};
use crate::redis::write::Seen;

type ContentHandler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// The handler as one address, to be compared with.
pub(super) const CONTENT_HANDLER: ContentHandler = content_handler;

/// What a stored value is to a request.
enum Outcome<'a> {
    /// The body alone.
    Raw(&'a [u8]),
    /// A page.
    Page(Page<'a>, Reuse),
    /// The page varies: the variant is to be asked for.
    Varies(Variant),
}

/// nginx's way in.
pub(super) unsafe extern "C" fn content_handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::ERROR };
    let conf = LocationConf::of(request.raw());
    let Some(plan) = conf.and_then(|conf| conf.plan.as_ref()) else { return rc::ERROR };
    let Some(lookup) = Lookup::begin(request, plan) else { return rc::INTERNAL_SERVER_ERROR };
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
pub(super) fn begin(lookup: &mut Lookup) -> Result<(), Reason> {
    let request = lookup.request();
    let plan = &lookup.plan.plan;
    match policy::look_up(&request.facts(plan)) {
        // The application may be told the key, or a page invalidated under it.
        Err(reason @ (Reason::BypassCondition | Reason::Method)) => {
            lookup.key = request.key(plan).ok();
            return Err(reason);
        }
        decided => decided?,
    }
    let key = request.key(plan)?;
    let result = worker::ask(lookup, Step::First, &key.bytes);
    lookup.key = Some(key);
    result
}

/// Has nginx notice a client that goes away while its request is parked.
pub(super) fn watch(request: Request) -> Result<(), ngx_int_t> {
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
pub(super) unsafe fn resume(mut lookup: NonNull<Lookup>, answer: Answer) {
    // SAFETY: the caller guarantees it; nothing else refers to the lookup now.
    let lookup = unsafe { lookup.as_mut() };
    let request = lookup.request();
    let connection = request.connection();
    request.set_as_log_context();
    lookup.took = Some(lookup.began.elapsed());
    let step = match std::mem::replace(&mut lookup.life, Life::Begun) {
        Life::Waiting(_, step) => step,
        Life::Begun | Life::Decided(_) => Step::First,
    };
    // SAFETY: the request is alive until it is finalized here; the connection outlives it.
    unsafe {
        if request.is_main() {
            (*request.as_ptr()).read_event_handler = Some(ngx_http_block_reading);
        }
        let in_place = lookup.plan.plan.door == Door::InPlace;
        match go_on(lookup, &step, answer) {
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
fn go_on(lookup: &mut Lookup, step: &Step, answer: Answer) -> Option<ngx_int_t> {
    let decided = match answer {
        Answer::Fault(reason) => Err(reason),
        Answer::Done => Err(Reason::Protocol),
        Answer::Nil if matches!(step, Step::Variant(_)) => Err(Reason::Vary),
        Answer::Nil => Err(Reason::Absent),
        Answer::Value(held) => {
            // SAFETY: the value is set anew only where nothing of it is sent.
            let value = unsafe { lookup.keep(held) };
            judge(lookup, step, value)
        }
    };
    let reason = match decided {
        Ok(Outcome::Raw(body)) => {
            lookup.life = Life::Decided(Reason::Fresh);
            return Some(serve::raw(lookup.request(), body));
        }
        Ok(Outcome::Page(page, reuse)) => {
            lookup.life = Life::Decided(Reason::Fresh);
            (lookup.age, lookup.ttl) = (reuse.age, reuse.ttl);
            return Some(serve::page(lookup.request(), &page, &reuse, &lookup.plan.plan.hidden));
        }
        Ok(Outcome::Varies(variant)) => {
            note(lookup, &Step::First);
            lookup.value = None;
            let key = variant.key.clone();
            match worker::ask(lookup, Step::Variant(variant), &key) {
                Ok(()) => return None,
                Err(reason) => reason,
            }
        }
        Err(reason) => reason,
    };
    note(lookup, step);
    let stale = lookup.value.take().and_then(|value| stale(lookup, step, reason, &value));
    Some(fallback::leave(lookup, reason, stale))
}

/// Remembers what lies under a key, for a fill that replaces it.
fn note(lookup: &mut Lookup, step: &Step) {
    if lookup.plan.plan.store.is_none() {
        return;
    }
    let seen = lookup.value.as_ref().map_or(Seen::Nothing, |held| Seen::value(&held.value));
    let nothing = || Box::new(Found { first: Seen::Nothing, variant: None });
    let found = lookup.found.get_or_insert_with(nothing);
    match step {
        Step::First => found.first = seen,
        Step::Variant(variant) => found.variant = Some((variant.clone(), seen)),
    }
}

/// The stored page, where the application is to be asked whether it is still good.
fn stale(lookup: &Lookup, step: &Step, reason: Reason, value: &Held) -> Option<(Held, bool)> {
    let rules = lookup.plan.plan.store.as_ref()?;
    if !rules.revalidate || reason.status() != Status::Expired {
        return None;
    }
    let accept_encoding = accept_encoding(lookup.request());
    revalidate::candidate(value, &client(lookup, step, accept_encoding.as_deref()))
}

/// What the value is to this request; everything else is a reason.
fn judge<'a>(lookup: &Lookup, step: &Step, value: &'a [u8]) -> Result<Outcome<'a>, Reason> {
    let request = lookup.request();
    if lookup.plan.plan.format == Format::Raw {
        return entry::decode_raw(value).map(Outcome::Raw);
    }
    let page = match (entry::decode(value)?, step) {
        (Stored::Page(page), _) => page,
        (Stored::Tombstone, _) => return Err(Reason::Gone),
        (Stored::Marker { vary, generation }, Step::First) => {
            let key = lookup.key.as_ref().map(|key| key.bytes.as_slice()).unwrap_or_default();
            return Ok(Outcome::Varies(fill::variant_of(key, vary, generation, request)));
        }
        (Stored::Marker { .. }, Step::Variant(_)) => return Err(Reason::Entry),
    };
    let accept_encoding = accept_encoding(request);
    let client = client(lookup, step, accept_encoding.as_deref());
    let reuse = policy::reuse(&page, &client, now_millis())?;
    Ok(Outcome::Page(page, reuse))
}

/// What the decision needs to know of the client's request.
fn client<'a>(
    lookup: &'a Lookup,
    step: &'a Step,
    accept_encoding: Option<&'a [u8]>,
) -> ClientFacts<'a> {
    let (request, plan) = (lookup.request(), &lookup.plan.plan);
    ClientFacts {
        hashed_text: lookup.key.as_ref().and_then(|key| key.hashed_text.as_deref()),
        accept_encoding,
        gunzip: request.gunzip_is_on(),
        indexed: match step {
            Step::First => &[],
            Step::Variant(variant) => &variant.fields,
        },
        ignores_vary: plan.ignores_vary,
        control: if plan.request_control { request.control() } else { Default::default() },
    }
}

/// The Accept-Encoding of the client; an included part of another response cannot be in a coding
/// of its own.
fn accept_encoding<'a>(request: Request) -> Option<Cow<'a, [u8]>> {
    if !request.is_main() {
        return None;
    }
    let mut lines = request.header_values("accept-encoding");
    let first = lines.next()?;
    if lines.next().is_none() {
        return Some(first.into());
    }
    request.header("accept-encoding").map(Cow::Owned)
}

/// Seconds and microseconds since `began`, for a lookup that is not yet answered.
pub(super) fn waited(lookup: &Lookup) -> Option<std::time::Duration> {
    match lookup.life {
        Life::Waiting(..) => Some(Instant::now().saturating_duration_since(lookup.began)),
        Life::Begun | Life::Decided(_) => lookup.took,
    }
}
