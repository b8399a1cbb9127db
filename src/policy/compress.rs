//! Is an answer coded before it is stored?

use super::is_to_stay_as_it_is;
use crate::coder;
use crate::http::coding::{self, Coding};
use crate::http::{Field, content_type, field_value, field_values};

/// The types that are coded unless others are asked for: text.
const USUAL: [&str; 16] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/xml",
    "text/javascript",
    "text/markdown",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/geo+json",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "image/svg+xml",
];

/// Which types are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Types {
    /// Those that are text.
    Usual,
    /// All.
    All,
    /// These, in lower case.
    These(Vec<String>),
}

/// `redis_cache_compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// The coding.
    pub coding: Coding,
    /// Its level.
    pub level: u8,
    /// The shortest body that is coded.
    pub min_length: usize,
    /// The types that are coded.
    pub types: Types,
}

impl Compress {
    /// Whether an answer may be coded, as far as its header says: `stored` are the fields that are
    /// stored, `received` those that came. What is coded stays as it is.
    pub fn applies_to(&self, stored: &[Field<'_>], received: &[Field<'_>]) -> bool {
        let lines = field_values(stored, "content-encoding");
        coding::stored(lines) == coding::Stored::Identity
            && !is_to_stay_as_it_is(received)
            && self.has_type(field_value(stored, "content-type").unwrap_or_default())
    }

    fn has_type(&self, value: &[u8]) -> bool {
        let (length, _) = content_type::parts(value);
        let found = value.get(..length).unwrap_or_default();
        let is_it = |name: &str| found.eq_ignore_ascii_case(name.as_bytes());
        match &self.types {
            Types::Usual => USUAL.iter().any(|name| is_it(name)),
            Types::All => true,
            Types::These(names) => names.iter().any(|name| is_it(name)),
        }
    }

    /// The coded form of a body that is long enough and shrinks by a tenth at least; at the fastest
    /// level where that is asked for.
    pub fn code(&self, body: &[u8], is_urgent: bool) -> Option<Vec<u8>> {
        if body.is_empty() || body.len() < self.min_length {
            return None;
        }
        let level = if is_urgent { 1 } else { self.level };
        coder::code(self.coding, level, body, body.len() - body.len() / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPRESS: Compress =
        Compress { coding: Coding::Gzip, level: 6, min_length: 100, types: Types::Usual };

    #[test]
    fn what_is_coded_by_its_header() {
        let applies = |lines: &[(&'static str, &'static str)]| {
            let field = |&(name, value): &(&'static str, &'static str)| Field {
                name,
                value: value.as_bytes(),
            };
            let fields: Vec<_> = lines.iter().map(field).collect();
            COMPRESS.applies_to(&fields, &fields)
        };
        let html = ("Content-Type", "Text/HTML ; charset=utf-8");
        assert!(applies(&[html]) && applies(&[html, ("Content-Encoding", "identity")]));
        assert!(!applies(&[html, ("Content-Encoding", "br")]));
        assert!(!applies(&[html, ("Cache-Control", "max-age=5, no-transform")]));
        assert!(!applies(&[("Content-Type", "image/png")]) && !applies(&[]));
    }

    #[test]
    fn types() {
        let has =
            |types: Types, value: &str| Compress { types, ..COMPRESS }.has_type(value.as_bytes());
        assert!(has(Types::All, "image/png") && has(Types::All, ""));
        let own = Types::These(vec!["application/x-own".to_owned()]);
        assert!(has(own.clone(), "Application/X-Own;a=b") && !has(own, "text/html"));
    }

    #[test]
    fn short_bodies_and_those_that_do_not_shrink_are_left_alone() {
        assert!(COMPRESS.code(&[b'a'; 100], false).is_some());
        assert!(COMPRESS.code(&[b'a'; 100], true).is_some());
        assert_eq!(COMPRESS.code(&[b'a'; 99], false), None);
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(COMPRESS.code(&every, false), None);
        assert_eq!(Compress { min_length: 0, ..COMPRESS }.code(b"", false), None);
    }
}
