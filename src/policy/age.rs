//! How old is a stored page, and is it still fresh? RFC 9111 sections 4.2 and 5.1.

use crate::entry::Page;
use crate::http::cache_control::CacheControl;
use crate::http::date_millis;
use crate::http::freshness::{age_millis, lifetime, seconds};
use crate::reason::Reason;

/// Current age and remaining freshness lifetime in seconds of `page` at `now` (milliseconds since
/// 1970). The `Redis-Cache` line decides where it is there; else Date, Age, Cache-Control and
/// Expires do as far as they are there; else the page is fresh for as long as Redis keeps it.
pub fn freshness_of(page: &Page<'_>, now: i64) -> Result<(Option<u64>, Option<u64>), Reason> {
    let (age, lifetime) = age_and_lifetime(page, now)?;
    let ttl = match (age, lifetime) {
        (_, Some(0)) => return Err(Reason::Stale),
        (Some(age), Some(lifetime)) if age >= lifetime => return Err(Reason::Stale),
        (Some(age), Some(lifetime)) => Some(seconds(lifetime - age)),
        _ => None,
    };
    Ok((age.map(seconds), ttl))
}

/// For how many milliseconds `page` has not been fresh any more at `now`; `None` where it is fresh, or
/// does not say.
pub fn staleness_of(page: &Page<'_>, now: i64) -> Option<i64> {
    let (age, lifetime) = age_and_lifetime(page, now).ok()?;
    age?.checked_sub(lifetime?).filter(|staleness| *staleness >= 0)
}

/// Age and freshness lifetime in milliseconds, by the line or by the fields.
fn age_and_lifetime(page: &Page<'_>, now: i64) -> Result<(Option<i64>, Option<i64>), Reason> {
    match (page.facts.stored, page.facts.fresh) {
        (Some(stored), Some(fresh)) => Ok((Some(now.saturating_sub(stored).max(0)), Some(fresh))),
        _ => from_fields(page, now),
    }
}

/// The current age of `page` in seconds, whether it is fresh or not; `None` where it does not say.
pub fn age_of(page: &Page<'_>, now: i64) -> Option<u64> {
    let since = page.facts.stored.or_else(|| page.value("date").and_then(date_millis))?;
    Some(seconds(now.saturating_sub(since).max(0)))
}

/// Age and freshness lifetime in milliseconds from the page's own fields.
fn from_fields(page: &Page<'_>, now: i64) -> Result<(Option<i64>, Option<i64>), Reason> {
    let control = CacheControl::parse(page.values("cache-control"));
    if control.no_store || control.private || control.no_cache {
        return Err(Reason::NoCache);
    }
    let date = page.value("date").and_then(date_millis);
    let lifetime = lifetime(&control, page.value("expires"), date.unwrap_or(now));
    let arrived_with = page.value("age").map(age_millis).unwrap_or(0);
    let age = date.map(|date| now.saturating_sub(date).max(arrived_with));
    Ok((age, lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    /// 100 s after the Date of the pages below.
    const NOW: i64 = 784_111_777_000 + 100_000;

    fn of_fields(fields: &str) -> Result<(Option<u64>, Option<u64>), Reason> {
        let value =
            format!("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n{fields}\r\nbody");
        let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
        freshness_of(&page, NOW)
    }

    #[test]
    fn lifetimes_from_fields() {
        assert_eq!(of_fields(""), Ok((Some(100), None)));
        assert_eq!(of_fields("Cache-Control: max-age=150\r\n"), Ok((Some(100), Some(50))));
        assert_eq!(of_fields("Cache-Control: max-age=100\r\n"), Err(Reason::Stale));
        assert_eq!(
            of_fields("Cache-Control: max-age=1\r\nCache-Control: S-Maxage=200\r\n"),
            Ok((Some(100), Some(100)))
        );
        assert_eq!(
            of_fields("Expires: Sun, 06 Nov 1994 08:52:37 GMT\r\n"),
            Ok((Some(100), Some(80)))
        );
        assert_eq!(of_fields("Expires: 0\r\n"), Err(Reason::Stale));
        assert_eq!(
            of_fields("Age: 120\r\nCache-Control: max-age=150\r\n"),
            Ok((Some(120), Some(30)))
        );
        assert_eq!(of_fields("Cache-Control: no-cache\r\n"), Err(Reason::NoCache));
        assert_eq!(of_fields("Cache-Control: Private\r\n"), Err(Reason::NoCache));
    }

    #[test]
    fn the_line_outranks_the_fields() {
        let line = format!("Redis-Cache: v=1, stored={}, fresh=20000\r\n", NOW - 5_500);
        assert_eq!(
            of_fields(&format!("{line}Cache-Control: private, max-age=0\r\n")),
            Ok((Some(5), Some(14)))
        );
    }
}
