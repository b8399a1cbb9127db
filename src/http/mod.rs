//! Rules of HTTP that need no nginx: lists, dates, Cache-Control, freshness and age (RFC 9111), Vary,
//! content codings and types, field lines, ranges, hop-by-hop fields, references to other pages, queries,
//! cookies, what a balancer in front says of a request, the same request without the visitor.

pub mod cache_control;
pub mod cache_status;
pub mod coding;
pub mod content_type;
pub mod cookie;
pub mod date;
pub mod field;
pub mod forwarded;
pub mod freshness;
pub mod hop_by_hop;
pub mod query;
pub mod range;
pub mod replay;
pub mod uri;
pub mod vary;

pub use date::date_millis;
pub use field::{Field, field_value, field_values};

/// The members of a list-based field value (RFC 9110 5.6.1): split at commas outside quoted
/// strings, trimmed, empty members left out.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        })
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether `name` can be the name of a field or a cookie (RFC 9110 section 5.6.2).
pub fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quoted_strings_do_not_split() {
        let members: Vec<_> = list_members(br#" a, ,b="x,\"y,", c "#).collect();
        assert_eq!(members, [&b"a"[..], br#"b="x,\"y,""#, b"c"]);
    }
}
