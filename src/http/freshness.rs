//! Is a stored page still fresh, and how old is it? And how old is a response that arrives?
//! RFC 9111 sections 4.2 and 5.1.

use super::cache_control::CacheControl;
use super::{date_millis, field_value};
use crate::entry::{Field, Page};
use crate::reason::Reason;

/// Current age and remaining freshness lifetime in seconds of `page` at `now` (milliseconds since
/// 1970). The `Redis-Cache` line decides where it is there; else Date, Age, Cache-Control and
/// Expires do as far as they are there; else the page is fresh for as long as Redis keeps it.
pub fn of(page: &Page<'_>, now: i64) -> Result<(Option<u64>, Option<u64>), Reason> {
    let (age, lifetime) = match (page.facts.stored, page.facts.fresh) {
        (Some(stored), Some(fresh)) => (Some(now.saturating_sub(stored).max(0)), Some(fresh)),
        _ => from_fields(page, now)?,
    };
    let ttl = match (age, lifetime) {
        (Some(age), Some(lifetime)) if age >= lifetime => return Err(Reason::Stale),
        (Some(age), Some(lifetime)) => Some(seconds(lifetime - age)),
        _ => None,
    };
    Ok((age.map(seconds), ttl))
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
    if lifetime == Some(0) {
        return Err(Reason::Stale);
    }
    let arrived_with = page.value("age").map(age_millis).unwrap_or(0);
    let age = date.map(|date| now.saturating_sub(date).max(arrived_with));
    Ok((age, lifetime))
}

/// The freshness lifetime in milliseconds that the fields state (RFC 9111 section 4.2.1):
/// `s-maxage`, then `max-age`, then Expires, which an invalid date puts into the past.
/// `date` is when the response was made, in milliseconds since 1970.
pub fn lifetime(control: &CacheControl, expires: Option<&[u8]>, date: i64) -> Option<i64> {
    match (control.s_maxage.or(control.max_age), expires) {
        (Some(seconds), _) => Some(millis(seconds)),
        (None, Some(expires)) => {
            let expires = date_millis(expires).unwrap_or(0);
            Some(expires.saturating_sub(date).max(0))
        }
        (None, None) => None,
    }
}

/// The age in milliseconds that a response arrives with at `now`, having been asked for at
/// `asked` (both milliseconds since 1970): `corrected_initial_age` of RFC 9111 section 4.2.3.
pub fn initial_age(fields: &[Field<'_>], asked: i64, now: i64) -> i64 {
    let delay = now.saturating_sub(asked).max(0);
    let stated = field_value(fields, "age").map_or(0, age_millis);
    let date = field_value(fields, "date").and_then(date_millis);
    let apparent = date.map_or(0, |date| now.saturating_sub(date).max(0));
    apparent.max(stated.saturating_add(delay))
}

/// Milliseconds of so many seconds.
pub fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

/// Milliseconds of an Age value: the first member of a list counts, one beyond 2^31 seconds as
/// 2^31, one that is no number not at all (RFC 9111 sections 1.2.2 and 5.1).
fn age_millis(value: &[u8]) -> i64 {
    let first = value.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(first).unwrap_or_default();
    millis(text.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31))
}

fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1000).unwrap_or(0)
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
        of(&page, NOW)
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
    fn the_age_of_a_response_that_arrives() {
        let age = |fields: &[(&'static str, &'static str)], asked| {
            let field = |&(name, value): &(&'static str, &'static str)| Field {
                name,
                value: value.as_bytes(),
            };
            initial_age(&fields.iter().map(field).collect::<Vec<_>>(), NOW - asked, NOW)
        };
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(age(&[], 300), 300);
        assert_eq!(age(&[date], 300), 100_000);
        assert_eq!(age(&[date, ("Age", "120")], 300), 120_300);
        assert_eq!(age(&[("Age", "7, 9")], 0), 7_000);
        assert_eq!(age(&[("Age", "-7")], 0), 0);
        assert_eq!(age(&[("Age", "99999999999999999999")], 0), 1000 << 31);
        assert_eq!(age(&[("Date", "Sun, 06 Nov 2094 08:49:37 GMT")], 5), 5);
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
