//! The application confirmed a stored page with 304: what becomes of the page (RFC 9111 sections 3.2
//! and 4.3).

use super::{Form, Received, Reuse, Storable, StoreRules, age_of, store};
use crate::entry::Page;
use crate::http::freshness::{initial_age, seconds};
use crate::http::{Field, field_value};
use crate::reason::StoreReason;

/// Fields of a 304 that are not stored, and yet say whether and how long the page may be.
const DECISIVE: [&str; 4] = ["age", "x-accel-expires", "set-cookie", "set-cookie2"];

/// A 304 to the validators of a stored page.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// Its fields, also those that nginx hides from clients.
    pub received: &'a [Field<'a>],
    /// The Date of a 304 that came without one: when it arrived (RFC 9110 section 6.6.1).
    pub date: &'a [u8],
    /// When the application was asked, in milliseconds since 1970.
    pub asked: i64,
    /// When the head of the 304 was there, likewise.
    pub arrived: i64,
    /// In which form the client gets the page.
    pub form: Form,
}

/// Brings `page` up to what the 304 says: whether and how it is stored anew, and how it answers.
pub fn confirm<'a>(
    page: &mut Page<'a>,
    confirmation: &Confirmation<'a>,
    rules: &StoreRules,
    request_has: impl Fn(&str) -> bool,
) -> (Result<Storable, StoreReason>, Reuse) {
    let Confirmation { received, date, asked, arrived, form } = *confirmation;
    if !names(page, received) {
        let age = age_of(page, arrived);
        return (Err(StoreReason::Kept), Reuse { age, ttl: None, form });
    }
    let mut received = received.to_vec();
    if field_value(&received, "date").is_none() {
        received.push(Field { name: "Date", value: date });
    }
    page.update(&received);
    let decisive = received.iter().filter(|f| DECISIVE.iter().any(|name| f.is(name)));
    let fields: Vec<Field<'_>> = page.fields().iter().chain(decisive).copied().collect();
    let answer = Received { status: page.status, fields: &fields, asked, arrived };
    let judged = store(&answer, rules, request_has);
    let age = Some(seconds(initial_age(&fields, asked, arrived)));
    let ttl = judged.as_ref().ok().map(|page| seconds(page.fresh.saturating_sub(page.age)));
    (judged, Reuse { age, ttl, form })
}

/// Whether the ETag of the 304, if it has one, is that of the stored page (RFC 9111 section
/// 4.3.4): a page is not to be updated by what is said of another.
fn names(page: &Page<'_>, received: &[Field<'_>]) -> bool {
    let opaque = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    match (page.value("etag"), field_value(received, "etag")) {
        (Some(stored), Some(confirmed)) => opaque(stored) == opaque(confirmed),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entry::{Stored, decode};
    use crate::policy::Ignored;

    const NOW: i64 = 1_000_000;
    const DATE: &[u8] = b"Thu, 01 Jan 1970 00:16:40 GMT";

    fn confirmed(received: &[(&'static str, &'static str)]) -> (Result<i64, StoreReason>, Reuse) {
        let value =
            b"HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored=990000, fresh=1\r\nETag: \"1\"\r\n\
            Date: Thu, 01 Jan 1970 00:03:00 GMT\r\nCache-Control: max-age=5\r\n\r\nbody";
        let Ok(Stored::Page(mut page)) = decode(value) else { panic!("no page") };
        let field =
            |&(name, value): &(&'static str, &'static str)| Field { name, value: value.as_bytes() };
        let received: Vec<_> = received.iter().map(field).collect();
        let (asked, arrived) = (NOW - 10, NOW);
        let confirmation =
            Confirmation { received: &received, date: DATE, asked, arrived, form: Form::Stored };
        let rules = StoreRules {
            valid: Vec::new(),
            heuristic: None,
            ignored: Ignored::default(),
            revalidate: true,
            cookies_are_in_key: false,
            codes: false,
            uses_stale: false,
            keep: Duration::ZERO,
        };
        let (stored, reuse) = confirm(&mut page, &confirmation, &rules, |_| false);
        (stored.map(|storable| storable.fresh), reuse)
    }

    fn reuse(age: u64, ttl: Option<u64>) -> Reuse {
        Reuse { age: Some(age), ttl, form: Form::Stored }
    }

    #[test]
    fn the_fields_of_the_304_count() {
        assert_eq!(confirmed(&[]), (Ok(5_000), reuse(0, Some(4))));
        let longer = [("Cache-Control", "max-age=60"), ("Age", "10")];
        assert_eq!(confirmed(&longer), (Ok(60_000), reuse(10, Some(49))));
        assert_eq!(
            confirmed(&[("Cache-Control", "private")]),
            (Err(StoreReason::Private), reuse(0, None))
        );
        assert_eq!(
            confirmed(&[("Set-Cookie", "a=b")]),
            (Err(StoreReason::SetCookie), reuse(0, None))
        );
    }

    #[test]
    fn the_date_of_the_304_counts_and_not_that_of_the_page() {
        let old = [("Date", "Thu, 01 Jan 1970 00:16:37 GMT")];
        assert_eq!(confirmed(&old), (Ok(5_000), reuse(3, Some(2))));
        assert_eq!(confirmed(&[("Age", "3")]), (Ok(5_000), reuse(3, Some(1))));
    }

    #[test]
    fn what_is_said_of_another_page_changes_nothing() {
        assert_eq!(confirmed(&[("ETag", "\"2\"")]), (Err(StoreReason::Kept), reuse(10, None)));
        assert_eq!(confirmed(&[("ETag", "W/\"1\"")]), (Ok(5_000), reuse(0, Some(4))));
    }
}
