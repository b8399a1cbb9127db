//! What is written where: a page under its key, or behind a marker where it varies; and over what.

use std::time::Duration;

use super::Storable;
use crate::entry::marker;
use crate::http::vary::variant_key;
use crate::reason::{Reason, StoreReason};
use crate::redis::write::{LATEST, Seen, Write};

/// One variant of a page that varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The request fields that the marker names, in lower case.
    pub fields: Vec<String>,
    /// The generation that the marker names.
    pub generation: String,
    /// Its key.
    pub key: Vec<u8>,
}

impl Variant {
    /// The variant of the page under `key` that a request gets, whose fields `value_of` tells.
    pub fn new(
        key: &[u8],
        fields: Vec<String>,
        generation: String,
        value_of: impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Self {
        let key = variant_key(key, &generation, &fields, value_of);
        Self { fields, generation, key }
    }
}

/// What a lookup saw under the keys that it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Under the request's key.
    pub first: Seen,
    /// The variant that the marker leads to, and what lies there.
    pub variant: Option<(Variant, Seen)>,
}

/// A lookup whose page is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct LookedUp<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// What it saw.
    pub known: &'a Known,
    /// Why it was no hit.
    pub reason: Option<Reason>,
    /// How long ago it began.
    pub age: Duration,
    /// As in [`StoreRules`](super::StoreRules).
    pub codes: bool,
}

/// What is written for a page that is complete. A page that varies on Accept-Encoding alone needs no
/// marker as long as one content coding does for all clients. `random` gives a new generation.
pub fn place(
    lookup: &LookedUp<'_>,
    storable: &Storable,
    value: Vec<u8>,
    value_of: impl FnMut(&str) -> Option<Vec<u8>>,
    random: impl FnOnce() -> Option<String>,
) -> Result<Write, StoreReason> {
    let (key, ttl) = (lookup.key.to_vec(), storable.ttl);
    let first = lookup.known.first.clone();
    // What once varied on the coding needs not, where one does for all clients.
    let names_coding = |names: &[String]| names.iter().any(|name| name == "accept-encoding");
    let needs = |(variant, _): &&(Variant, Seen)| {
        !lookup.codes || names_coding(&storable.vary) || !names_coding(&variant.fields)
    };
    let known = lookup.known.variant.as_ref().filter(needs);
    if first == Seen::Nothing && lookup.age >= LATEST {
        return Err(StoreReason::Late);
    }
    let conflict = lookup.reason == Some(Reason::Encoding);
    let coding_alone = storable.vary.iter().all(|name| name == "accept-encoding");
    if storable.vary.is_empty() || (coding_alone && known.is_none() && !conflict) {
        return Ok(Write::page(key, first, value, ttl));
    }
    if let Some((variant, seen)) = known {
        if storable.vary.iter().all(|name| variant.fields.contains(name)) {
            let marker = match &first {
                Seen::Value(start, length) if *length == start.len() => Some(start.clone()),
                _ => marker(&variant.fields, &variant.generation),
            };
            let marker = (key, first, marker.ok_or(StoreReason::Entry)?);
            return Ok(Write::variant(marker, (variant.key.clone(), seen.clone(), value), ttl));
        }
    }
    let mut fields = storable.vary.clone();
    fields.extend(known.iter().flat_map(|(variant, _)| variant.fields.iter().cloned()));
    fields.sort_unstable();
    fields.dedup();
    let generation = random().ok_or(StoreReason::Internal)?;
    let marker = marker(&fields, &generation).ok_or(StoreReason::Entry)?;
    let variant = Variant::new(&key, fields, generation, value_of);
    Ok(Write::variant((key, first, marker), (variant.key, Seen::Nothing, value), ttl))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(first: Seen, variant: Option<(Variant, Seen)>) -> Known {
        Known { first, variant }
    }

    fn placed(
        known: &Known,
        vary: &[&str],
        reason: Reason,
        age: u64,
    ) -> Result<Write, StoreReason> {
        placed_by(known, vary, reason, age, false)
    }

    fn placed_by(
        known: &Known,
        vary: &[&str],
        reason: Reason,
        age: u64,
        codes: bool,
    ) -> Result<Write, StoreReason> {
        let vary = vary.iter().map(|name| (*name).to_owned()).collect();
        let storable = Storable { age: 0, fresh: 1, swr: 0, sie: 0, ttl: 1, vary };
        let (age, reason) = (Duration::from_secs(age), Some(reason));
        let lookup = LookedUp { key: b"k", known, reason, age, codes };
        place(&lookup, &storable, b"page".to_vec(), |_| None, || Some("new".to_owned()))
    }

    fn key_of(placed: &Result<Write, StoreReason>) -> Option<(String, String)> {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        let (page, variant) = placed.as_ref().unwrap().variant_keys()?;
        Some((text(page), text(variant)))
    }

    #[test]
    fn a_page_that_does_not_vary_needs_no_marker() {
        let nothing = known(Seen::Nothing, None);
        assert_eq!(key_of(&placed(&nothing, &[], Reason::Absent, 0)), None);
        assert_eq!(key_of(&placed(&nothing, &["accept-encoding"], Reason::Absent, 0)), None);
        let conflict =
            placed(&known(Seen::value(b"x"), None), &["accept-encoding"], Reason::Encoding, 0);
        assert!(key_of(&conflict).is_some());
    }

    #[test]
    fn over_nothing_only_while_a_tombstone_would_still_be_there() {
        let nothing = known(Seen::Nothing, None);
        assert_eq!(placed(&nothing, &[], Reason::Absent, 50).err(), Some(StoreReason::Late));
        assert!(placed(&known(Seen::value(b"x"), None), &[], Reason::Stale, 50).is_ok());
    }

    #[test]
    fn a_variant_goes_where_the_marker_leads_or_a_new_marker_names_more() {
        let fields = vec!["accept".to_owned()];
        let variant = Variant::new(b"k", fields, "old".to_owned(), |_| None);
        let marked = known(Seen::value(b"marker"), Some((variant.clone(), Seen::Nothing)));
        let (page, key) = key_of(&placed(&marked, &["accept"], Reason::Vary, 0)).unwrap();
        assert_eq!((page.as_bytes(), key.as_bytes()), (&b"k"[..], &variant.key[..]));
        let (_, key) = key_of(&placed(&marked, &["cookie"], Reason::Vary, 0)).unwrap();
        let both = vec!["accept".to_owned(), "cookie".to_owned()];
        let wanted = Variant::new(b"k", both, "new".to_owned(), |_| None).key;
        assert_eq!(key.as_bytes(), wanted);
    }

    #[test]
    fn a_marker_that_names_the_coding_is_left_where_one_does_for_all() {
        let fields = vec!["accept".to_owned(), "accept-encoding".to_owned()];
        let variant = Variant::new(b"k", fields, "old".to_owned(), |_| None);
        let marked = known(Seen::value(b"marker"), Some((variant.clone(), Seen::Nothing)));
        let (_, key) = key_of(&placed(&marked, &["accept"], Reason::Vary, 0)).unwrap();
        assert_eq!(key.as_bytes(), variant.key);
        let (_, key) = key_of(&placed_by(&marked, &["accept"], Reason::Vary, 0, true)).unwrap();
        let wanted = Variant::new(b"k", vec!["accept".to_owned()], "new".to_owned(), |_| None);
        assert_eq!(key.as_bytes(), wanted.key);
        // One that says `no-transform` still varies on it.
        let stays = placed_by(&marked, &["accept", "accept-encoding"], Reason::Vary, 0, true);
        assert_eq!(key_of(&stays).unwrap().1.as_bytes(), variant.key);
    }
}
