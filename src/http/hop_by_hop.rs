//! Fields that belong to one connection and never come out of a cache (RFC 9110 section 7.6.1).

use super::list_members;

const ALWAYS: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether `name` is hop-by-hop: by definition, or because a Connection line lists it.
pub fn is<'a>(name: &str, mut connection: impl Iterator<Item = &'a [u8]>) -> bool {
    ALWAYS.iter().any(|always| name.eq_ignore_ascii_case(always))
        || connection
            .any(|line| list_members(line).any(|n| n.eq_ignore_ascii_case(name.as_bytes())))
}
