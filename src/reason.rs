//! Why a request was answered as it was, and why the answer was stored or not: one word each, the
//! same in the error log, in `$redis_cache_reason` and `$redis_cache_store_reason`, in
//! `Cache-Status`, in the docs and in the tests.

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
    /// The stored page was no longer fresh; the application confirmed it, and it was sent.
    Revalidated,
    /// The stored page was no longer fresh, and was sent in the place of an error, or while it is fetched
    /// anew for the next visitor.
    Stale,
    /// The same, and another request has it fetched anew already.
    Updating,
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
            Self::Revalidated => "REVALIDATED",
            Self::Stale => "STALE",
            Self::Updating => "UPDATING",
            Self::Error => "ERROR",
        }
    }
}

/// An enum of words, each with its sentence for the docs.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal $sentence:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $(#[doc = $sentence] $variant,)* }

        impl $name {
            /// Every reason, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The sentence that docs/operations.md gives for it.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The one word that says why a request was answered as it was.
    Reason {
        Fresh "fresh" "The stored page was fresh and was sent.";
        Absent "absent" "Redis holds nothing under the key.";
        Gone "gone" "The page was invalidated a moment ago; a tombstone stands in its place.";
        LockTimeout "lock_timeout" "Another request of this worker fetched the page, and took longer than redis_cache_lock_timeout.";
        Collapsed "collapsed" "Another request of this worker fetched the page, and it was sent to this one as well.";
        Vary "vary" "The stored page varies on request headers, and no stored variant fits this request.";
        Encoding "encoding" "The page is stored in a content coding that this client cannot take.";
        NotPublic "not_public" "The request has an Authorization header, and the stored page does not say public, s-maxage or must-revalidate.";
        Collision "collision" "The page stored under this hash belongs to another key.";
        Stale "stale" "The freshness lifetime of the stored page is over.";
        NoCache "no_cache" "The stored page may not be reused without asking the application.";
        Reload "reload" "The stored page is fresh, and the Cache-Control of the request asks for a newer one.";
        Revalidated "revalidated" "The application confirmed the stored page with a 304, and it was sent.";
        Revalidating "revalidating" "The stored page was sent though it is no longer fresh, and is fetched anew in the background.";
        Updating "updating" "The stored page was sent though it is no longer fresh; it is being fetched anew, or was tried a moment ago, or too many others are.";
        Refresh "refresh" "A request of nginx's own, for the next visitor: the stored page is no longer fresh.";
        UseStale "use_stale" "The application failed, and the stored page was sent though it is no longer fresh; see redis_cache_use_stale.";
        Method "method" "Only GET and HEAD are looked up.";
        Purge "purge" "The request was PURGE, and the page was purged; see redis_cache_purge.";
        PurgeDenied "purge_denied" "The request was PURGE, from an address that redis_cache_purge does not name.";
        Authorization "authorization" "The request has an Authorization header, and redis_cache_authorization is off.";
        BypassCondition "bypass" "A value of redis_cache_bypass was neither empty nor 0.";
        Host "host" "The Host header is not the host that selected the server, or its port is no number.";
        Subrequest "subrequest" "A subrequest that only grants access or mirrors is never looked up.";
        Redirect "redirect" "An internal redirect after another response: the request's target no longer names the page.";
        Precondition "precondition" "The request has If-Match or If-Unmodified-Since, which only the application may evaluate.";
        Key "key" "The key came out empty or longer than 64 KiB.";
        Refused "refused" "Redis could not be reached: the connection was refused or failed.";
        Timeout "timeout" "Redis did not answer within the time budget.";
        Closed "closed" "Redis closed the connection in the middle of an answer.";
        Protocol "protocol" "What came back is not a reply of Redis to this query.";
        TooLarge "too_large" "The stored value, or the page that it decodes to, is larger than redis_cache_max_size.";
        WrongType "wrong_type" "The key holds something that is not a string.";
        NoAuth "noauth" "Redis wants a user or password, or refused the given one.";
        NoPerm "noperm" "The Redis user may not run the command or read the key.";
        Loading "loading" "Redis is loading its data after a start.";
        Oom "oom" "Redis is out of memory.";
        ReadOnly "readonly" "Redis is a read-only replica.";
        Moved "moved" "The key lives on another node of a Redis Cluster.";
        Topology "topology" "It is not known which server has the key: no sentinel or node of the cluster said so, or no node serves its slot.";
        MasterDown "masterdown" "The replica has lost its primary.";
        ErrorReply "error_reply" "Redis answered with an error of another kind.";
        Tls "tls" "The TLS handshake failed, as with a server that speaks no TLS or other versions and ciphers, or that wants a certificate.";
        TlsUntrusted "tls_untrusted" "The certificate of the server comes from no authority that is trusted.";
        TlsExpired "tls_expired" "The certificate of the server, or of its authority, is expired or not yet valid.";
        TlsName "tls_name" "The certificate of the server is for another name or address.";
        Breaker "breaker" "Redis failed repeatedly and is not asked until the breaker lets a probe through.";
        Pending "pending" "An invalidation of the page has not reached Redis yet.";
        Overload "overload" "Too many lookups wait, or too much memory is held by values.";
        Entry "entry" "The stored value is not a page in the form that redis_cache_format names.";
        Truncated "truncated" "The stored page is shorter or longer than its own Content-Length.";
        Coding "coding" "The stored page is damaged: its body is not what its Content-Encoding says.";
        Version "version" "The stored page has a form newer than this module.";
        Pickle "pickle" "The stored value is a Python pickle, not a page.";
        Internal "internal" "nginx ran out of memory while it handled the lookup.";
    }
}

words! {
    /// The one word that says why the answer of the application was stored or not.
    StoreReason {
        Queued "queued" "The answer is complete and was handed to Redis.";
        Incomplete "incomplete" "The answer ended, or the client left, before the whole body was there.";
        Method "method" "Only answers to GET are stored; after HEAD nothing is, and after other methods the stored page is invalidated.";
        Bypass "bypass" "The request was not looked up, so its answer is not stored.";
        Fault "fault" "The lookup failed, so it is not known what an answer would replace.";
        Kept "kept" "Redis holds a good page that this request could not use.";
        Body "body" "The request has a body, which is no part of the key.";
        Range "range" "The request asks for a part of the page, or has If-Range; the application answers it.";
        Host "host" "The host (of redis_cache_forwarded: or the scheme) is missing, or not written as in the key: links that the application makes of it would go to everybody.";
        Forwarded "forwarded" "A peer that redis_cache_forwarded does not believe sends a field that it names.";
        MinUses "min_uses" "The page was not asked for often enough yet for redis_cache_min_uses.";
        RequestNoStore "request_no_store" "The Cache-Control of the request says no-store.";
        Condition "condition" "A value of redis_cache_no_store was neither empty nor 0.";
        Redirect "redirect" "The answer came after error_page or X-Accel-Redirect, and belongs to another page.";
        Status "status" "The status is one that is never stored, or the answer says must-understand and its status is not known.";
        Partial "partial" "The answer is a part of a page.";
        NoStore "no_store" "The answer says no-store.";
        Private "private" "The answer says private.";
        NoCache "no_cache" "The answer says no-cache, and cannot be revalidated.";
        Authorization "authorization" "The request has an Authorization header, and the answer does not say public, s-maxage or must-revalidate.";
        SetCookie "set_cookie" "The answer sets a cookie.";
        VaryAll "vary_all" "The answer varies on everything (Vary: *).";
        Personal "personal" "The answer varies on Cookie or Authorization, and the request has it.";
        Variants "variants" "The page has as many variants as are stored at a time.";
        NoLifetime "no_lifetime" "The answer has no freshness lifetime, and redis_cache_valid gives none.";
        Expired "expired" "The answer was no longer fresh when it arrived.";
        TooLarge "too_large" "The answer is larger than redis_cache_max_size.";
        Stale "stale" "The answer is an error, in the place of which a stale page was sent.";
        Entry "entry" "The header is too large for the stored form, or has a value that it cannot hold.";
        LengthUnknown "length_unknown" "The end of the connection was the end of the answer, so it is not known to be whole. With proxy_http_version 1.1 the application can say where it ends.";
        Late "late" "The answer took so long that an invalidation since its lookup could be undone by it.";
        Cached "cached" "The answer came out of another cache of this nginx, such as proxy_cache.";
        Overload "overload" "Too much memory is held by values, or too much waits for Redis.";
        Internal "internal" "nginx ran out of memory.";
    }
}

impl Reason {
    /// The status that this reason explains.
    pub const fn status(self) -> Status {
        match self {
            Self::Fresh | Self::Collapsed => Status::Hit,
            Self::Revalidated => Status::Revalidated,
            Self::UseStale | Self::Revalidating => Status::Stale,
            Self::Updating => Status::Updating,
            Self::Absent
            | Self::LockTimeout
            | Self::Gone
            | Self::Vary
            | Self::Encoding
            | Self::NotPublic
            | Self::Collision => Status::Miss,
            Self::Stale | Self::NoCache | Self::Reload | Self::Refresh => Status::Expired,
            Self::Method
            | Self::Purge
            | Self::PurgeDenied
            | Self::Authorization
            | Self::BypassCondition
            | Self::Host
            | Self::Subrequest
            | Self::Redirect
            | Self::Precondition
            | Self::Key => Status::Bypass,
            Self::Refused
            | Self::Timeout
            | Self::Closed
            | Self::Protocol
            | Self::TooLarge
            | Self::WrongType
            | Self::NoAuth
            | Self::NoPerm
            | Self::Loading
            | Self::Oom
            | Self::ReadOnly
            | Self::Moved
            | Self::Topology
            | Self::MasterDown
            | Self::ErrorReply
            | Self::Tls
            | Self::TlsUntrusted
            | Self::TlsExpired
            | Self::TlsName
            | Self::Breaker
            | Self::Pending
            | Self::Overload
            | Self::Entry
            | Self::Truncated
            | Self::Coding
            | Self::Version
            | Self::Pickle
            | Self::Internal => Status::Error,
        }
    }

    /// The HTTP status for a request without `redis_cache_fallback`: 405 for a method that is
    /// not looked up, 504 for a timeout, 502 for another error, else 404.
    pub const fn status_without_fallback(self) -> u16 {
        match (self, self.status()) {
            (Self::Method, _) => 405,
            (Self::PurgeDenied, _) => 403,
            (Self::Timeout, _) => 504,
            (_, Status::Error) => 502,
            _ => 404,
        }
    }

    /// Whether the stored page is sent.
    pub const fn is_answered_by_redis(self) -> bool {
        matches!(
            self.status(),
            Status::Hit | Status::Revalidated | Status::Stale | Status::Updating
        )
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
                | Self::Tls
                | Self::TlsUntrusted
                | Self::TlsExpired
                | Self::TlsName
                | Self::NoAuth
                | Self::Loading
                | Self::MasterDown
        )
    }

    /// Whether a server that answers a command so will do so again: there is no use in sending it
    /// later.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::NoPerm)
    }

    /// Whether the application may store its answer under the key: it is told the key after a
    /// miss and after a bypass that the configuration asked for, never after a fault, but that of a page
    /// which it is to replace.
    pub const fn may_fill(self) -> bool {
        matches!(self.status(), Status::Miss | Status::Expired)
            || matches!(self, Self::BypassCondition | Self::Coding)
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
        for &reason in Reason::ALL.iter().filter(|r| r.status() == Status::Error) {
            assert_eq!(reason.may_fill(), reason == Reason::Coding, "{reason}");
        }
        assert!(!Reason::Host.may_fill() && !Reason::Authorization.may_fill());
        assert!(Reason::Absent.may_fill() && Reason::Stale.may_fill());
    }
}
