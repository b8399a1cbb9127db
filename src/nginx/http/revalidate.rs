//! The application confirmed a stored page with 304: the page is sent in the place of the 304, and
//! stored anew with what the 304 says (RFC 9111 sections 3.2 and 4.3).

use ngx::ffi::{ngx_http_clean_header, ngx_int_t};

use crate::entry::{Page, Stored};
use crate::http::Field;
use crate::nginx::http::fate::Armed;
use crate::nginx::http::lookup::{Decision, Lookup};
use crate::nginx::http::{conditions, fill, serve};
use crate::nginx::sys;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::response::Response;
use crate::nginx::sys::{OutOfMemory, now_millis, rc};
use crate::nginx::worker::writer;
use crate::policy::{Confirmation, Form, Reuse, Storable};
use crate::reason::{Reason, StoreReason};
use crate::{entry, policy};

/// Sends the stored page, and stores it anew; `None` where the answer is no confirmation.
pub(in crate::nginx) fn confirm(
    lookup: Lookup,
    armed: &Armed,
    response: &Response<'_>,
) -> Option<ngx_int_t> {
    let rules = lookup.plan().store.as_ref()?;
    if response.status != 304 || response.is_altered() || !armed.asks_to_confirm {
        return None;
    }
    let stale = lookup.take_stale()?;
    // SAFETY: the answer is decided here, so the value stays until the pool is freed.
    let value = unsafe { lookup.keep(stale.held) };
    let Ok(Stored::Page(mut page)) = entry::decode(value) else { return None };
    let confirmation = Confirmation {
        received: &response.received,
        date: response.date_of_arrival()?,
        asked: armed.asked,
        arrived: now_millis(),
        form: stale.form,
    };
    let request = lookup.request();
    let has = |name: &str| request.has_header(name);
    let (judged, reuse) = policy::confirm(&mut page, &confirmation, rules, has);
    // Nothing had to be made, so that what making it took still counts.
    lookup.set_took_to_fill(page.facts.took.unwrap_or(0));
    let jittered = |page: Storable| page.jittered(lookup.plan().fetch.jitter, sys::random_part());
    let stored =
        judged.map(jittered).and_then(|storable| store(lookup, &storable, &page, response));
    lookup.settle(stored.err().unwrap_or(StoreReason::Queued));
    lookup.decide(Decision::page(Reason::Revalidated, &reuse));
    let body = match reuse.form {
        // SAFETY: it was decoded before the application was asked, and stays until the pool is freed.
        Form::Decoded(_) => unsafe { lookup.decoded() }?,
        Form::Stored | Form::Gunzip => page.body,
    };
    Some(replace(lookup, &page, &reuse, body, response))
}

/// Stores the updated page.
fn store<'a>(
    lookup: Lookup,
    storable: &Storable,
    page: &Page<'a>,
    response: &Response<'a>,
) -> Result<(), StoreReason> {
    let written = (page.status, page.phrase());
    let (fields, coded) = (page.fields(), page.facts.coded);
    let mut value = fill::head(lookup, storable, written, fields, &response.received, coded)?;
    // A page that is coded stays so; one that was stored before it was to be coded is now.
    let recipe = fill::recipe(lookup, response, storable, written, fields);
    let mut share = writer::share(lookup).ok_or(StoreReason::Internal)?;
    if !share.grow(value.len() + page.body.len()) {
        return Err(StoreReason::Overload);
    }
    let head = value.len();
    value.extend_from_slice(page.body);
    fill::hand_over(lookup, storable, (value, head), recipe, share)
}

/// Sends a stored page with `body`, that of its form, in the place of an answer. nginx's filters answer the
/// client's own condition.
pub(in crate::nginx) fn replace(
    lookup: Lookup,
    page: &Page<'_>,
    reuse: &Reuse,
    body: &[u8],
    response: &Response<'_>,
) -> ngx_int_t {
    let request = lookup.request();
    request.forget_error();
    // SAFETY: the request is alive, and nothing of its header was sent.
    unsafe { ngx_http_clean_header(request.as_ptr()) };
    conditions::restore(request);
    if set_cookies(request, response).is_err() {
        return rc::ERROR;
    }
    let code = serve::respond(lookup, page, reuse, body);
    // Where it could not be sent, what nginx sends instead is not to be dropped.
    if code != rc::ERROR && code <= rc::OK {
        lookup.set_client_is_answered();
        request.set_context(lookup);
    }
    code
}

/// Cookies of a 304 are the client's, and no page's.
fn set_cookies(request: Request, response: &Response<'_>) -> Result<(), OutOfMemory> {
    let confirms = response.status == 304;
    let cookies = |field: &&Field<'_>| confirms && field.is("set-cookie");
    for field in response.received.iter().filter(cookies) {
        request.headers_out().list().push("Set-Cookie", None, field.value)?;
    }
    Ok(())
}
