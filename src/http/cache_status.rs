//! The Cache-Status field (RFC 9211).

use crate::reason::{Reason, Status};

/// The name of this cache in the field.
pub const CACHE: &str = "nginx-redis-cache";

/// The field value: `hit` with the remaining freshness lifetime `ttl` in seconds, or `fwd` with
/// why the request went forward; the reason as `detail`.
pub fn value(reason: Reason, ttl: Option<u64>) -> String {
    let forward = match (reason.status(), reason) {
        (Status::Hit, _) => {
            let ttl = ttl.map(|ttl| format!("; ttl={ttl}")).unwrap_or_default();
            return format!("{CACHE}; hit{ttl}; detail={reason}");
        }
        (Status::Expired, _) => "stale",
        (Status::Bypass, Reason::Method) => "method",
        (Status::Bypass, _) => "bypass",
        (Status::Miss, Reason::Vary | Reason::Encoding) => "vary-miss",
        (Status::Miss, Reason::Absent | Reason::Gone | Reason::Collision) => "uri-miss",
        (Status::Miss | Status::Error, _) => "miss",
    };
    format!("{CACHE}; fwd={forward}; detail={reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_structured_list_of_one_member() {
        for reason in Reason::ALL {
            let value = value(*reason, Some(5));
            let list: sfv::List = sfv::Parser::new(&value).parse().unwrap();
            assert_eq!(list.len(), 1, "{value}");
            assert!(value.ends_with(reason.as_str()));
        }
        assert_eq!(value(Reason::Fresh, Some(5)), "nginx-redis-cache; hit; ttl=5; detail=fresh");
        assert_eq!(value(Reason::Absent, None), "nginx-redis-cache; fwd=uri-miss; detail=absent");
    }
}
