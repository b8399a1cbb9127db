//! Content codings: what a stored page is encoded in, and whether a client takes it
//! (RFC 9110 sections 8.4 and 12.5.3).

use super::list_members;

/// A content coding that the cache itself can do and undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, or its old name `x-gzip` (RFC 9110 section 8.4.1.3).
    Gzip,
    /// `br` (RFC 7932).
    Br,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Br];

    /// Its name in Content-Encoding.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| same(name, coding.name().as_bytes()))
    }
}

/// The content coding of a stored page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// None.
    Identity,
    /// One that the cache can undo.
    Known(Coding),
    /// One other coding.
    Other(&'a [u8]),
    /// Several codings on top of each other.
    Several,
}

/// The coding that the Content-Encoding lines name.
pub fn stored<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Stored<'a> {
    let mut codings =
        lines.flat_map(list_members).filter(|name| !name.eq_ignore_ascii_case(b"identity"));
    match (codings.next(), codings.next()) {
        (None, _) => Stored::Identity,
        (Some(name), None) => Coding::named(name).map_or(Stored::Other(name), Stored::Known),
        (Some(_), Some(_)) => Stored::Several,
    }
}

/// Whether an Accept-Encoding value admits `coding`. Without the header only identity is
/// admitted: RFC 9110 would allow any coding, and clients that say nothing mostly know none.
pub fn accepts(accept_encoding: Option<&[u8]>, coding: &[u8]) -> bool {
    let mut by_star = false;
    for member in list_members(accept_encoding.unwrap_or_default()) {
        let mut parts = member.split(|&byte| byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let admitted = !parts.any(is_zero_weight);
        if same(name, coding) {
            return admitted;
        }
        by_star |= name == b"*" && admitted;
    }
    by_star
}

/// What a fill asks the application for, for the pages of all clients: `gzip` where this one takes it,
/// else no coding at all.
pub fn to_ask_for(accept_encoding: Option<&[u8]>) -> Option<&'static [u8]> {
    accepts(accept_encoding, b"gzip").then_some(b"gzip")
}

/// Whether two names are those of one coding.
fn same(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other) || (is_gzip(name) && is_gzip(other))
}

fn is_gzip(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip")
}

/// `q=0`, `q=0.0`, `Q=0.000`.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let parameter = parameter.trim_ascii();
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    value.is_some_and(|value| {
        value.first() == Some(&b'0') && value.iter().all(|b| matches!(b, b'0' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptance() {
        let yes = |value: &str| accepts(Some(value.as_bytes()), b"gzip");
        assert!(yes("gzip") && yes("br, GZIP;q=0.5") && yes("x-gzip") && yes("*"));
        assert!(!yes("gzip;q=0") && !yes("gzip; Q=0.00") && !yes("") && !yes("br, identity"));
        assert!(!yes("gzip;q=0, *") && !yes("*, gzip;q=0") && !yes("*;q=0") && !yes("gzipped"));
        assert!(!accepts(None, b"gzip"));
    }

    #[test]
    fn names() {
        let of = |value: &'static str| stored([value.as_bytes()].into_iter());
        assert_eq!(of("X-GZip"), Stored::Known(Coding::Gzip));
        assert_eq!(of("identity, br"), Stored::Known(Coding::Br));
        assert_eq!(of("zstd"), Stored::Other(b"zstd"));
        assert_eq!((of("gzip, br"), of("")), (Stored::Several, Stored::Identity));
        assert_eq!(to_ask_for(Some(b"br, x-gzip;q=0.1")), Some(&b"gzip"[..]));
        assert_eq!((to_ask_for(Some(b"br")), to_ask_for(None)), (None, None));
    }
}
