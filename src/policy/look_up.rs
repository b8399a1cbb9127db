//! May this request be looked up? Decided from facts alone.

use crate::reason::Reason;

/// Whether a request is to purge its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// It is not, as far as this cache goes.
    No,
    /// Somebody asks who may.
    Asked,
    /// Somebody asks who may not.
    Denied,
}

/// What the decision needs to know of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts {
    /// The method is GET or HEAD.
    pub safe_method: bool,
    /// The method is PURGE, and `redis_cache_purge` is on.
    pub purge: Purge,
    /// The request carries an Authorization header, even an empty one, and
    /// `redis_cache_authorization` is off.
    pub authorization: bool,
    /// A subrequest whose body nobody reads (auth_request, mirror): a hit would grant access.
    pub headers_only_subrequest: bool,
    /// The Host header is the host that selected the server.
    pub host_is_the_servers: bool,
    /// The key is made of the request's target, and the request was redirected internally after
    /// another response (error_page, X-Accel-Redirect): the target names another page.
    pub target_is_stale: bool,
    /// If-Match or If-Unmodified-Since, which only an origin server may evaluate (RFC 9111
    /// section 4.3.2).
    pub precondition: bool,
    /// A value of `redis_cache_bypass` is neither empty nor `0`.
    pub bypass: bool,
}

/// Whether Redis may be asked; a refusal names the bypass.
pub fn look_up(request: &RequestFacts) -> Result<(), Reason> {
    if request.purge == Purge::Asked && request.host_is_the_servers {
        Err(Reason::Purge)
    } else if request.purge != Purge::No {
        Err(Reason::PurgeDenied)
    } else if !request.safe_method {
        Err(Reason::Method)
    } else if request.headers_only_subrequest {
        Err(Reason::Subrequest)
    } else if request.authorization {
        Err(Reason::Authorization)
    } else if !request.host_is_the_servers {
        Err(Reason::Host)
    } else if request.target_is_stale {
        Err(Reason::Redirect)
    } else if request.precondition {
        Err(Reason::Precondition)
    } else if request.bypass {
        Err(Reason::BypassCondition)
    } else {
        Ok(())
    }
}

/// Whether a value makes `redis_cache_bypass` hold, as proxy_cache_bypass reads it: neither
/// empty nor `0`.
pub fn condition_holds(value: &[u8]) -> bool {
    !matches!(value, b"" | b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: RequestFacts = RequestFacts {
        safe_method: true,
        purge: Purge::No,
        authorization: false,
        headers_only_subrequest: false,
        host_is_the_servers: true,
        target_is_stale: false,
        precondition: false,
        bypass: false,
    };

    #[test]
    fn each_refusal_has_its_reason() {
        assert_eq!(look_up(&PLAIN), Ok(()));
        let refusals = [
            (RequestFacts { safe_method: false, ..PLAIN }, Reason::Method),
            (RequestFacts { purge: Purge::Asked, safe_method: false, ..PLAIN }, Reason::Purge),
            (
                RequestFacts { purge: Purge::Denied, safe_method: false, ..PLAIN },
                Reason::PurgeDenied,
            ),
            (
                RequestFacts { purge: Purge::Asked, host_is_the_servers: false, ..PLAIN },
                Reason::PurgeDenied,
            ),
            (RequestFacts { authorization: true, ..PLAIN }, Reason::Authorization),
            (RequestFacts { headers_only_subrequest: true, ..PLAIN }, Reason::Subrequest),
            (RequestFacts { host_is_the_servers: false, ..PLAIN }, Reason::Host),
            (RequestFacts { target_is_stale: true, ..PLAIN }, Reason::Redirect),
            (RequestFacts { precondition: true, ..PLAIN }, Reason::Precondition),
            (RequestFacts { bypass: true, ..PLAIN }, Reason::BypassCondition),
        ];
        for (facts, reason) in refusals {
            assert_eq!(look_up(&facts), Err(reason));
        }
    }

    #[test]
    fn conditions_are_read_as_nginx_reads_them() {
        assert!(!condition_holds(b"") && !condition_holds(b"0"));
        assert!(condition_holds(b"1") && condition_holds(b"00") && condition_holds(b"off"));
    }
}
