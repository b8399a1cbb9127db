//! The content handler of `redis_cache_pass`: begin, park, resume, decide.

use std::borrow::Cow;
use std::ptr::NonNull;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ngx::ffi::{
    ngx_handle_read_event, ngx_http_block_reading, ngx_http_finalize_request, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_test_reading, ngx_int_t,
};

use super::conf::LocationConf;
use super::context::{Life, Lookup, Step};
use super::request::Request;
use super::worker::{self, Answer};
use super::{fallback, rc, serve};
use crate::config::Format;
use crate::entry::{self, Page, Stored};
use crate::http::vary::variant_key;
use crate::policy::{self, ClientFacts, Reuse};
use crate::reason::Reason;

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
    Varies(Vec<u8>, Vec<String>),
}

/// nginx's way in.
pub(super) unsafe extern "C" fn content_handler(request: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request.
    let Some(request) = (unsafe { Request::new(request) }) else { return rc::ERROR };
    let conf = LocationConf::of(request.raw());
    let Some(plan) = conf.and_then(|conf| conf.plan.as_ref()) else { return rc::ERROR };
    let Some(lookup) = Lookup::begin(request, plan) else { return rc::INTERNAL_SERVER_ERROR };
    match begin(lookup) {
        Ok(()) => park(request),
        Err(reason) => {
            lookup.life = Life::Decided(reason);
            fallback::leave(lookup, reason)
        }
    }
}

/// Decides whether to ask, and asks.
fn begin(lookup: &mut Lookup) -> Result<(), Reason> {
    let request = lookup.request();
    let plan = &lookup.plan.plan;
    match policy::look_up(&request.facts(plan)) {
        Err(Reason::BypassCondition) => {
            lookup.key = request.key(plan).ok();
            return Err(Reason::BypassCondition);
        }
        decided => decided?,
    }
    let key = request.key(plan)?;
    let result = worker::ask(lookup, Step::First, &key.bytes);
    lookup.key = Some(key);
    result
}

/// Keeps the request alive until it is resumed, and notices a client that goes away.
fn park(request: Request) -> ngx_int_t {
    // SAFETY: the request and its connection are alive; the handlers are nginx's own, used as
    // in its limit_req module.
    unsafe {
        let raw = request.as_ptr();
        let main = (*raw).main;
        (*main).set_count((*main).count() + 1);
        if request.is_main() {
            let read = (*request.connection()).read;
            if ngx_handle_read_event(read, 0) != rc::OK {
                return rc::ERROR;
            }
            (*raw).read_event_handler = Some(ngx_http_test_reading);
        }
    }
    rc::DONE
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
        if let Some(code) = go_on(lookup, &step, answer) {
            ngx_http_finalize_request(request.as_ptr(), code);
        }
        ngx_http_run_posted_requests(connection);
    }
}

/// Answers the request; `None` where it was parked anew.
fn go_on(lookup: &mut Lookup, step: &Step, answer: Answer) -> Option<ngx_int_t> {
    let decided = match answer {
        Answer::Fault(reason) => Err(reason),
        Answer::Nil if matches!(step, Step::Variant(_)) => Err(Reason::Vary),
        Answer::Nil => Err(Reason::Absent),
        Answer::Value(held) => {
            let (start, length) = (held.value.as_ptr(), held.value.len());
            lookup.value = Some(held);
            // SAFETY: the lookup holds the value for as long as the request's pool lives, and
            // nothing writes to it.
            let value = unsafe { std::slice::from_raw_parts(start, length) };
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
            return Some(serve::page(lookup.request(), &page, &reuse));
        }
        Ok(Outcome::Varies(key, fields)) => {
            match worker::ask(lookup, Step::Variant(fields), &key) {
                Ok(()) => return None,
                Err(reason) => reason,
            }
        }
        Err(reason) => reason,
    };
    lookup.life = Life::Decided(reason);
    lookup.value = None;
    Some(fallback::leave(lookup, reason))
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
            let key = variant_key(key, &generation, &vary, |name| request.header(name));
            return Ok(Outcome::Varies(key, vary));
        }
        (Stored::Marker { .. }, Step::Variant(_)) => return Err(Reason::Entry),
    };
    // An included part of another response cannot be in a coding of its own.
    let accept_encoding = if request.is_main() { accept_encoding(request) } else { None };
    let client = ClientFacts {
        hashed_text: lookup.key.as_ref().and_then(|key| key.hashed_text.as_deref()),
        accept_encoding: accept_encoding.as_deref(),
        gunzip: request.gunzip_is_on(),
        indexed: match step {
            Step::First => &[],
            Step::Variant(fields) => fields,
        },
    };
    let reuse = policy::reuse(&page, &client, now_millis())?;
    Ok(Outcome::Page(page, reuse))
}

fn accept_encoding<'a>(request: Request) -> Option<Cow<'a, [u8]>> {
    let mut lines = request.header_values("accept-encoding");
    let first = lines.next()?;
    if lines.next().is_none() {
        return Some(first.into());
    }
    request.header("accept-encoding").map(Cow::Owned)
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Seconds and microseconds since `began`, for a lookup that is not yet answered.
pub(super) fn waited(lookup: &Lookup) -> Option<std::time::Duration> {
    match lookup.life {
        Life::Waiting(..) => Some(Instant::now().saturating_duration_since(lookup.began)),
        Life::Begun | Life::Decided(_) => lookup.took,
    }
}
