//! The application confirmed a stored page with 304: the page is sent in the place of the 304, and
//! stored anew with what the 304 says (RFC 9111 sections 3.2 and 4.3).

use ngx::ffi::{ngx_http_clean_header, ngx_int_t, ngx_str_t};

use super::context::{Armed, Fate, Life, Lookup};
use super::memory::Held;
use super::request::Request;
use super::response::Response;
use super::{fill, layout, list, now_millis, rc, serve, str_over, writer};
use crate::entry::{self, Field, Page, Stored};
use crate::http::{field_value, freshness};
use crate::policy::{self, Reuse, Storable};
use crate::reason::{Reason, StoreReason};

/// Fields of a 304 that are not stored, and yet say whether and how long the page may be.
const DECISIVE: [&str; 4] = ["age", "x-accel-expires", "set-cookie", "set-cookie2"];

/// Sends the stored page, and stores it anew; `None` where the answer is no confirmation.
pub(super) fn confirm(
    lookup: &mut Lookup,
    armed: &mut Armed,
    response: &Response<'_>,
) -> Option<ngx_int_t> {
    if response.status != 304 || response.is_altered() {
        return None;
    }
    let (held, coding_accepted) = armed.stale.take()?;
    // SAFETY: the answer is decided here, so the value stays until the pool is freed.
    let value = unsafe { lookup.keep(held) };
    let Ok(Stored::Page(mut page)) = entry::decode(value) else { return None };
    let (stored, reuse) = if names_the_same_page(&page, response) {
        page.update(&response.received);
        let (age, judged) = judge(lookup, armed, &page, response);
        let left = |storable: &Storable| seconds(storable.fresh.saturating_sub(storable.age));
        let ttl = judged.as_ref().ok().map(left);
        let stored = judged.and_then(|storable| store(lookup, &storable, &page, response));
        (stored, Reuse { age: Some(seconds(age)), ttl, coding_accepted })
    } else {
        let age = freshness::age_of(&page, now_millis());
        (Err(StoreReason::Kept), Reuse { age, ttl: None, coding_accepted })
    };
    lookup.fate = match stored {
        Ok(()) => Fate::Queued,
        Err(reason) => Fate::NotStored(reason),
    };
    lookup.life = Life::Decided(Reason::Revalidated);
    (lookup.age, lookup.ttl) = (reuse.age, reuse.ttl);
    Some(send(lookup, &page, &reuse, response))
}

/// Whether the ETag of the 304, if it has one, is that of the stored page (RFC 9111 section
/// 4.3.4): a page is not to be updated by what is said of another.
fn names_the_same_page(page: &Page<'_>, response: &Response<'_>) -> bool {
    let opaque = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    match (page.value("etag"), field_value(&response.received, "etag")) {
        (Some(stored), Some(confirmed)) => opaque(stored) == opaque(confirmed),
        _ => true,
    }
}

/// The age of the updated page in milliseconds, and whether and how it may be stored.
fn judge(
    lookup: &Lookup,
    armed: &Armed,
    page: &Page<'_>,
    response: &Response<'_>,
) -> (i64, Result<Storable, StoreReason>) {
    let request = lookup.request();
    let more = response.received.iter().filter(|f| DECISIVE.iter().any(|name| f.is(name)));
    let fields: Vec<Field<'_>> = page.fields().iter().chain(more).copied().collect();
    let (asked, arrived) = (armed.asked, now_millis());
    let answer = policy::Answer { status: page.status, fields: &fields, asked, arrived };
    let age = freshness::initial_age(&fields, asked, arrived);
    let judged = match &lookup.plan.plan.store {
        Some(rules) => policy::store(&answer, rules, |name| request.has_header(name)),
        None => Err(StoreReason::Internal),
    };
    (age, judged)
}

/// Stores the updated page.
fn store(
    lookup: &Lookup,
    storable: &Storable,
    page: &Page<'_>,
    response: &Response<'_>,
) -> Result<(), StoreReason> {
    let phrase: &[u8] = if page.status == 200 { b"OK" } else { b"" };
    let written = (page.status, phrase);
    let mut value = fill::head(lookup, storable, written, page.fields(), &response.received)?;
    let mut share = writer::share(lookup).ok_or(StoreReason::Internal)?;
    if !share.grow(value.len() + page.body.len()) {
        return Err(StoreReason::Overload);
    }
    value.extend_from_slice(page.body);
    let write = fill::placed(lookup, storable, value)?;
    writer::fill(lookup, write, storable.ttl, share)
}

fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1000).unwrap_or(0)
}

/// Sends the page in the place of the 304. nginx's filters answer the client's own condition.
fn send(lookup: &mut Lookup, page: &Page<'_>, reuse: &Reuse, response: &Response<'_>) -> ngx_int_t {
    let request = lookup.request();
    // SAFETY: the request is alive, and nothing of its header was sent.
    unsafe { ngx_http_clean_header(request.as_ptr()) };
    request.set(&layout::DISABLE_NOT_MODIFIED, false);
    if set_cookies(request, response).is_none() {
        return rc::ERROR;
    }
    let code = serve::respond(request, page, reuse, &lookup.plan.plan.hidden);
    // Where it could not be sent, what nginx sends instead is not to be dropped.
    if code != rc::ERROR && code <= rc::OK {
        lookup.client_is_answered = true;
        request.set_context(lookup);
    }
    code
}

/// Cookies of the 304 are the client's, and no page's.
fn set_cookies(request: Request, response: &Response<'_>) -> Option<()> {
    for field in response.received.iter().filter(|field| field.is("set-cookie")) {
        // SAFETY: the request is alive; the value is copied into its pool.
        unsafe {
            let value = ngx_str_t::from_bytes(request.pool(), field.value)?;
            let headers = &raw mut (*request.as_ptr()).headers_out.headers;
            list::push(headers, str_over(b"Set-Cookie"), std::ptr::null_mut(), value)?;
        }
    }
    Some(())
}

/// A stored page that the application may confirm, with what the client says of its coding.
pub(super) fn candidate(value: &Held, client: &policy::ClientFacts<'_>) -> Option<(Held, bool)> {
    let Ok(Stored::Page(page)) = entry::decode(&value.value) else { return None };
    let accepted = policy::selects(&page, client).ok()?;
    policy::has_validator(page.fields()).then(|| (value.clone(), accepted))
}
