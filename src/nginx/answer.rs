//! The application's answer on its way to the client: stored, held for an invalidation, or replaced
//! by the stored page that it confirms.

use ngx::ffi::{ngx_chain_t, ngx_http_block_reading, ngx_http_top_header_filter, ngx_int_t};

use super::collect::{self, Collecting};
use super::context::{Armed, Fate, Lookup};
use super::response::Response;
use super::{fill, filter, hold, layout, list, rc, revalidate};
use crate::reason::StoreReason;

/// The header of an answer to a request that was looked up.
pub(super) fn on_header(lookup: &mut Lookup) -> ngx_int_t {
    match &lookup.fate {
        Fate::Armed(_) | Fate::Invalidates(_) => {}
        Fate::Held(_) => return hold::on_second_header(lookup),
        Fate::Collecting(_) if lookup.request().is_error_page() => {
            lookup.fate = Fate::NotStored(StoreReason::Redirect);
            return filter::pass_header(lookup);
        }
        _ => return filter::pass_header(lookup),
    }
    match std::mem::replace(&mut lookup.fate, Fate::Unasked) {
        Fate::Armed(armed) => on_answer(lookup, *armed),
        Fate::Invalidates(keys) => match hold::begin(lookup, keys) {
            true => rc::OK,
            false => filter::pass_header(lookup),
        },
        _ => filter::pass_header(lookup),
    }
}

fn on_answer(lookup: &mut Lookup, mut armed: Armed) -> ngx_int_t {
    let request = lookup.request();
    // Parts that the page includes are asked for later, with the header of this request.
    if armed.stale.is_some() && fill::drop_conditions(request).is_none() {
        return rc::ERROR;
    }
    if request.is_error_page() {
        lookup.fate = Fate::NotStored(StoreReason::Redirect);
        request.set(&layout::DISABLE_NOT_MODIFIED, false);
        return filter::pass_header(lookup);
    }
    let response = Response::of(request);
    if let Some(code) = revalidate::confirm(lookup, &mut armed, &response) {
        return code;
    }
    let decided = fill::decide(lookup, &armed, &response);
    lookup.fate = match decided.and_then(|found| Collecting::begin(lookup, &response, found)) {
        Ok(collecting) => {
            request.set(&layout::FILTER_NEED_IN_MEMORY, true);
            request.set_context(lookup);
            Fate::Collecting(collecting)
        }
        Err(reason) => Fate::NotStored(reason),
    };
    if armed.is_conditional && response.status == 200 && !response.is_altered() {
        return answer_condition(lookup);
    }
    filter::pass_header(lookup)
}

/// The client's own condition and Range, which the application did not see, are answered by nginx's
/// filters: that of conditions lies before this one, so the header begins anew. Where the client
/// gets 304 the body is collected all the same.
fn answer_condition(lookup: &mut Lookup) -> ngx_int_t {
    let request = lookup.request();
    request.set(&layout::DISABLE_NOT_MODIFIED, false);
    request.obey_precedence();
    // SAFETY: the request is alive, and nothing of its header was sent; this filter passes it on
    // the second time. nginx's filter adds an Accept-Ranges of its own.
    let code = unsafe {
        if !request.raw().headers_in.range.is_null() {
            list::hide(&raw mut (*request.as_ptr()).headers_out.headers, "accept-ranges");
            request.set(&layout::ALLOW_RANGES, true);
        }
        match ngx_http_top_header_filter {
            Some(top) => top(request.as_ptr()),
            None => rc::ERROR,
        }
    };
    let not_modified = request.raw().headers_out.status == 304;
    if not_modified && matches!(lookup.fate, Fate::Collecting(_)) {
        request.set(&layout::HEADER_ONLY, false);
        lookup.client_is_answered = true;
        // A client that has its 304 may leave; the page is fetched to its end.
        // SAFETY: the request is alive; the handler is nginx's own.
        unsafe { (*request.as_ptr()).read_event_handler = Some(ngx_http_block_reading) };
    }
    code
}

/// A piece of the body of an answer whose header was seen here.
///
/// # Safety
/// The chain is one that nginx passes to a body filter.
pub(super) unsafe fn on_body(lookup: &mut Lookup, chain: *mut ngx_chain_t) -> ngx_int_t {
    let request = lookup.request();
    // SAFETY: the caller guarantees a valid chain.
    unsafe {
        if let Fate::Held(held) = &mut lookup.fate {
            return hold::keep(request, held, chain);
        }
        collect::take(lookup, chain);
        match lookup.client_is_answered {
            true => filter::drop_body(request, chain),
            false => filter::pass_body(request, chain),
        }
    }
}
