//! Cache-Control of a stored response (RFC 9111 section 5.2.2), read across all its lines,
//! case-insensitively, with quoted strings.

use super::list_members;

/// What the Cache-Control lines of a response say about reuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store`, or `private` with or without field names.
    pub not_shared: bool,
    /// `no-cache`, with or without field names.
    pub no_cache: bool,
    /// `s-maxage` in seconds.
    pub s_maxage: Option<u64>,
    /// `max-age` in seconds.
    pub max_age: Option<u64>,
}

impl CacheControl {
    /// Reads all lines. A lifetime that is no number counts as 0, of duplicates the least counts
    /// (RFC 9111 4.2.1), one above 2^31 seconds as 2^31 (RFC 9111 1.2.2).
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for member in lines.flat_map(list_members) {
            let mut parts = member.splitn(2, |&byte| byte == b'=');
            let name = parts.next().unwrap_or_default().trim_ascii();
            let argument = parts.next().map(<[u8]>::trim_ascii);
            if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"private") {
                found.not_shared = true;
            } else if name.eq_ignore_ascii_case(b"no-cache") {
                found.no_cache = true;
            } else if name.eq_ignore_ascii_case(b"s-maxage") {
                found.s_maxage = least(found.s_maxage, seconds(argument));
            } else if name.eq_ignore_ascii_case(b"max-age") {
                found.max_age = least(found.max_age, seconds(argument));
            }
        }
        found
    }
}

fn least(known: Option<u64>, new: u64) -> Option<u64> {
    Some(known.map_or(new, |known| known.min(new)))
}

fn seconds(argument: Option<&[u8]>) -> u64 {
    let digits = argument.unwrap_or_default();
    let digits = digits.strip_prefix(b"\"").and_then(|d| d.strip_suffix(b"\"")).unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CacheControl {
        CacheControl::parse(std::iter::once(line.as_bytes()))
    }

    #[test]
    fn directives() {
        assert!(parse("Private").not_shared && parse("x, PRIVATE=\"a, b\"").not_shared);
        assert!(parse("no-cache=\"set-cookie\"").no_cache);
        assert!(!parse("ext=\"no-cache, private\"").no_cache);
        assert_eq!(parse("max-age=60, MAX-AGE=\"30\"").max_age, Some(30));
        assert_eq!(parse("max-age=-1").max_age, Some(0));
        assert_eq!(parse("max-age").max_age, Some(0));
        assert_eq!(parse("s-maxage=99999999999999999999999").s_maxage, Some(1 << 31));
        assert_eq!(parse("max-ages=5"), CacheControl::default());
    }
}
