//! What storing goes by: the directives of a location, as values.

use std::time::Duration;

use super::status::may_be_provoked;

/// The answers that a lifetime of `redis_cache_valid` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Those with this status.
    Status(u16),
    /// `any`: all but those that a request made for it may have provoked.
    Any,
}

/// `redis_cache_ignore_headers`: fields of an answer that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// `X-Accel-Expires`.
    pub accel_expires: bool,
    /// `Expires`.
    pub expires: bool,
    /// `Cache-Control`.
    pub cache_control: bool,
    /// `CDN-Cache-Control`.
    pub cdn_cache_control: bool,
    /// `Set-Cookie`.
    pub set_cookie: bool,
    /// `Vary`.
    pub vary: bool,
}

/// `redis_cache_invalidate`: what a success of an unsafe method invalidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invalidates {
    /// Its target, and what Location and Content-Location name.
    #[default]
    Location,
    /// Its target.
    Target,
    /// Nothing.
    Nothing,
}

/// `redis_cache_heuristic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heuristic {
    /// Which part of the time since Last-Modified is the lifetime, in hundredths.
    pub percent: u32,
    /// The longest that it may be.
    pub max: Duration,
}

/// What `redis_cache_store on` goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreRules {
    /// `redis_cache_valid`; the first that fits counts.
    pub valid: Vec<(Validity, Duration)>,
    /// `redis_cache_heuristic`; `None` is `off`.
    pub heuristic: Option<Heuristic>,
    /// `redis_cache_ignore_headers`.
    pub ignored: Ignored,
    /// `redis_cache_revalidate`.
    pub revalidate: bool,
    /// `redis_cache_cookies`: the application was sent no other cookies than the key has.
    pub cookies_are_in_key: bool,
    /// `redis_cache_compress`: one content coding does for all clients, so that pages do not vary on
    /// Accept-Encoding.
    pub codes: bool,
    /// `redis_cache_use_stale`: pages are kept when they are no longer fresh.
    pub uses_stale: bool,
    /// `redis_cache_keep`.
    pub keep: Duration,
}

impl StoreRules {
    /// `redis_cache_valid` for a status; the first that fits counts.
    pub(super) fn validity(&self, status: u16) -> Option<Duration> {
        let fits = |what: &Validity| match what {
            Validity::Status(wanted) => *wanted == status,
            Validity::Any => !may_be_provoked(status),
        };
        self.valid.iter().find(|(what, _)| fits(what)).map(|(_, time)| *time)
    }
}
