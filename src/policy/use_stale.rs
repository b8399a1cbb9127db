//! May a page that is no longer fresh be sent, while it is fetched anew or in the place of an error of the
//! application? RFC 5861, RFC 9111 section 4.2.4.

use super::staleness_of;
use crate::entry::Page;
use crate::http::cache_control::CacheControl;
use crate::http::freshness::millis;

/// How the application failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It gave no answer, or none that can be read: nginx answers 502.
    Error,
    /// It gave none in time: nginx answers 504.
    Timeout,
    /// It answered with this status.
    Status(u16),
}

impl Failure {
    /// The words of `redis_cache_use_stale`, which are those of nginx's `proxy_cache_use_stale`.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("error", Self::Error),
        ("timeout", Self::Timeout),
        ("http_500", Self::Status(500)),
        ("http_502", Self::Status(502)),
        ("http_503", Self::Status(503)),
        ("http_504", Self::Status(504)),
        ("http_403", Self::Status(403)),
        ("http_404", Self::Status(404)),
        ("http_429", Self::Status(429)),
    ];

    /// How it failed, of whose answer came the status `came`, if any did, and `sent` goes to the client.
    pub fn of(came: u16, sent: u16) -> Option<Self> {
        match sent {
            502 if came != 502 => Some(Self::Error),
            504 if came != 504 => Some(Self::Timeout),
            400.. if sent == came => Some(Self::Status(sent)),
            _ => None,
        }
    }

    /// Whether it is an error as RFC 5861 section 4 has it.
    fn is_server_error(self) -> bool {
        match self {
            Self::Error | Self::Timeout => true,
            Self::Status(status) => matches!(status, 500 | 502 | 503 | 504),
        }
    }
}

/// `redis_cache_use_stale`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UseStale {
    /// In the place of which failures.
    pub failures: Vec<Failure>,
    /// `updating`: also while the page is fetched anew.
    pub updating: bool,
}

impl UseStale {
    /// Whether it is anything but `off`.
    pub fn is_on(&self) -> bool {
        self.updating || !self.failures.is_empty()
    }
}

/// For how many milliseconds the page has been stale that may be sent in the place of a failure at `now`
/// (milliseconds since 1970); `None` where it may not. `stale-if-error` of the page itself counts without
/// what `rules` allow.
pub fn use_stale(page: &Page<'_>, failure: Failure, rules: &UseStale, now: i64) -> Option<i64> {
    let usable = Usable::of(page, now)?;
    let window = usable.window(page.facts.sie, usable.control.stale_if_error);
    let is_in_window = failure.is_server_error() && usable.staleness < window;
    usable.for_how_long(is_in_window, rules.failures.contains(&failure))
}

/// The same of a page that is fetched anew meanwhile: `stale-while-revalidate` of the page counts without
/// `updating`.
pub fn use_while_revalidated(page: &Page<'_>, rules: &UseStale, now: i64) -> Option<i64> {
    let usable = Usable::of(page, now)?;
    let window = usable.window(page.facts.swr, usable.control.stale_while_revalidate);
    usable.for_how_long(usable.staleness < window, rules.updating)
}

/// A stale page that does not forbid to be used.
struct Usable {
    staleness: i64,
    control: CacheControl,
    has_line: bool,
}

impl Usable {
    fn of(page: &Page<'_>, now: i64) -> Option<Self> {
        let staleness = staleness_of(page, now)?;
        let control = CacheControl::parse_targeted(page.values("cdn-cache-control"))
            .unwrap_or_else(|| CacheControl::parse(page.values("cache-control")));
        let is_forbidden = control.must_revalidate || control.no_cache || page.status >= 500;
        let has_line = page.facts.stored.is_some();
        (!is_forbidden).then_some(Self { staleness, control, has_line })
    }

    /// The line has what the writer took from the fields.
    fn window(&self, line: Option<i64>, field: Option<u64>) -> i64 {
        if self.has_line { line.unwrap_or(0) } else { field.map_or(0, millis) }
    }

    fn for_how_long(&self, is_in_window: bool, is_allowed: bool) -> Option<i64> {
        let may = is_in_window || (is_allowed && self.control.s_maxage.is_none());
        may.then_some(self.staleness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    const NOW: i64 = 1_000_000;

    /// Of a page that has been stale for ten seconds.
    fn used(line: &str, fields: &str, failure: Failure, allowed: &[Failure]) -> bool {
        let rules = UseStale { failures: allowed.to_vec(), updating: false };
        let stored = NOW - 70_000;
        let value = format!(
            "HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored={stored}, fresh=60000{line}\r\n{fields}\r\n"
        );
        let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
        let found = use_stale(&page, failure, &rules, NOW);
        assert!(found.is_none_or(|staleness| staleness == 10_000));
        found.is_some()
    }

    #[test]
    fn how_the_application_failed() {
        assert_eq!(Failure::of(0, 502), Some(Failure::Error));
        assert_eq!(Failure::of(200, 502), Some(Failure::Error));
        assert_eq!(Failure::of(502, 502), Some(Failure::Status(502)));
        assert_eq!(Failure::of(0, 504), Some(Failure::Timeout));
        assert_eq!(Failure::of(504, 504), Some(Failure::Status(504)));
        assert_eq!(Failure::of(404, 404), Some(Failure::Status(404)));
        for (came, sent) in [(200, 200), (0, 404), (503, 200), (0, 500), (304, 304)] {
            assert_eq!(Failure::of(came, sent), None, "{came} {sent}");
        }
    }

    #[test]
    fn what_the_page_itself_allows() {
        let within = |failure| used(", sie=10001", "", failure, &[]);
        for (_, failure) in Failure::WORDS {
            let expected = !matches!(failure, Failure::Status(400..500));
            assert_eq!(within(failure), expected, "{failure:?}");
        }
        assert!(!used(", sie=10000", "", Failure::Error, &[]));
        assert!(!used("", "Cache-Control: stale-if-error=60\r\n", Failure::Error, &[]));
        assert!(used(", sie=60000", "Cache-Control: s-maxage=60\r\n", Failure::Error, &[]));
    }

    #[test]
    fn what_the_directive_allows() {
        let allowed = [Failure::Timeout, Failure::Status(404)];
        for (_, failure) in Failure::WORDS {
            assert_eq!(used("", "", failure, &allowed), allowed.contains(&failure), "{failure:?}");
        }
    }

    #[test]
    fn while_it_is_fetched_anew() {
        let of = |line: &str, control: &str, updating: bool| {
            let value = format!(
                "HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored={}, fresh=60000{line}\r\n\
                 Cache-Control: {control}\r\n\r\n",
                NOW - 70_000
            );
            let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
            use_while_revalidated(&page, &UseStale { failures: Vec::new(), updating }, NOW)
        };
        assert_eq!(of(", swr=10001", "s-maxage=60", false), Some(10_000));
        assert_eq!(of(", swr=10000, sie=99999", "max-age=60", false), None);
        assert_eq!(of("", "max-age=60", true), Some(10_000));
        assert_eq!(of("", "s-maxage=60", true), None);
        assert_eq!(of(", swr=99999", "must-revalidate", true), None);
    }

    #[test]
    fn what_forbids_it() {
        let all = Failure::WORDS.map(|(_, failure)| failure);
        for control in ["must-revalidate", "proxy-revalidate", "no-cache"] {
            let field = format!("Cache-Control: {control}\r\n");
            assert!(!used(", sie=60000", &field, Failure::Error, &all), "{control}");
        }
        assert!(!used("", "Cache-Control: s-maxage=60\r\n", Failure::Error, &all));
        let targeted = "CDN-Cache-Control: max-age=60\r\nCache-Control: must-revalidate\r\n";
        assert!(used("", targeted, Failure::Error, &all));
    }

    #[test]
    fn a_page_without_the_line() {
        let of = |head: &str| {
            let value = format!("HTTP/1.1 {head}\r\n\r\n");
            let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
            let rules = UseStale { failures: vec![Failure::Error], updating: false };
            use_stale(&page, Failure::Error, &rules, NOW)
        };
        let date = "Date: Thu, 01 Jan 1970 00:15:30 GMT";
        let control = "Cache-Control: max-age=60";
        assert_eq!(of(&format!("200 OK\r\n{date}\r\n{control}")), Some(10_000));
        assert_eq!(of(&format!("200 OK\r\n{control}")), None);
        assert_eq!(of("200 OK"), None);
        assert_eq!(of(&format!("503 Busy\r\n{date}\r\n{control}")), None);
        let window = format!("{control}, s-maxage=60, stale-if-error=11");
        assert_eq!(of(&format!("200 OK\r\n{date}\r\n{window}")), Some(10_000));
    }
}
