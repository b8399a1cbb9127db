//! The application's answer on its way to the client: stored, held for an invalidation, or replaced
//! by the stored page that it confirms.

use ngx::ffi::{ngx_chain_t, ngx_http_block_reading, ngx_http_top_header_filter, ngx_int_t};

use crate::nginx::http::collect::Collecting;
use crate::nginx::http::fate::{Armed, Fate};
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::{collect, conditions, fill, filter, hold, revalidate, rewrite, use_stale};
use crate::nginx::sys::response::Response;
use crate::nginx::sys::{glue, rc};
use crate::policy;
use crate::reason::StoreReason;

/// What follows the header of an answer.
pub(in crate::nginx) enum Next {
    /// It goes on to the client.
    Pass,
    /// It waits.
    Wait,
    /// It was dealt with: the code for nginx.
    Done(ngx_int_t),
}

/// The header of an answer to a request that was looked up.
pub(in crate::nginx) fn on_header(lookup: Lookup) -> Next {
    if rewrite::take_back(lookup).is_err() {
        return Next::Done(rc::ERROR);
    }
    if let Some(code) = use_stale::rescue(lookup) {
        return Next::Done(code);
    }
    let expected = lookup.with_fate(|fate| match fate {
        Fate::Armed(_) | Fate::Invalidates(_) => std::mem::replace(fate, Fate::Unasked),
        _ => Fate::Unasked,
    });
    match expected {
        Fate::Armed(armed) => on_answer(lookup, *armed),
        Fate::Invalidates(keys) => match hold::begin(lookup, keys) {
            true => Next::Wait,
            false => Next::Pass,
        },
        _ => on_other(lookup),
    }
}

/// Another header than that of the answer that was asked for: perhaps that of an error in its place.
fn on_other(lookup: Lookup) -> Next {
    if lookup.with_fate(|fate| matches!(fate, Fate::Held(_))) {
        return hold::on_second_header(lookup);
    }
    let collects = lookup.with_fate(|fate| matches!(fate, Fate::Collecting(_)));
    if collects && lookup.request().is_error_page() {
        lookup.settle(StoreReason::Redirect);
    }
    Next::Pass
}

fn on_answer(lookup: Lookup, armed: Armed) -> Next {
    let request = lookup.request();
    if armed.undo(lookup).is_err() {
        return Next::Done(rc::ERROR);
    }
    if request.is_error_page() {
        lookup.settle(StoreReason::Redirect);
        conditions::restore(request);
        return Next::Pass;
    }
    let response = Response::of(request);
    if let Some(code) = revalidate::confirm(lookup, &armed, &response) {
        return Next::Done(code);
    }
    lookup.forget_stale();
    let decided = fill::decide(lookup, &armed, &response);
    match decided.and_then(|found| Collecting::begin(lookup, &response, found)) {
        // Over HTTP/2 no body filter sees an answer that has no body.
        Ok(page) if policy::has_no_body(response.status) => {
            lookup.settle(page.store(lookup).err().unwrap_or(StoreReason::Queued));
        }
        Ok(collecting) => {
            request.set(glue::set_filter_need_in_memory, true);
            request.set_context(lookup);
            lookup.set_fate(Fate::Collecting(collecting));
        }
        Err(reason) => lookup.settle(reason),
    }
    if armed.is_conditional && response.status == 200 && !response.is_altered() {
        return Next::Done(answer_condition(lookup));
    }
    Next::Pass
}

/// The client's own condition and Range, which the application did not see, are answered by nginx's
/// filters: that of conditions lies before this one, so the header begins anew. Where the client
/// gets 304 the body is collected all the same.
fn answer_condition(lookup: Lookup) -> ngx_int_t {
    let request = lookup.request();
    conditions::restore(request);
    request.obey_precedence();
    if !request.raw().headers_in.range.is_null() {
        // nginx's filter adds one of its own.
        request.headers_out().list().hide("accept-ranges");
        request.set(glue::set_allow_ranges, true);
    }
    // SAFETY: the request is alive, and nothing of its header was sent; this filter passes it on
    // the second time.
    let code = unsafe {
        match ngx_http_top_header_filter {
            Some(top) => top(request.as_ptr()),
            None => rc::ERROR,
        }
    };
    let not_modified = request.raw().headers_out.status == 304;
    let collects = lookup.with_fate(|fate| matches!(fate, Fate::Collecting(_)));
    if not_modified && collects {
        request.set(glue::set_header_only, false);
        lookup.set_client_is_answered();
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
pub(in crate::nginx) unsafe fn on_body(lookup: Lookup, chain: *mut ngx_chain_t) -> ngx_int_t {
    let request = lookup.request();
    let held = lookup.with_fate(|fate| match fate {
        Fate::Held(hold) => Some(hold.clone()),
        _ => None,
    });
    // SAFETY: the caller guarantees a valid chain.
    unsafe {
        if let Some(hold) = held {
            return hold.keep(request, chain);
        }
        collect::take(lookup, chain);
        match lookup.client_is_answered() {
            true => filter::drop_body(request, chain),
            false => filter::pass_body(request, chain),
        }
    }
}
