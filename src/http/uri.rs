//! References that a response makes to other pages: Location and Content-Location.

use url::Url;

/// The request target of the page that `reference` names (RFC 3986 section 5), resolved against
/// `base` as a browser does it; `None` where it is of another origin than `base`, or no reference
/// at all (RFC 9111 section 4.4 forbids to invalidate pages of other origins).
pub fn target_of_same_origin(base: &[u8], reference: &[u8]) -> Option<Vec<u8>> {
    let base = Url::parse(std::str::from_utf8(base).ok()?).ok()?;
    let named = base.join(std::str::from_utf8(reference).ok()?).ok()?;
    if named.origin() != base.origin() {
        return None;
    }
    let mut target = named.path().as_bytes().to_vec();
    if let Some(query) = named.query() {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let target = |reference: &str| {
            let found = target_of_same_origin(b"http://a.b:8080/x/y?z=1", reference.as_bytes());
            found.map(|target| String::from_utf8(target).unwrap())
        };
        for (reference, wanted) in [
            ("/p?x=1#there", "/p?x=1"),
            ("q", "/x/q"),
            ("../q/./r", "/q/r"),
            ("?k", "/x/y?k"),
            ("", "/x/y?z=1"),
            ("//A.B:8080/p", "/p"),
            ("http://a.b:8080", "/"),
            ("/a%2Fb/%7E", "/a%2Fb/%7E"),
        ] {
            assert_eq!(target(reference).as_deref(), Some(wanted), "{reference}");
        }
        for other in ["http://a.b/p", "https://a.b:8080/p", "//c.d:8080/p", "http://[x/", "data:x"]
        {
            assert_eq!(target(other), None, "{other}");
        }
        assert_eq!(target_of_same_origin(b"http://a/\xff", b"/p"), None);
    }
}
