//! May this answer of the application be stored, and for how long? RFC 9111 sections 3 and 4.2,
//! RFC 9213, RFC 5861; docs/rfc9111.md says where the module chooses.

use std::time::Duration;

use super::status::{is_heuristically_cacheable, is_never_stored, is_understood};
use super::{Heuristic, StoreRules};
use crate::http::cache_control::CacheControl;
use crate::http::freshness::{self, millis};
use crate::http::{Field, date_millis, field_value, field_values, is_token, list_members};
use crate::reason::StoreReason;

/// An answer of the application, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The status code.
    pub status: u16,
    /// Its fields, also those that nginx hides from clients.
    pub fields: &'a [Field<'a>],
    /// When the application was asked, in milliseconds since 1970.
    pub asked: i64,
    /// When the head of the answer was there, likewise.
    pub arrived: i64,
}

/// How an answer is stored. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storable {
    /// The age it arrived with.
    pub age: i64,
    /// The freshness lifetime, counted from age 0.
    pub fresh: i64,
    /// For how long it may be used stale while it is fetched anew.
    pub swr: i64,
    /// For how long it may be used stale after an error.
    pub sie: i64,
    /// For how long Redis keeps it; above 0.
    pub ttl: i64,
    /// The request fields that it varies on, in lower case, sorted.
    pub vary: Vec<String>,
}

/// The most request fields that an answer may vary on.
const MAX_VARY: usize = 16;

/// Whether `answer` may be stored. `request_has` tells whether the request has a field.
pub fn store(
    answer: &Received<'_>,
    rules: &StoreRules,
    request_has: impl Fn(&str) -> bool,
) -> Result<Storable, StoreReason> {
    let fields = answer.fields;
    if is_never_stored(answer.status) {
        return Err(StoreReason::Status);
    }
    if field_value(fields, "content-range").is_some() {
        return Err(StoreReason::Partial);
    }
    let (control, expires) = control_of(fields, rules);
    if control.must_understand && !is_understood(answer.status) {
        return Err(StoreReason::Status);
    }
    if control.no_store && !control.must_understand {
        return Err(StoreReason::NoStore);
    }
    if control.private {
        return Err(StoreReason::Private);
    }
    if request_has("authorization") && !control.for_authorized {
        return Err(StoreReason::Authorization);
    }
    let sets_cookie =
        ["set-cookie", "set-cookie2"].iter().any(|n| field_value(fields, n).is_some());
    if sets_cookie && !rules.ignored.set_cookie {
        return Err(StoreReason::SetCookie);
    }
    let mut vary =
        if rules.ignored.vary { Vec::new() } else { vary_of(fields, rules, request_has)? };
    if rules.codes && !is_to_stay_as_it_is(fields) {
        vary.retain(|name| name != "accept-encoding");
    }
    let age = freshness::initial_age(fields, answer.asked, answer.arrived);
    let revalidated = rules.revalidate && has_validator(fields);
    let lifetime = match () {
        () if control.no_cache && revalidated => 0,
        () if control.no_cache => return Err(StoreReason::NoCache),
        () => lifetime(answer, &control, expires, age, rules)?,
    };
    if lifetime <= age && !revalidated {
        return Err(StoreReason::Expired);
    }
    let window = |seconds: Option<u64>| match control.must_revalidate || control.no_cache {
        true => 0,
        false => millis(seconds.unwrap_or(0)),
    };
    let swr = window(control.stale_while_revalidate);
    let sie = window(control.stale_if_error);
    let keep = if revalidated || rules.uses_stale { whole_millis(rules.keep) } else { 0 };
    let ttl = lifetime.saturating_sub(age).max(0).saturating_add(swr.max(sie).max(keep));
    if ttl <= 0 {
        return Err(StoreReason::Expired);
    }
    Ok(Storable { age, fresh: lifetime, swr, sie, ttl, vary })
}

/// Whether Cache-Control says `no-transform`: such an answer is neither coded nor decoded (RFC 9111
/// section 5.2.2.6).
pub fn is_to_stay_as_it_is(fields: &[Field<'_>]) -> bool {
    CacheControl::parse(field_values(fields, "cache-control")).no_transform
}

/// Cache-Control and Expires, or CDN-Cache-Control in the place of both (RFC 9213 section 2.2).
fn control_of<'a>(fields: &[Field<'a>], rules: &StoreRules) -> (CacheControl, Option<&'a [u8]>) {
    let targeted = || CacheControl::parse_targeted(field_values(fields, "cdn-cache-control"));
    if let Some(control) = (!rules.ignored.cdn_cache_control).then(targeted).flatten() {
        return (control, None);
    }
    let control = match rules.ignored.cache_control {
        true => CacheControl::default(),
        false => CacheControl::parse(field_values(fields, "cache-control")),
    };
    let expires = field_value(fields, "expires").filter(|_| !rules.ignored.expires);
    (control, expires)
}

/// The freshness lifetime in milliseconds, counted from age 0: X-Accel-Expires, then the answer's
/// own, then that of `redis_cache_valid`, then an estimate. The first and the third count from now on,
/// as in nginx.
fn lifetime(
    answer: &Received<'_>,
    control: &CacheControl,
    expires: Option<&[u8]>,
    age: i64,
    rules: &StoreRules,
) -> Result<i64, StoreReason> {
    let accel =
        field_value(answer.fields, "x-accel-expires").filter(|_| !rules.ignored.accel_expires);
    if let Some(left) = accel.and_then(|value| accel_expires(value, answer.arrived)) {
        return if left > 0 { Ok(age.saturating_add(left)) } else { Err(StoreReason::NoStore) };
    }
    let date = field_value(answer.fields, "date").and_then(date_millis).unwrap_or(answer.arrived);
    if let Some(lifetime) = freshness::lifetime(control, expires, date) {
        return Ok(lifetime);
    }
    match rules.validity(answer.status).map(whole_millis) {
        Some(left) if left > 0 => Ok(age.saturating_add(left)),
        Some(_) => Err(StoreReason::NoLifetime),
        None => {
            let may_estimate = control.public || is_heuristically_cacheable(answer.status);
            let heuristic = rules.heuristic.filter(|_| may_estimate);
            heuristic.and_then(|rule| estimate(answer, rule, date)).ok_or(StoreReason::NoLifetime)
        }
    }
}

/// The lifetime that the time between Last-Modified and `date` lets expect (RFC 9111 section 4.2.2).
fn estimate(answer: &Received<'_>, rule: Heuristic, date: i64) -> Option<i64> {
    let modified = field_value(answer.fields, "last-modified").and_then(date_millis)?;
    let unchanged = date.saturating_sub(modified);
    let lifetime = unchanged.saturating_mul(i64::from(rule.percent)) / 100;
    Some(lifetime.min(whole_millis(rule.max))).filter(|lifetime| *lifetime > 0)
}

/// Milliseconds for which X-Accel-Expires lets a page be fresh from `now` on: seconds, or a
/// moment behind `@`. `None` where it is neither, as in nginx.
fn accel_expires(value: &[u8], now: i64) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let (digits, from) = match text.strip_prefix('@') {
        Some(moment) => (moment, now),
        None => (text, 0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(millis(digits.parse().ok()?).saturating_sub(from))
}

/// The names of the Vary lines (RFC 9111 section 4.1), without Cookie where the key has the cookies
/// that the application was sent.
fn vary_of(
    fields: &[Field<'_>],
    rules: &StoreRules,
    request_has: impl Fn(&str) -> bool,
) -> Result<Vec<String>, StoreReason> {
    let mut names = Vec::new();
    for name in field_values(fields, "vary").flat_map(list_members) {
        if name == b"*" {
            return Err(StoreReason::VaryAll);
        }
        let name = std::str::from_utf8(name).map_err(|_| StoreReason::Entry)?;
        names.push(name.to_ascii_lowercase());
    }
    names.retain(|name| !(rules.cookies_are_in_key && name == "cookie"));
    names.sort_unstable();
    names.dedup();
    if names.iter().any(|n| matches!(n.as_str(), "cookie" | "authorization") && request_has(n)) {
        return Err(StoreReason::Personal);
    }
    if names.len() > MAX_VARY || !names.iter().all(|name| is_token(name)) {
        return Err(StoreReason::Entry);
    }
    Ok(names)
}

/// Whether the application can be asked if the page is still good.
pub fn has_validator(fields: &[Field<'_>]) -> bool {
    field_value(fields, "etag").is_some()
        || field_value(fields, "last-modified").and_then(date_millis).is_some()
}

fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
