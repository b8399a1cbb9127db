//! A stored value to a page and back: the raw and the http form (docs/format.md).
//!
//! What Redis returns is untrusted. A value that is not of its form is an error with a reason,
//! and the application answers.

mod coded;
mod encode;
mod facts;

use std::mem::MaybeUninit;

pub use coded::code_fields;
pub use encode::{Head, marker, tombstone};
pub use facts::{Facts, LINE, OwnTag};

use crate::http::hop_by_hop::HopByHop;
use crate::http::{Field, date_millis, field_values};
use crate::reason::Reason;

/// The largest head (status line and fields) of the http form, in bytes.
pub const MAX_HEAD: usize = 64 * 1024;

/// The most fields of the http form.
pub const MAX_FIELDS: usize = 100;

/// What lies under a key in the http form.
#[derive(Debug)]
pub enum Stored<'a> {
    /// A page.
    Page(Page<'a>),
    /// The page varies: it lies under a key of its own for every variant.
    Marker {
        /// Names of request fields, in lower case.
        vary: Vec<String>,
        /// The generation of the variants.
        generation: String,
    },
    /// The page was invalidated.
    Tombstone,
}

/// A page in the http form; everything but `facts` borrows from the stored value.
#[derive(Debug)]
pub struct Page<'a> {
    /// The status code: 200 to 599, neither 206 nor 304.
    pub status: u16,
    /// The status code and the reason phrase, as in the status line.
    pub status_line: &'a [u8],
    /// The field lines in their order, the `Redis-Cache` line left out.
    fields: Vec<Field<'a>>,
    /// What the `Redis-Cache` line says.
    pub facts: Facts,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Page<'a> {
    /// The reason phrase; empty where the status line has none.
    pub fn phrase(&self) -> &'a [u8] {
        self.status_line.get(4..).unwrap_or_default()
    }

    /// The field lines in their order, the `Redis-Cache` line left out.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The values of all lines of `name`.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        field_values(&self.fields, name)
    }

    /// The value of the first line of `name`.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// When the application made the page, as its Date says it, or else when it was stored, in
    /// milliseconds since 1970.
    pub fn dated(&self) -> Option<i64> {
        self.value("date").map_or(self.facts.stored, date_millis)
    }

    /// The fields that go to the client: neither hop-by-hop, nor personal (Set-Cookie), nor meant
    /// for nginx alone (X-Accel-*), nor those that are stated anew (Age, Content-Length,
    /// Accept-Ranges).
    pub fn fields_to_send(&self) -> impl Iterator<Item = Field<'a>> {
        let hop_by_hop = HopByHop::of(self.values("connection"));
        self.fields.iter().copied().filter(move |field| is_kept(field, &hop_by_hop))
    }
}

impl<'a> Page<'a> {
    /// Takes the fields of a 304 over (RFC 9111 section 3.2): each replaces those of its name.
    /// Fields that speak of the body stay, since it is the stored one; of a page that a cache has
    /// coded so does the ETag, which the 304 has said to be that of the same page.
    pub fn update(&mut self, received: &[Field<'a>]) {
        const OF_THE_BODY: [&str; 4] =
            ["content-length", "content-encoding", "content-range", "content-type"];
        let hop_by_hop = HopByHop::of(field_values(received, "connection"));
        let is_coded = self.facts.coded.is_some();
        let is_of_coded =
            |field: &Field<'a>| is_coded && (field.is("etag") || coded::is_digest(field));
        let is_taken = |field: &&Field<'a>| {
            is_kept(field, &hop_by_hop)
                && !field.is(LINE)
                && !is_of_coded(field)
                && !OF_THE_BODY.iter().any(|name| field.is(name))
        };
        let taken: Vec<Field<'a>> = received.iter().filter(is_taken).copied().collect();
        self.fields.retain(|old| !taken.iter().any(|new| new.is(old.name)));
        self.fields.extend(taken);
    }
}

/// Whether a field of a response is stored, and sent from a stored page.
fn is_kept(field: &Field<'_>, hop_by_hop: &HopByHop) -> bool {
    const STATED_ANEW: [&str; 5] =
        ["set-cookie", "set-cookie2", "age", "content-length", "accept-ranges"];
    !STATED_ANEW.iter().any(|name| field.is(name))
        && !is_for_nginx(field.name)
        && !hop_by_hop.has(field.name)
}

/// Reads the http form.
pub fn decode(value: &[u8]) -> Result<Stored<'_>, Reason> {
    if !value.starts_with(b"HTTP/1.") {
        return Err(if is_pickle(value) { Reason::Pickle } else { Reason::Entry });
    }
    let head = value.get(..MAX_HEAD).unwrap_or(value);
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        head,
        &mut space,
    );
    let Ok(httparse::Status::Complete(end)) = parsed else { return Err(Reason::Entry) };
    if has_bare_line_end(value.get(..end).unwrap_or_default()) {
        return Err(Reason::Entry);
    }
    let body = value.get(end..).unwrap_or_default();
    let mut facts = None;
    let mut fields = Vec::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case(LINE) {
            if facts.replace(Facts::parse(header.value)?).is_some() {
                return Err(Reason::Entry);
            }
        } else if header.value.contains(&0) {
            return Err(Reason::Entry);
        } else {
            fields.push(Field { name: header.name, value: header.value });
        }
    }
    let mut facts = facts.unwrap_or_default();
    if facts.gone {
        return Ok(Stored::Tombstone);
    }
    if let Some((vary, generation)) = facts.marker.take() {
        return Ok(Stored::Marker { vary, generation });
    }
    let status = match response.code {
        Some(206 | 304) | None => return Err(Reason::Entry),
        Some(code) if (200..600).contains(&code) => code,
        Some(_) => return Err(Reason::Entry),
    };
    let phrase = response.reason.unwrap_or_default();
    let status_line = status_line(value, phrase);
    let page = Page { status, status_line, fields, facts, body };
    let length = body.len().to_string();
    if page.values("content-length").any(|stated| stated != length.as_bytes()) {
        return Err(Reason::Truncated);
    }
    Ok(Stored::Page(page))
}

/// The status code and the phrase behind it, of a value that begins with a status line.
fn status_line<'a>(value: &'a [u8], phrase: &str) -> &'a [u8] {
    let start = "HTTP/1.1 ".len();
    let code = start + 3;
    let end = if phrase.is_empty() { code } else { code + 1 + phrase.len() };
    value.get(start..end).unwrap_or_default()
}

/// nginx's own control fields, which proxy_pass hides from clients too.
fn is_for_nginx(name: &str) -> bool {
    name.as_bytes().get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"x-accel-"))
}

/// The form has CR LF alone; httparse takes a bare LF as well.
fn has_bare_line_end(head: &[u8]) -> bool {
    let mut before = 0;
    head.iter().any(|&byte| std::mem::replace(&mut before, byte) != b'\r' && byte == b'\n')
}

/// Reads the raw form: the value is the body, an empty value an empty page.
pub fn decode_raw(value: &[u8]) -> Result<&[u8], Reason> {
    if is_pickle(value) { Err(Reason::Pickle) } else { Ok(value) }
}

/// A Python pickle of protocol 2 to 5: what django-redis writes where no client of the
/// `nginx_redis_cache` package does. Begins with PROTO and ends with STOP.
fn is_pickle(value: &[u8]) -> bool {
    matches!(value, [0x80, 2..=5, .., b'.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(value: &[u8]) -> Option<Reason> {
        decode(value).err()
    }

    #[test]
    fn what_is_no_page() {
        assert_eq!(reason(b""), Some(Reason::Entry));
        assert_eq!(reason(b"<h1>raw</h1>"), Some(Reason::Entry));
        assert_eq!(reason(b"\r\nHTTP/1.1 200 OK\r\n\r\n"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nA: b"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/2.0 200 OK\r\n\r\n"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\nA: b\n\nbody"), Some(Reason::Entry));
        assert_eq!(reason(b"HTTP/1.1 200 OK\r\nA: b\n\r\nbody"), Some(Reason::Entry));
        for code in [100, 101, 199, 206, 304, 600, 999] {
            let value = format!("HTTP/1.1 {code} X\r\n\r\n");
            assert_eq!(reason(value.as_bytes()), Some(Reason::Entry), "{code}");
        }
        assert_eq!(
            reason(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"),
            Some(Reason::Truncated)
        );
        assert_eq!(reason(b"\x80\x04\x95.."), Some(Reason::Pickle));
    }

    #[test]
    fn the_status_line_is_kept() {
        for (line, phrase) in [
            ("HTTP/1.1 200 OK", "OK"),
            ("HTTP/1.0 404 Not  Found ", "Not  Found "),
            ("HTTP/1.1 599 ", ""),
            ("HTTP/1.1 599", ""),
        ] {
            let value = format!("{line}\r\nA: b\r\n\r\n");
            let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("{line}") };
            assert_eq!(page.phrase(), phrase.as_bytes(), "{line}");
            assert!(page.status_line.starts_with(&line.as_bytes()[9..12]), "{line}");
            assert!(page.status_line.len() == 3 || page.status_line == &line.as_bytes()[9..]);
        }
    }

    #[test]
    fn limits_of_the_head() {
        let fields = "A: b\r\n".repeat(MAX_FIELDS + 1);
        let value = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(reason(value.as_bytes()), Some(Reason::Entry));
        let value = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD));
        assert_eq!(reason(value.as_bytes()), Some(Reason::Entry));
    }

    #[test]
    fn fields_that_never_leave() {
        let value =
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Hop: 1\r\nConnection: close, x-hop\r\n\
            X-Accel-Redirect: /secret\r\nTransfer-Encoding: chunked\r\nAge: 5\r\nContent-Length: 1\r\nX-Stays: 1\r\n\
            Redis-Cache: v=1\r\n\r\nb";
        let Ok(Stored::Page(page)) = decode(value) else { panic!("no page") };
        let names: Vec<_> = page.fields_to_send().map(|field| field.name).collect();
        assert_eq!(names, ["X-Stays"]);
        assert_eq!(page.body, b"b");
    }

    #[test]
    fn a_304_updates_the_fields_but_not_those_of_the_body() {
        let value = b"HTTP/1.1 200 OK\r\nX-Old: 1\r\nX-Stays: 1\r\nx-old: 2\r\n\
            Content-Type: text/html\r\n\r\nb";
        let Ok(Stored::Page(mut page)) = decode(value) else { panic!("no page") };
        let new = [
            ("X-OLD", "3"),
            ("Content-Type", "x"),
            ("Content-Length", "0"),
            ("Connection", "x-hop"),
            ("X-Hop", "1"),
            ("Set-Cookie", "a=b"),
            ("ETag", "\"1\""),
        ];
        page.update(&new.map(|(name, value)| Field { name, value: value.as_bytes() }));
        let found: Vec<_> = page.fields().iter().map(|f| (f.name, f.value)).collect();
        assert_eq!(
            found,
            [
                ("X-Stays", &b"1"[..]),
                ("Content-Type", b"text/html"),
                ("X-OLD", b"3"),
                ("ETag", b"\"1\"")
            ]
        );
    }

    #[test]
    fn raw_values_are_served_byte_for_byte_unless_pickled() {
        assert_eq!(decode_raw(b""), Ok(&b""[..]));
        assert_eq!(decode_raw(b"a\0b"), Ok(&b"a\0b"[..]));
        assert_eq!(decode_raw(b"\x80\x02cdjango\n."), Err(Reason::Pickle));
        assert_eq!(decode_raw(b"\x80\x02"), Ok(&b"\x80\x02"[..]));
    }
}
