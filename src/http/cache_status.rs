//! The Cache-Status field (RFC 9211).

use crate::reason::{Reason, Status, StoreReason};

/// The name of this cache in the field.
pub const CACHE: &str = "nginx-redis-cache";

/// The field value: `hit` with the remaining freshness lifetime `ttl` in seconds, or `fwd` with
/// why the request went forward, and `ttl` below 0 where a stale page was sent all the same; the
/// reason as `detail`. Where the answer is known not to be stored, `stored` is false and the word for
/// it stands behind the reason.
pub fn value(reason: Reason, ttl: Option<i64>, not_stored: Option<StoreReason>) -> String {
    let ttl = ttl.map(|ttl| format!("; ttl={ttl}")).unwrap_or_default();
    let forward = match (reason.status(), reason) {
        (_, Reason::Collapsed) => {
            return format!("{CACHE}; fwd=uri-miss; collapsed{ttl}; detail={reason}");
        }
        (_, Reason::LockTimeout) => "uri-miss; collapsed=?0",
        (Status::Hit | Status::Updating, _) | (_, Reason::Revalidating) => {
            return format!("{CACHE}; hit{ttl}; detail={reason}");
        }
        (Status::Stale, _) => return format!("{CACHE}; fwd=stale{ttl}; detail={reason}"),
        (Status::Expired, Reason::Reload) => "request",
        (Status::Revalidated, _) => "stale; fwd-status=304",
        (Status::Expired, _) => "stale",
        (Status::Bypass, Reason::Method) => "method",
        (Status::Bypass, _) => "bypass",
        (Status::Miss, Reason::Vary | Reason::Encoding) => "vary-miss",
        (Status::Miss, Reason::Absent | Reason::Gone | Reason::Collision) => "uri-miss",
        (Status::Miss | Status::Error, _) => "miss",
    };
    match not_stored {
        Some(why) => format!("{CACHE}; fwd={forward}; stored=?0; detail={reason}/{why}"),
        None => format!("{CACHE}; fwd={forward}; detail={reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_structured_list_of_one_member() {
        let whys = StoreReason::ALL.iter().copied().map(Some).chain([None]);
        for why in whys {
            for reason in Reason::ALL {
                let value = value(*reason, Some(5), why);
                let list: sfv::List = sfv::Parser::new(&value).parse().unwrap();
                assert_eq!(list.len(), 1, "{value}");
                assert!(value.contains(&format!("detail={reason}")));
            }
        }
        let fresh = value(Reason::Fresh, Some(5), None);
        assert_eq!(fresh, "nginx-redis-cache; hit; ttl=5; detail=fresh");
        let stale = value(Reason::UseStale, Some(-30), None);
        assert_eq!(stale, "nginx-redis-cache; fwd=stale; ttl=-30; detail=use_stale");
        let absent = value(Reason::Absent, None, None);
        assert_eq!(absent, "nginx-redis-cache; fwd=uri-miss; detail=absent");
        assert_eq!(
            value(Reason::Absent, None, Some(StoreReason::SetCookie)),
            "nginx-redis-cache; fwd=uri-miss; stored=?0; detail=absent/set_cookie"
        );
    }
}
