//! Rules of HTTP that need no nginx: lists, Cache-Control, freshness and age (RFC 9111), Vary,
//! content codings and types, field lines, ranges, hop-by-hop fields, references to other pages, queries, cookies,
//! what a balancer in front says of a request.

pub mod cache_control;
pub mod cache_status;
pub mod coding;
pub mod content_type;
pub mod cookie;
pub mod field;
pub mod forwarded;
pub mod freshness;
pub mod hop_by_hop;
pub mod query;
pub mod range;
pub mod uri;
pub mod vary;

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

/// Milliseconds since 1970 of an HTTP date in any of its three formats (RFC 9110 5.6.7).
pub fn date_millis(value: &[u8]) -> Option<i64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?.trim()).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quoted_strings_do_not_split() {
        let members: Vec<_> = list_members(br#" a, ,b="x,\"y,", c "#).collect();
        assert_eq!(members, [&b"a"[..], br#"b="x,\"y,""#, b"c"]);
    }

    #[test]
    fn dates() {
        assert_eq!(date_millis(b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(date_millis(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(date_millis(b"0"), None);
    }
}
