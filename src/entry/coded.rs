//! The header of a page in the form that a cache has coded, and of the same page decoded.

use super::{OwnTag, Page};
use crate::http::coding::Coding;
use crate::http::{Field, field_values, list_members};

/// What is true of one form alone, and cannot be said of the other (RFC 9530, RFC 3230, RFC 2616).
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Whether a field is a digest of the body.
pub(super) fn is_digest(field: &Field<'_>) -> bool {
    DIGESTS.iter().any(|name| field.is(name))
}

/// Makes the header of a page that of its form in `coding`, as nginx's own gzip filter would: with
/// Content-Encoding, Vary and a weak ETag, and without digests. How the ETag was; `keep` gives bytes
/// that live as long as the header, `None` where there are none.
pub fn code_fields<'a>(
    fields: &mut Vec<Field<'a>>,
    coding: Coding,
    keep: impl FnOnce(&[u8]) -> Option<&'a [u8]>,
) -> Option<OwnTag> {
    fields.retain(|field| !is_digest(field) && !field.is("content-encoding"));
    let mut own = OwnTag::Weak;
    if let Some(tag) = fields.iter_mut().find(|field| field.is("etag")) {
        if !tag.value.starts_with(b"W/") {
            tag.value = keep(&[b"W/", tag.value].concat())?;
            own = OwnTag::Strong;
        }
    }
    fields.push(Field { name: "Content-Encoding", value: coding.name().as_bytes() });
    if !varies_on_coding(field_values(fields, "vary")) {
        fields.push(Field { name: "Vary", value: b"Accept-Encoding" });
    }
    Some(own)
}

/// Whether Vary lines name Accept-Encoding.
fn varies_on_coding<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let is_it = |name: &[u8]| name.eq_ignore_ascii_case(b"accept-encoding") || name == b"*";
    lines.any(|line| list_members(line).any(is_it))
}

impl<'a> Page<'a> {
    /// The application's own ETag.
    pub fn own_etag(&self) -> Option<&'a [u8]> {
        let tag = self.value("etag")?;
        match self.facts.coded {
            Some(OwnTag::Strong) => Some(tag.strip_prefix(b"W/").unwrap_or(tag)),
            _ => Some(tag),
        }
    }

    /// The fields that go to the client with the decoded body. The ETag is the application's own where
    /// the coding was not; else it is to be weakened.
    pub fn fields_to_send_decoded(&self) -> impl Iterator<Item = Field<'a>> {
        let own = self.own_etag();
        self.fields_to_send()
            .filter(|field| !field.is("content-encoding") && !is_digest(field))
            .map(move |field| match own {
                Some(value) if field.is("etag") => Field { value, ..field },
                _ => field,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    fn field(name: &'static str, value: &'static str) -> Field<'static> {
        Field { name, value: value.as_bytes() }
    }

    fn coded(lines: &[(&'static str, &'static str)]) -> (OwnTag, Vec<(String, String)>) {
        let mut fields: Vec<_> = lines.iter().map(|(name, value)| field(name, value)).collect();
        let keep = |bytes: &[u8]| Some(&*Box::leak(bytes.to_vec().into_boxed_slice()));
        let own = code_fields(&mut fields, Coding::Br, keep).unwrap();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        (own, fields.iter().map(|f| (f.name.to_owned(), text(f.value))).collect())
    }

    #[test]
    fn the_header_of_the_coded_form() {
        let pairs = |lines: &[(&str, &str)]| -> Vec<(String, String)> {
            lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let found = coded(&[
            ("ETag", "\"1\""),
            ("Content-Digest", "sha-256=:a:"),
            ("Repr-Digest", "sha-256=:a:"),
            ("Digest", "a"),
            ("content-md5", "a"),
            ("Content-Encoding", "identity"),
            ("Vary", "Accept"),
        ]);
        let wanted = [
            ("ETag", "W/\"1\""),
            ("Vary", "Accept"),
            ("Content-Encoding", "br"),
            ("Vary", "Accept-Encoding"),
        ];
        assert_eq!(found, (OwnTag::Strong, pairs(&wanted)));
        let found = coded(&[("etag", "W/\"1\""), ("vary", "a, accept-encoding")]);
        let wanted =
            [("etag", "W/\"1\""), ("vary", "a, accept-encoding"), ("Content-Encoding", "br")];
        assert_eq!(found, (OwnTag::Weak, pairs(&wanted)));
        assert_eq!(coded(&[]).0, OwnTag::Weak);
    }

    #[test]
    fn the_header_of_the_decoded_form() {
        let of = |line: &str| {
            let value = format!(
                "HTTP/1.1 200 OK\r\n{line}ETag: W/\"1\"\r\nContent-Encoding: br\r\nDigest: a\r\n\
                 Vary: Accept-Encoding\r\n\r\n"
            );
            let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
            let fields: Vec<_> = page
                .fields_to_send_decoded()
                .map(|field| String::from_utf8(field.value.to_vec()).unwrap())
                .collect();
            fields
        };
        assert_eq!(of("Redis-Cache: v=1, coded=strong\r\n"), ["\"1\"", "Accept-Encoding"]);
        assert_eq!(of("Redis-Cache: v=1, coded=weak\r\n"), ["W/\"1\"", "Accept-Encoding"]);
        assert_eq!(of(""), ["W/\"1\"", "Accept-Encoding"]);
    }

    #[test]
    fn a_304_leaves_the_tag_and_the_digests_of_the_coded_form_alone() {
        let value = b"HTTP/1.1 200 OK\r\nRedis-Cache: v=1, coded=strong\r\nETag: W/\"1\"\r\n\r\n";
        let Ok(Stored::Page(mut page)) = decode(value) else { panic!("no page") };
        page.update(&[field("ETag", "\"1\""), field("Digest", "a"), field("X-A", "b")]);
        let found: Vec<_> = page.fields().iter().map(|field| field.name).collect();
        assert_eq!((found, page.own_etag()), (vec!["ETag", "X-A"], Some(&b"\"1\""[..])));
    }
}
