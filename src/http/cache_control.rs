//! Cache-Control (RFC 9111 section 5.2), read across all its lines, case-insensitively, with quoted
//! strings; and its targeted form, CDN-Cache-Control (RFC 9213).

use super::list_members;

/// The longest lifetime that counts, in seconds (RFC 9111 section 1.2.2).
const LONGEST: u64 = 1 << 31;

/// What the Cache-Control lines of a response say about a shared cache (RFC 9111 section 5.2.2,
/// RFC 5861). Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store`.
    pub no_store: bool,
    /// `private`, with or without field names.
    pub private: bool,
    /// `no-cache`, with or without field names.
    pub no_cache: bool,
    /// `public`.
    pub public: bool,
    /// `public`, `must-revalidate` or `s-maxage`: for everybody, though a request with Authorization
    /// got it (RFC 9111 section 3.5).
    pub for_authorized: bool,
    /// `must-understand`.
    pub must_understand: bool,
    /// `no-transform`.
    pub no_transform: bool,
    /// `must-revalidate` or `proxy-revalidate`: never stale. `s-maxage` implies it where nothing says
    /// otherwise (RFC 9111 section 5.2.2.10).
    pub must_revalidate: bool,
    /// `s-maxage`.
    pub s_maxage: Option<u64>,
    /// `max-age`.
    pub max_age: Option<u64>,
    /// `stale-while-revalidate`.
    pub stale_while_revalidate: Option<u64>,
    /// `stale-if-error`.
    pub stale_if_error: Option<u64>,
}

impl CacheControl {
    /// Reads all lines. A lifetime that is no number counts as 0, of duplicates the least counts
    /// (RFC 9111 4.2.1), one above 2^31 seconds as 2^31 (RFC 9111 1.2.2).
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for (name, argument) in directives(lines) {
            found.take(name, || seconds(argument));
        }
        found
    }

    /// Reads CDN-Cache-Control. `None` where it is empty or no dictionary of structured fields:
    /// it counts as absent then (RFC 9213 section 2.1). A member of a type other than its own is
    /// left alone.
    pub fn parse_targeted<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let text = lines.collect::<Vec<_>>().join(&b", "[..]);
        let members: sfv::Dictionary = sfv::Parser::new(&text).parse().ok()?;
        let mut found = Self::default();
        for (name, member) in &members {
            let sfv::ListEntry::Item(item) = member else { continue };
            match &item.bare_item {
                sfv::BareItem::Boolean(true) if !has_seconds(name.as_str()) => {
                    found.take(name.as_str(), || 0);
                }
                sfv::BareItem::Integer(number) if has_seconds(name.as_str()) => {
                    let number = u64::try_from(i64::from(*number)).unwrap_or(0).min(LONGEST);
                    found.take(name.as_str(), || number);
                }
                _ => {}
            }
        }
        (!members.is_empty()).then_some(found)
    }

    /// Takes one directive in; `name` is in lower case.
    fn take(&mut self, name: &str, seconds: impl Fn() -> u64) {
        match name {
            "no-store" => self.no_store = true,
            "private" => self.private = true,
            "public" => {
                self.public = true;
                self.for_authorized = true;
            }
            "no-cache" => self.no_cache = true,
            "must-understand" => self.must_understand = true,
            "no-transform" => self.no_transform = true,
            "proxy-revalidate" => self.must_revalidate = true,
            "must-revalidate" => {
                self.must_revalidate = true;
                self.for_authorized = true;
            }
            "s-maxage" => {
                least(&mut self.s_maxage, seconds());
                self.for_authorized = true;
            }
            "max-age" => least(&mut self.max_age, seconds()),
            "stale-while-revalidate" => least(&mut self.stale_while_revalidate, seconds()),
            "stale-if-error" => least(&mut self.stale_if_error, seconds()),
            _ => {}
        }
    }
}

fn has_seconds(name: &str) -> bool {
    matches!(name, "s-maxage" | "max-age" | "stale-while-revalidate" | "stale-if-error")
}

/// What the Cache-Control lines of a request say (RFC 9111 section 5.2.1). Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, or `Pragma: no-cache` where there is no Cache-Control (RFC 9111 5.4).
    pub no_cache: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `max-age`: the greatest age that is wanted.
    pub max_age: Option<u64>,
    /// `min-fresh`: the least freshness lifetime that must be left.
    pub min_fresh: Option<u64>,
}

impl RequestControl {
    /// Reads all lines of Cache-Control and Pragma.
    pub fn parse<'a>(
        lines: impl Iterator<Item = &'a [u8]>,
        pragma: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut found = Self::default();
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            let named = |member: &[u8]| member.eq_ignore_ascii_case(b"no-cache");
            found.no_cache = pragma.flat_map(list_members).any(named);
        }
        for (name, argument) in directives(lines) {
            match name {
                "no-store" => found.no_store = true,
                "no-cache" => found.no_cache = true,
                "only-if-cached" => found.only_if_cached = true,
                "max-age" => least(&mut found.max_age, seconds(argument)),
                "min-fresh" => {
                    let wanted = found.min_fresh.unwrap_or(0).max(seconds(argument));
                    found.min_fresh = Some(wanted);
                }
                _ => {}
            }
        }
        found
    }
}

/// The directives that are known.
const NAMES: [&str; 14] = [
    "max-age",
    "s-maxage",
    "no-cache",
    "no-store",
    "private",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "no-transform",
    "stale-while-revalidate",
    "stale-if-error",
    "only-if-cached",
    "min-fresh",
];

/// The known directives of all lines, with their arguments.
fn directives<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'static str, Option<&'a [u8]>)> {
    lines.flat_map(list_members).filter_map(|member| {
        let mut parts = member.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let known = NAMES.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))?;
        Some((*known, parts.next().map(<[u8]>::trim_ascii)))
    })
}

fn least(known: &mut Option<u64>, new: u64) {
    *known = Some(known.map_or(new, |known| known.min(new)));
}

fn seconds(argument: Option<&[u8]>) -> u64 {
    let digits = argument.unwrap_or_default();
    let digits = digits.strip_prefix(b"\"").and_then(|d| d.strip_suffix(b"\"")).unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.parse::<u64>().unwrap_or(u64::MAX).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CacheControl {
        CacheControl::parse(std::iter::once(line.as_bytes()))
    }

    #[test]
    fn directives_of_a_response() {
        assert!(parse("Private").private && parse("x, PRIVATE=\"a, b\"").private);
        assert!(parse("x , NO-store ,").no_store && parse("no-cache=\"set-cookie\"").no_cache);
        assert_eq!(parse("ext=\"no-cache, private\""), CacheControl::default());
        assert_eq!(parse("max-age=60, MAX-AGE=\"30\"").max_age, Some(30));
        assert_eq!(parse("max-age=-1").max_age, Some(0));
        assert_eq!(parse("max-age").max_age, Some(0));
        let shared = parse("s-maxage=99999999999999999999999");
        assert_eq!((shared.s_maxage, shared.must_revalidate), (Some(1 << 31), false));
        assert_eq!(parse("max-ages=5"), CacheControl::default());
        let stale = parse("stale-while-revalidate=5, stale-if-error=x, must-understand");
        assert_eq!((stale.stale_while_revalidate, stale.stale_if_error), (Some(5), Some(0)));
        assert!(parse("max-age=1, PUBLIC").public && parse("public=x").public);
        assert!(stale.must_understand && parse("proxy-revalidate").must_revalidate);
    }

    #[test]
    fn what_is_for_everybody_though_a_request_with_authorization_got_it() {
        for line in
            ["public", "x, Public", "must-revalidate", "s-maxage=0", "max-age=1, S-MAXAGE=9"]
        {
            assert!(parse(line).for_authorized, "{line}");
        }
        for line in ["", "max-age=60", "proxy-revalidate", "ext=\"public\"", "publicx", "no-cache"]
        {
            assert!(!parse(line).for_authorized, "{line}");
        }
        assert!(targeted("public").unwrap().for_authorized);
        assert!(!targeted("public=?0, max-age=1").unwrap().for_authorized);
    }

    fn targeted(line: &str) -> Option<CacheControl> {
        CacheControl::parse_targeted(std::iter::once(line.as_bytes()))
    }

    #[test]
    fn the_targeted_field_is_a_dictionary() {
        let found = targeted("max-age=60, no-store=?0, private;x=1, stale-if-error=\"5\"").unwrap();
        let wanted = CacheControl { max_age: Some(60), private: true, ..CacheControl::default() };
        assert_eq!(found, wanted);
        assert_eq!(targeted("max-age=\"60\", max-age=-5").unwrap().max_age, Some(0));
        assert_eq!(targeted("max-age=1.5, no-store=1").unwrap(), CacheControl::default());
        for absent in ["", "max-age=60,,", "Max-Age=60", "max-age=", "no store"] {
            assert_eq!(targeted(absent), None, "{absent}");
        }
    }

    #[test]
    fn directives_of_a_request() {
        let request = |lines: &[&'static str], pragma: &'static str| {
            let lines = lines.iter().map(|line| line.as_bytes());
            RequestControl::parse(lines, std::iter::once(pragma.as_bytes()))
        };
        assert!(request(&[], "x, No-Cache").no_cache && !request(&[""], "no-cache").no_cache);
        let found = request(&["max-age=9, min-fresh=3", "No-Store, only-if-cached, max-age=8"], "");
        assert_eq!((found.max_age, found.min_fresh), (Some(8), Some(3)));
        assert!(found.no_store && found.only_if_cached && !found.no_cache);
        assert_eq!(request(&["min-fresh=3, min-fresh=7"], "").min_fresh, Some(7));
    }
}
