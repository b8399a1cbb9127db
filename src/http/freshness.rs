//! How long is a response fresh by its fields, and how old does it arrive? RFC 9111 sections 4.2 and 5.1.

use super::cache_control::CacheControl;
use super::{Field, date_millis, field_value};

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
pub fn age_millis(value: &[u8]) -> i64 {
    let first = value.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(first).unwrap_or_default();
    millis(text.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31))
}

/// Whole seconds of so many milliseconds.
pub fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 s after the Date of the pages below.
    const NOW: i64 = 784_111_777_000 + 100_000;

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
}
