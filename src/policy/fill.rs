//! May the answer to this request be stored, as far as the request alone can say?

use crate::reason::{Reason, Status, StoreReason};

/// What the decision needs to know of a request that is no hit.
#[derive(Clone, Copy, Debug)]
pub struct FillFacts {
    /// Why it is no hit.
    pub reason: Reason,
    /// The method is GET.
    pub get: bool,
    /// The request has a body, even an empty chunked one.
    pub body: bool,
    /// The request asks for a part of the page, or has If-Range.
    pub part: bool,
    /// Its Host is written as in the key: the application may make links of it.
    pub host: bool,
    /// A peer that `redis_cache_forwarded` does not believe says what scheme or host it had.
    pub forged: bool,
    /// Its Cache-Control says `no-store` (RFC 9111 section 5.2.1.5).
    pub no_store: bool,
}

/// Whether the answer may be stored; a refusal says why.
pub fn fill(request: &FillFacts) -> Result<(), StoreReason> {
    let seen = match (request.reason, request.reason.status()) {
        (Reason::Redirect, _) => Err(StoreReason::Redirect),
        (Reason::Collision, _) => Err(StoreReason::Kept),
        // Nobody but those who take the coding has use for what lies there.
        (Reason::Coding, _) => Ok(()),
        (_, Status::Miss | Status::Expired) => Ok(()),
        (_, Status::Bypass) => Err(StoreReason::Bypass),
        (_, Status::Error) => Err(StoreReason::Fault),
        (_, Status::Hit | Status::Revalidated | Status::Stale | Status::Updating) => {
            Err(StoreReason::Kept)
        }
    };
    if !request.get {
        return Err(StoreReason::Method);
    }
    seen?;
    if request.body {
        Err(StoreReason::Body)
    } else if request.no_store {
        Err(StoreReason::RequestNoStore)
    } else if request.part {
        Err(StoreReason::Range)
    } else if !request.host {
        Err(StoreReason::Host)
    } else if request.forged {
        Err(StoreReason::Forwarded)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISS: FillFacts = FillFacts {
        reason: Reason::Absent,
        get: true,
        body: false,
        part: false,
        host: true,
        forged: false,
        no_store: false,
    };

    #[test]
    fn each_refusal_has_its_reason() {
        assert_eq!(fill(&MISS), Ok(()));
        for (facts, reason) in [
            (FillFacts { get: false, ..MISS }, StoreReason::Method),
            (FillFacts { body: true, ..MISS }, StoreReason::Body),
            (FillFacts { part: true, ..MISS }, StoreReason::Range),
            (FillFacts { host: false, ..MISS }, StoreReason::Host),
            (FillFacts { forged: true, ..MISS }, StoreReason::Forwarded),
            (FillFacts { no_store: true, ..MISS }, StoreReason::RequestNoStore),
        ] {
            assert_eq!(fill(&facts), Err(reason));
        }
    }

    #[test]
    fn only_a_miss_an_expiry_and_a_damaged_page_are_filled() {
        for &reason in Reason::ALL {
            let allowed = fill(&FillFacts { reason, ..MISS }).is_ok();
            let open = matches!(reason.status(), Status::Miss | Status::Expired);
            let expected = (open && reason != Reason::Collision) || reason == Reason::Coding;
            assert_eq!(allowed, expected, "{reason}");
        }
    }
}
