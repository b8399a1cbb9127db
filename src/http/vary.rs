//! Vary (RFC 9111 section 4.1): normalised request fields, the key of a variant, and whether a
//! page's own Vary is covered.

use sha2::{Digest, Sha256};

use super::{coding, list_members};
use crate::key::push_hex;

/// Whether every field that the Vary `lines` of a page name `is_known`, or is Accept-Encoding, which
/// the content coding itself answers. `*` never is.
pub fn is_indexed<'a>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    is_known: impl Fn(&[u8]) -> bool,
) -> bool {
    lines.all(|line| {
        list_members(line).all(|name| {
            name != b"*" && (name.eq_ignore_ascii_case(b"accept-encoding") || is_known(name))
        })
    })
}

/// The key of a variant: `key`, `|`, `generation`, `|`, and in lower-case hexadecimal digits the
/// SHA-256 of every field in the order of its name: the length-prefixed name and then the
/// length-prefixed normalised value, or `-` where the request lacks the field.
/// A length prefix is the length in decimal digits and a colon.
pub fn variant_key(
    key: &[u8],
    generation: &str,
    fields: &[String],
    mut value_of: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let mut names: Vec<String> = fields.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let mut hash = Sha256::new();
    for name in &names {
        prefixed(&mut hash, name.as_bytes());
        match value_of(name) {
            Some(value) => prefixed(&mut hash, &normalise(name, &value)),
            None => hash.update(b"-"),
        }
    }
    let mut out = [key, b"|", generation.as_bytes(), b"|"].concat();
    push_hex(&mut out, &hash.finalize());
    out
}

fn prefixed(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(format!("{}:", bytes.len()));
    hash.update(bytes);
}

/// The normalised value of the field `name` (lower case), whose lines are joined with `, `:
///
/// - `accept-encoding`: those of br, gzip and zstd that the client admits, in this order, with
///   `,` between them;
/// - `accept-language`: members in lower case without white space, those of weight 0 left out,
///   sorted by falling weight and then as sent, weights left out, with `,` between them;
/// - any other field: members trimmed, empty ones left out, with `, ` between them.
pub fn normalise(name: &str, value: &[u8]) -> Vec<u8> {
    match name {
        "accept-encoding" => {
            let known = [&b"br"[..], b"gzip", b"zstd"].into_iter();
            known
                .filter(|name| coding::accepts(Some(value), name))
                .collect::<Vec<_>>()
                .join(&b","[..])
        }
        "accept-language" => languages(value),
        _ => list_members(value).collect::<Vec<_>>().join(&b", "[..]),
    }
}

fn languages(value: &[u8]) -> Vec<u8> {
    let mut ranges: Vec<(u32, Vec<u8>)> = list_members(value)
        .filter_map(|member| {
            let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let range = parts.next()?.to_ascii_lowercase();
            let weight = parts.find_map(weight).unwrap_or(1000);
            (weight > 0).then_some((weight, range))
        })
        .collect();
    ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    ranges.into_iter().map(|(_, range)| range).collect::<Vec<_>>().join(&b","[..])
}

/// Thousandths of `q=0.8`; a weight that is none counts as 0 (RFC 9110 section 12.4.2).
fn weight(parameter: &[u8]) -> Option<u32> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, fraction) = value.split_at_checked(1)?;
    let digits = fraction.strip_prefix(b".").unwrap_or(fraction);
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return Some(0);
    }
    let thousandths = digits
        .iter()
        .chain(b"000")
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match whole {
        b"1" => Some(1000),
        b"0" => Some(thousandths),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        let normal =
            |name, value: &str| String::from_utf8(normalise(name, value.as_bytes())).unwrap();
        assert_eq!(normal("accept-encoding", "zstd, gzip;q=0.1, deflate, BR"), "br,gzip,zstd");
        assert_eq!(normal("accept-encoding", "deflate"), "");
        assert_eq!(normal("accept-encoding", "*, br;q=0"), "gzip,zstd");
        assert_eq!(normal("accept-language", "en;q=0.8, DE-at ,fr;q=0,de;q=0.9"), "de-at,de,en");
        assert_eq!(normal("accept-language", "en;q=x"), "");
        assert_eq!(normal("x-thing", "  a ,,b\t"), "a, b");
    }

    #[test]
    fn absent_and_empty_differ_and_names_have_one_order() {
        let names = ["X-B".to_owned(), "x-a".to_owned()];
        let reversed = ["x-a".to_owned(), "x-b".to_owned(), "x-b".to_owned()];
        let key = |fields: &[String], value: Option<&[u8]>| {
            variant_key(b"k", "g", fields, |_| value.map(<[u8]>::to_vec))
        };
        assert_eq!(key(&names, Some(b"1")), key(&reversed, Some(b"1")));
        assert_ne!(key(&names, Some(b"")), key(&names, None));
        assert!(key(&names, None).starts_with(b"k|g|"));
        assert_eq!(key(&names, None).len(), 4 + 64);
    }
}
