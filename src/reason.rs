//! Why a request was answered as it was: one word, the same in the error log, in
//! `$redis_cache_reason`, in `Cache-Status`, in the docs and in the tests.

use std::fmt;

/// What became of a request, as `$redis_cache_status` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The stored page was sent.
    Hit,
    /// Redis holds no page that fits this request.
    Miss,
    /// Redis was not asked.
    Bypass,
    /// A page is stored, and is no longer fresh.
    Expired,
    /// Redis could not be asked, or what it answered is not a page.
    Error,
}

impl Status {
    /// The word in `$redis_cache_status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Bypass => "BYPASS",
            Self::Expired => "EXPIRED",
            Self::Error => "ERROR",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $word:literal $status:ident $sentence:literal;)*) => {
        /// The one word that says why.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $sentence] $variant,)* }

        impl Reason {
            /// Every reason, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in `$redis_cache_reason`, the error log and `Cache-Status`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The status that this reason explains.
            pub const fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status,)* }
            }

            /// The sentence that docs/operations.md gives for it.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    Fresh "fresh" Hit "The stored page was fresh and was sent.";
    Absent "absent" Miss "Redis holds nothing under the key.";
    Gone "gone" Miss "The page was invalidated a moment ago; a tombstone stands in its place.";
    Vary "vary" Miss "The stored page varies on request headers, and no stored variant fits this request.";
    Encoding "encoding" Miss "The page is stored in a content coding that this client cannot take.";
    Collision "collision" Miss "The page stored under this hash belongs to another key.";
    Stale "stale" Expired "The freshness lifetime of the stored page is over.";
    NoCache "no_cache" Expired "The stored page may not be reused without asking the application.";
    Method "method" Bypass "Only GET and HEAD are looked up.";
    Authorization "authorization" Bypass "A request with an Authorization header is never looked up.";
    BypassCondition "bypass" Bypass "A value of redis_cache_bypass was neither empty nor 0.";
    Host "host" Bypass "The Host header is not the host that selected the server, or its port is no number.";
    Subrequest "subrequest" Bypass "A subrequest that only grants access or mirrors is never looked up.";
    Redirect "redirect" Bypass "An internal redirect after another response: the request's target no longer names the page.";
    Key "key" Bypass "The key came out empty or longer than 64 KiB.";
    Refused "refused" Error "Redis could not be reached: the connection was refused or failed.";
    Timeout "timeout" Error "Redis did not answer within the time budget.";
    Closed "closed" Error "Redis closed the connection in the middle of an answer.";
    Protocol "protocol" Error "What came back is not a reply of Redis to this query.";
    TooLarge "too_large" Error "The stored value is larger than redis_cache_max_size.";
    WrongType "wrong_type" Error "The key holds something that is not a string.";
    NoAuth "noauth" Error "Redis wants a user or password, or refused the given one.";
    NoPerm "noperm" Error "The Redis user may not run the command or read the key.";
    Loading "loading" Error "Redis is loading its data after a start.";
    Oom "oom" Error "Redis is out of memory.";
    ReadOnly "readonly" Error "Redis is a read-only replica.";
    Moved "moved" Error "The key lives on another node of a Redis Cluster.";
    MasterDown "masterdown" Error "The replica has lost its primary.";
    ErrorReply "error_reply" Error "Redis answered with an error of another kind.";
    Breaker "breaker" Error "Redis failed repeatedly and is not asked until the breaker lets a probe through.";
    Overload "overload" Error "Too many lookups wait, or too much memory is held by values.";
    Entry "entry" Error "The stored value is not a page in the form that redis_cache_format names.";
    Truncated "truncated" Error "The stored page is shorter or longer than its own Content-Length.";
    Version "version" Error "The stored page has a form newer than this module.";
    Pickle "pickle" Error "The stored value is a Python pickle, not a page.";
    Internal "internal" Error "nginx ran out of memory while it handled the lookup.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reason {
    /// The HTTP status for a request without `redis_cache_fallback`: 405 for a method that is
    /// not looked up, 504 for a timeout, 502 for another error, else 404.
    pub const fn status_without_fallback(self) -> u16 {
        match (self, self.status()) {
            (Self::Method, _) => 405,
            (Self::Timeout, _) => 504,
            (_, Status::Error) => 502,
            _ => 404,
        }
    }

    /// Whether it speaks of the connection to Redis, and so counts for the breaker: queue waits,
    /// oversized values and undecodable entries do not.
    pub const fn is_connection_fault(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Timeout
                | Self::Closed
                | Self::Protocol
                | Self::NoAuth
                | Self::Loading
                | Self::MasterDown
        )
    }

    /// Whether the application may store its answer under the key: it is told the key after a
    /// miss and after a bypass that the configuration asked for, never after a fault.
    pub const fn may_fill(self) -> bool {
        matches!(self.status(), Status::Miss | Status::Expired)
            || matches!(self, Self::BypassCondition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_one_word() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn faults_never_let_the_application_fill() {
        for reason in Reason::ALL.iter().filter(|r| r.status() == Status::Error) {
            assert!(!reason.may_fill(), "{reason}");
        }
        assert!(!Reason::Host.may_fill() && !Reason::Authorization.may_fill());
        assert!(Reason::Absent.may_fill() && Reason::Stale.may_fill());
    }
}
