//! A request for everybody's page, made of one of a visitor's.

use super::Field;
use super::hop_by_hop::HopByHop;

/// What a visitor says for itself: who it is, what it has, and which part it wants.
const OWN: [&str; 12] = [
    "cookie",
    "authorization",
    "proxy-authorization",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "range",
    "expect",
    "content-length",
    "content-type",
];

/// What it says of this very request.
const OF_THE_REQUEST: [&str; 3] = ["cache-control", "pragma", "x-redis-cache-key"];

/// GET for `target` with the fields of a visitor's request that are not its own, and `cookies`, those that
/// are in the key. `None` where it could not be told from several, or has no Host.
pub fn request<'a>(
    target: &[u8],
    fields: impl Iterator<Item = Field<'a>>,
    cookies: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let is_unsafe = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if is_unsafe(target) || target.contains(&b' ') || target.is_empty() {
        return None;
    }
    // As in nginx's own proxies, what Connection names stays: a client could take Host away by it.
    let hop_by_hop = HopByHop::of(std::iter::empty());
    let mut has_host = false;
    let mut out = [b"GET ", target, b" HTTP/1.1\r\nConnection: close\r\n"].concat();
    let mut push = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    for field in fields {
        let is_own = OWN.iter().chain(&OF_THE_REQUEST).any(|name| field.is(name));
        if is_own || field.is("connection") || hop_by_hop.has(field.name) {
            continue;
        }
        has_host |= field.is("host");
        if is_unsafe(field.value) || is_unsafe(field.name.as_bytes()) {
            return None;
        }
        push(field.name, field.value);
    }
    if let Some(cookies) = cookies.filter(|cookies| !is_unsafe(cookies)) {
        push("Cookie", cookies);
    }
    out.extend_from_slice(b"\r\n");
    has_host.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str, lines: &[(&'static str, &'static str)], cookies: Option<&str>) -> String {
        let fields = lines.iter().map(|(name, value)| Field { name, value: value.as_bytes() });
        let made = request(target.as_bytes(), fields, cookies.map(str::as_bytes));
        made.map_or(String::new(), |made| String::from_utf8(made).unwrap())
    }

    #[test]
    fn what_is_the_visitors_own_stays_behind() {
        let lines = [
            ("Host", "h"),
            ("Cookie", "id=1; lang=de"),
            ("Authorization", "x"),
            ("If-None-Match", "\"1\""),
            ("Range", "bytes=0-1"),
            ("Cache-Control", "no-cache"),
            ("X-Redis-Cache-Key", "x"),
            ("Connection", "keep-alive, host"),
            ("Keep-Alive", "1"),
            ("Upgrade", "websocket"),
            ("TE", "trailers"),
            ("Accept-Language", "de"),
        ];
        assert_eq!(
            of("/p?a=1", &lines, Some("lang=de")),
            "GET /p?a=1 HTTP/1.1\r\nConnection: close\r\nHost: h\r\nAccept-Language: de\r\n\
             Cookie: lang=de\r\n\r\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let host = ("Host", "h");
        assert_eq!(of("/p\r\nX: y", &[host], None), "");
        assert_eq!(of("/p q", &[host], None), "");
        assert_eq!(of("", &[host], None), "");
        assert_eq!(of("/p", &[], None), "");
        assert_eq!(of("/p", &[host, ("X-A", "b\nc")], None), "");
        assert!(!of("/p", &[host], Some("a\r\nb")).contains('a'));
    }
}
