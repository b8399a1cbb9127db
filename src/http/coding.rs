//! Content codings: what a stored page is encoded in, and whether a client takes it
//! (RFC 9110 sections 8.4 and 12.5.3).

use super::list_members;

/// The content coding of a stored page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// None.
    Identity,
    /// `gzip` or its old name `x-gzip`.
    Gzip,
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
        (Some(name), None) if is_gzip(name) => Stored::Gzip,
        (Some(name), None) => Stored::Other(name),
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
        if name.eq_ignore_ascii_case(coding) || (is_gzip(name) && is_gzip(coding)) {
            return admitted;
        }
        by_star |= name == b"*" && admitted;
    }
    by_star
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
}
