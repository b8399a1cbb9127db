//! A request that is no hit goes on to the application: may its answer be stored, what must not
//! reach the application for that, and where does the answer go.

use std::ptr::NonNull;

use ngx::ffi::{ngx_str_t, ngx_table_elt_t};

use super::context::{Armed, Fate, Lookup, Variant};
use super::memory::Held;
use super::request::Request;
use super::response::Response;
use super::{layout, list, now_millis, str_over};
use crate::entry::{self, Stored, marker};
use crate::http::range;
use crate::http::vary::variant_key;
use crate::policy::{self, FillFacts, Storable};
use crate::reason::{Reason, Status, StoreReason};
use crate::redis::write::{LATEST, Seen, Write};

/// Prepares the request for what becomes of its answer. `stale` is the stored page of an expiry,
/// and whether the client takes its content coding. `None` is out of memory.
pub(super) fn arm(lookup: &mut Lookup, reason: Reason, stale: Option<(Held, bool)>) -> Option<()> {
    let Some(rules) = &lookup.plan.plan.store else { return Some(()) };
    let request = lookup.request();
    if reason == Reason::Method {
        if request.is_main() && request.is_unsafe() {
            let key = lookup.key.as_ref().map(|key| key.bytes.clone());
            lookup.fate = Fate::Invalidates(key.into_iter().collect());
        }
        return Some(());
    }
    if request.is_after_response() {
        lookup.fate = Fate::NotStored(StoreReason::Redirect);
        return Some(());
    }
    let facts = FillFacts {
        reason,
        get: request.is_get(),
        body: request.has_body(),
        part: asks_for_a_part(request),
        host: request.host_is_canonical(),
        no_store: request.control().no_store,
    };
    if let Err(reason) = policy::fill(&facts) {
        lookup.fate = Fate::NotStored(reason);
        return Some(());
    }
    // A subrequest shares the header of its main request, which is not to be changed for it.
    let mut armed = Box::new(Armed { asked: now_millis(), stale: None, is_conditional: false });
    if request.is_main() {
        armed.is_conditional = take_conditions(request)?;
        if armed.is_conditional {
            request.set(&layout::DISABLE_NOT_MODIFIED, true);
        }
        if reason.status() == Status::Expired && rules.revalidate {
            armed.stale = stale.filter(|(held, _)| ask_to_confirm(request, held).is_some());
        }
    }
    lookup.fate = Fate::Armed(armed);
    Some(())
}

fn asks_for_a_part(request: Request) -> bool {
    let is_whole = !request.has_header("range") || range::is_whole(request.header_values("range"));
    !is_whole || request.has_header("if-range")
}

/// Keeps If-None-Match, If-Modified-Since and a Range that is the whole page from the application,
/// which is to send all of it; nginx answers them. Whether there was one; `None` is out of memory.
fn take_conditions(request: Request) -> Option<bool> {
    // SAFETY: the request is the main one. nginx's own filters look at the elements that
    // `headers_in` points at, so these get copies that no later field can lie over.
    unsafe {
        let headers_in = &raw mut (*request.as_ptr()).headers_in;
        let slots = [
            &raw mut (*headers_in).if_none_match,
            &raw mut (*headers_in).if_modified_since,
            &raw mut (*headers_in).range,
        ];
        let mut found = false;
        for slot in slots {
            let Some(element) = (*slot).as_ref() else { continue };
            let copy = ngx::ffi::ngx_pcalloc(request.pool(), size_of::<ngx_table_elt_t>());
            let copy = NonNull::new(copy.cast::<ngx_table_elt_t>())?.as_ptr();
            (*copy).hash = element.hash;
            (*copy).key = element.key;
            (*copy).value = element.value;
            (*copy).lowcase_key = element.lowcase_key;
            *slot = copy;
            found = true;
        }
        list::remove(&raw mut (*headers_in).headers, request.pool(), |name| {
            is_condition(name) || name.eq_ignore_ascii_case(b"range")
        })?;
        Some(found)
    }
}

/// Another location answers than the one that was prepared: takes back what its lookup did to the
/// request. `None` is out of memory.
pub(super) fn disarm(lookup: &mut Lookup) -> Option<()> {
    let Fate::Armed(armed) = &lookup.fate else { return Some(()) };
    let (asks, request) = (armed.stale.is_some(), lookup.request());
    lookup.fate = Fate::NotStored(StoreReason::Redirect);
    if request.is_main() {
        request.set(&layout::DISABLE_NOT_MODIFIED, false);
    }
    if asks { drop_conditions(request) } else { Some(()) }
}

/// Takes If-None-Match and If-Modified-Since off a main request. `None` is out of memory.
pub(super) fn drop_conditions(request: Request) -> Option<()> {
    // SAFETY: the list is the main request's own, and nginx points at copies of these fields.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_in.headers;
        list::remove(headers, request.pool(), is_condition)
    }
}

/// Whether a field is If-None-Match or If-Modified-Since.
pub(super) fn is_condition(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"if-none-match") || name.eq_ignore_ascii_case(b"if-modified-since")
}

/// Adds the validators of a stored page to the request. `None` where it has none.
fn ask_to_confirm(request: Request, held: &Held) -> Option<()> {
    let Ok(Stored::Page(page)) = entry::decode(&held.value) else { return None };
    if !policy::has_validator(page.fields()) {
        return None;
    }
    let conditions: [(&[u8], &[u8], &str); 2] = [
        (b"If-None-Match", b"if-none-match", "etag"),
        (b"If-Modified-Since", b"if-modified-since", "last-modified"),
    ];
    for (name, lowercase, validator) in conditions {
        let Some(value) = page.value(validator) else { continue };
        // SAFETY: the request is the main one; names are static and the value is copied into
        // its pool.
        unsafe {
            let value = ngx_str_t::from_bytes(request.pool(), value)?;
            let headers = &raw mut (*request.as_ptr()).headers_in.headers;
            list::push(headers, str_over(name), lowercase.as_ptr().cast_mut(), value)?;
        }
    }
    Some(())
}

/// Whether and how the answer may be stored.
pub(super) fn decide(
    lookup: &Lookup,
    armed: &Armed,
    response: &Response<'_>,
) -> Result<Storable, StoreReason> {
    let plan = &lookup.plan.plan;
    let request = lookup.request();
    let rules = plan.store.as_ref().ok_or(StoreReason::Internal)?;
    if response.is_altered() {
        return Err(StoreReason::Partial);
    }
    if request.is_cached() {
        return Err(StoreReason::Cached);
    }
    let answer = policy::Answer {
        status: response.status,
        fields: &response.received,
        asked: armed.asked,
        arrived: now_millis(),
    };
    let storable = policy::store(&answer, rules, |name| request.has_header(name))?;
    let holds = |&template| request.evaluate(template).is_none_or(policy::condition_holds);
    if rules.no_store.iter().any(holds) {
        return Err(StoreReason::Condition);
    }
    if response.length().is_some_and(|length| length > plan.max_size) {
        return Err(StoreReason::TooLarge);
    }
    Ok(storable)
}

/// The head of the page to be stored.
pub(super) fn head(
    lookup: &Lookup,
    storable: &Storable,
    page: (u16, &[u8]),
    fields: &[entry::Field<'_>],
    received: &[entry::Field<'_>],
) -> Result<Vec<u8>, StoreReason> {
    let (status, phrase) = page;
    let key = lookup.key.as_ref().and_then(|key| key.hashed_text.as_deref());
    let head = entry::Head {
        status,
        phrase,
        stored: now_millis().saturating_sub(storable.age),
        fresh: storable.fresh,
        swr: storable.swr,
        sie: storable.sie,
        key,
    };
    head.encode(fields.iter().copied(), received)
}

/// What is written for a page that is complete: the page under its key, or behind a marker where
/// it varies. A page that varies on Accept-Encoding alone needs no marker as long as one content
/// coding does for all clients.
pub(super) fn placed(
    lookup: &Lookup,
    storable: &Storable,
    value: Vec<u8>,
) -> Result<Write, StoreReason> {
    let key = lookup.key.as_ref().ok_or(StoreReason::Internal)?.bytes.clone();
    let found = lookup.found.as_ref().ok_or(StoreReason::Internal)?;
    let (first, known) = (found.first.clone(), found.variant.as_ref());
    if first == Seen::Nothing && lookup.began.elapsed() >= LATEST {
        return Err(StoreReason::Late);
    }
    let conflict = lookup.reason() == Some(Reason::Encoding);
    let coding_alone = storable.vary.iter().all(|name| name == "accept-encoding");
    if storable.vary.is_empty() || (coding_alone && known.is_none() && !conflict) {
        return Ok(Write::page(key, first, value, storable.ttl));
    }
    if let Some((variant, seen)) = known {
        if storable.vary.iter().all(|name| variant.fields.contains(name)) {
            let marker = match &first {
                Seen::Value(start, length) if *length == start.len() => Some(start.clone()),
                _ => marker(&variant.fields, &variant.generation),
            };
            let marker = marker.ok_or(StoreReason::Entry)?;
            let page = (variant.key.clone(), seen.clone(), value);
            return Ok(Write::variant((key, first, marker), page, storable.ttl));
        }
    }
    let mut fields = storable.vary.clone();
    fields.extend(known.iter().flat_map(|(variant, _)| variant.fields.iter().cloned()));
    fields.sort_unstable();
    fields.dedup();
    let generation = random_hex().ok_or(StoreReason::Internal)?;
    let marker = marker(&fields, &generation).ok_or(StoreReason::Entry)?;
    let variant = variant_of(&key, fields, generation, lookup.request());
    Ok(Write::variant((key, first, marker), (variant.key, Seen::Nothing, value), storable.ttl))
}

/// 128 random bits in hexadecimal digits.
pub(super) fn random_hex() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let mut out = Vec::new();
    crate::key::push_hex(&mut out, &bytes);
    String::from_utf8(out).ok()
}

/// A variant as the marker of a page leads to it.
pub(super) fn variant_of(
    key: &[u8],
    fields: Vec<String>,
    generation: String,
    request: Request,
) -> Variant {
    let key = variant_key(key, &generation, &fields, |name| request.header(name));
    Variant { fields, generation, key }
}
