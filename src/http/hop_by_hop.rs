//! Fields that belong to one connection and never come out of a cache (RFC 9110 section 7.6.1).

use std::collections::BTreeSet;

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

/// The hop-by-hop fields of one message: some by definition, others because its Connection lines list
/// them.
#[derive(Clone, Debug, Default)]
pub struct HopByHop {
    /// In lower case.
    listed: BTreeSet<Vec<u8>>,
}

impl HopByHop {
    /// Those of a message with these Connection lines.
    pub fn of<'a>(connection: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { listed: connection.flat_map(list_members).map(<[u8]>::to_ascii_lowercase).collect() }
    }

    /// Whether a field called `name` is one of them.
    pub fn has(&self, name: &str) -> bool {
        ALWAYS.iter().any(|always| name.eq_ignore_ascii_case(always))
            || (!self.listed.is_empty()
                && self.listed.contains(&*name.as_bytes().to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_definition_or_by_connection() {
        let lines = [&b"close, X-Mine"[..], b"\"a, b\",x-other"];
        let fields = HopByHop::of(lines.into_iter());
        for name in ["TE", "Connection", "x-mine", "X-OTHER", "Close"] {
            assert!(fields.has(name), "{name}");
        }
        assert!(!fields.has("Content-Type") && !HopByHop::default().has("X-Mine"));
    }
}
