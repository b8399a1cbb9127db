//! A request that is no hit goes on to the application: may its answer be stored, and how.

use crate::engine::client::hash_of;
use crate::engine::memory::Share;
use crate::entry;
use crate::entry::{Head, MAX_FIELDS, OwnTag};
use crate::flight::Landing;
use crate::http::Field;
use crate::nginx::conf::MainConf;
use crate::nginx::http::fate::{Armed, Confirmable, Fate};
use crate::nginx::http::lookup::Lookup;
use crate::nginx::http::{conditions, flight, rewrite, serve};
use crate::nginx::sys;
use crate::nginx::sys::response::Response;
use crate::nginx::sys::{OutOfMemory, now_millis};
use crate::nginx::worker::coding::{Recipe, Uncoded};
use crate::nginx::worker::{coding, writer};
use crate::policy;
use crate::policy::{FillFacts, Invalidates, LookedUp, Received, Storable};
use crate::reason::{Reason, Status, StoreReason};
use crate::redis::write::Write;

/// Prepares the request for what becomes of its answer; `stale` is the stored page that the
/// application may confirm.
pub(in crate::nginx) fn arm(
    lookup: Lookup,
    reason: Reason,
    stale: Option<&Confirmable<'_>>,
) -> Result<(), OutOfMemory> {
    let Some(rules) = &lookup.plan().store else { return Ok(()) };
    let request = lookup.request();
    if reason == Reason::Method {
        let invalidates = lookup.plan().invalidates != Invalidates::Nothing;
        if request.is_main() && request.is_unsafe() && invalidates {
            lookup.set_fate(Fate::Invalidates(request.keys_of_own_page(lookup.plan())));
        }
        return Ok(());
    }
    if request.is_after_response() {
        lookup.settle(StoreReason::Redirect);
        return Ok(());
    }
    let facts = FillFacts {
        reason,
        get: request.is_get(),
        body: request.has_body(),
        part: conditions::asks_for_a_part(request),
        host: request.origin(lookup.plan()).is_ok_and(|origin| origin.is_canonical()),
        forged: request.forges_origin(lookup.plan()),
        no_store: request.control().no_store,
    };
    if let Err(reason) = policy::fill(&facts) {
        lookup.settle(reason);
        return Ok(());
    }
    if !is_used_enough(lookup, reason) {
        lookup.settle(StoreReason::MinUses);
        return Ok(());
    }
    let mut armed = Armed { asked: now_millis(), asks_to_confirm: false, is_conditional: false };
    // A subrequest shares the header of its main request, which is not to be changed for it.
    if request.is_main() {
        armed.is_conditional = conditions::take(request)?;
        let may_confirm = |found: &&Confirmable<'_>| {
            rules.revalidate
                && policy::has_validator(found.page.fields())
                && serve::body(lookup, &found.page, found.stale.form).is_ok()
        };
        if let Some(Confirmable { page, .. }) = stale.filter(may_confirm) {
            conditions::add_validators(request, page)?;
            armed.asks_to_confirm = true;
        }
    }
    lookup.set_fate(Fate::Armed(Box::new(armed)));
    flight::lead(lookup);
    Ok(())
}

/// Whether a page that is not stored was asked for often enough to be. What is stored was.
pub(in crate::nginx) fn is_used_enough(lookup: Lookup, reason: Reason) -> bool {
    let least = lookup.plan().min_uses;
    if least < 2 || reason.status() != Status::Miss {
        return true;
    }
    let uses = lookup.request().main_conf().and_then(MainConf::uses);
    uses.is_none_or(|uses| uses.count(hash_of(lookup.key_bytes())) >= least)
}

impl Armed {
    /// Takes back what was done to the request for the application alone: parts that its answer
    /// includes are asked for later, with the header of this request.
    pub fn undo(&self, lookup: Lookup) -> Result<(), OutOfMemory> {
        let asks = self.asks_to_confirm;
        if asks { conditions::drop_validators(lookup.request()) } else { Ok(()) }
    }
}

/// Another location answers than the one that was prepared: takes back what its lookup did to the
/// request.
pub(in crate::nginx) fn disarm(lookup: Lookup) -> Result<(), OutOfMemory> {
    rewrite::take_back(lookup)?;
    if !lookup.is_armed() {
        return Ok(());
    }
    let fate = lookup.set_fate(Fate::Settled(StoreReason::Redirect));
    lookup.end_flight(Landing::Failed(None));
    let Fate::Armed(armed) = fate else { return Ok(()) };
    if lookup.request().is_main() {
        conditions::restore(lookup.request());
    }
    armed.undo(lookup)
}

/// Whether and how the answer may be stored.
pub(in crate::nginx) fn decide(
    lookup: Lookup,
    armed: &Armed,
    response: &Response<'_>,
) -> Result<Storable, StoreReason> {
    let (plan, request) = (lookup.plan(), lookup.request());
    let rules = plan.store.as_ref().ok_or(StoreReason::Internal)?;
    if response.is_altered() {
        return Err(StoreReason::Partial);
    }
    // Nothing below is done for more fields than could be stored.
    if response.received.len() > MAX_FIELDS {
        return Err(StoreReason::Entry);
    }
    if request.is_cached() {
        return Err(StoreReason::Cached);
    }
    let received = Received {
        status: response.status,
        fields: &response.received,
        asked: armed.asked,
        arrived: now_millis(),
    };
    let storable = policy::store(&received, rules, |name| request.has_header(name))?
        .jittered(plan.fetch.jitter, sys::random_part());
    lookup.set_took_to_fill(received.arrived.saturating_sub(armed.asked).max(1));
    let holds = |&template| request.evaluate(template).is_none_or(policy::condition_holds);
    if plan.no_store.iter().any(holds) {
        return Err(StoreReason::Condition);
    }
    if response.ends_with_connection() && !policy::has_no_body(response.status) {
        return Err(StoreReason::LengthUnknown);
    }
    if response.length().is_some_and(|length| length > plan.max_size) {
        return Err(StoreReason::TooLarge);
    }
    Ok(storable)
}

/// The head of the page to be stored.
pub(in crate::nginx) fn head(
    lookup: Lookup,
    storable: &Storable,
    (status, phrase): (u16, &[u8]),
    fields: &[Field<'_>],
    received: &[Field<'_>],
    coded: Option<OwnTag>,
) -> Result<Vec<u8>, StoreReason> {
    // Who does not fetch pages early does not want to know.
    let took = if lookup.plan().fetch.refresh_early { lookup.took_to_fill() } else { 0 };
    let head = Head {
        status,
        phrase,
        stored: now_millis().saturating_sub(storable.age),
        fresh: storable.fresh,
        swr: storable.swr,
        sie: storable.sie,
        took,
        key: lookup.key().and_then(|key| key.hashed_text.as_deref()),
        coded,
    };
    head.encode(fields.iter().copied(), received)
}

/// How a page is coded, if it is: `fields` are those that are stored of an answer with `received`. Its head
/// in the coded form is made now, while the answer is there; one that is too large has no coded form.
pub(in crate::nginx) fn recipe<'a>(
    lookup: Lookup,
    response: &Response<'a>,
    storable: &Storable,
    written: (u16, &[u8]),
    fields: &[Field<'a>],
) -> Option<Recipe> {
    let received = &response.received;
    let compress = lookup.plan().compress.as_ref()?;
    if !compress.applies_to(fields, received) {
        return None;
    }
    let mut fields = fields.to_vec();
    let own = entry::code_fields(&mut fields, compress.coding, |bytes| response.keep(bytes))?;
    let head = head(lookup, storable, written, &fields, received, Some(own)).ok()?;
    Some(Recipe { head, compress })
}

/// Hands a page over to be written, coded by its recipe if it has one; `head` is the length of its head.
pub(in crate::nginx) fn hand_over(
    lookup: Lookup,
    storable: &Storable,
    (value, head): (Vec<u8>, usize),
    recipe: Option<Recipe>,
    share: Share,
) -> Result<(), StoreReason> {
    let write = place(lookup, storable, value)?;
    match recipe {
        Some(recipe) => {
            let uncoded = Uncoded { write, head, recipe };
            coding::code_and_fill(lookup, uncoded, storable.ttl, share)
        }
        None => writer::fill(lookup, write, storable.ttl, share),
    }
}

/// What is written for a page that is complete.
fn place(lookup: Lookup, storable: &Storable, value: Vec<u8>) -> Result<Write, StoreReason> {
    let key = &lookup.key().ok_or(StoreReason::Internal)?.bytes;
    let request = lookup.request();
    let placed = lookup.with_known(|known| {
        let (reason, age) = (lookup.reason(), lookup.began().elapsed());
        let codes = lookup.plan().compress.is_some();
        let looked_up = LookedUp { key, known, reason, age, codes };
        policy::place(
            &looked_up,
            storable,
            value,
            |name| request.field_of_fill(lookup.plan(), name),
            random_hex,
        )
    });
    placed.unwrap_or(Err(StoreReason::Internal))
}

/// 128 random bits in hexadecimal digits.
pub(in crate::nginx) fn random_hex() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let mut out = Vec::new();
    crate::key::push_hex(&mut out, &bytes);
    String::from_utf8(out).ok()
}
