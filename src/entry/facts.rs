//! The `Redis-Cache` line: our own facts about a stored page, a structured-field dictionary
//! (RFC 9651).

use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::MAX_FIELDS;
use crate::reason::Reason;

/// The name of the line.
pub const LINE: &str = "Redis-Cache";

/// The version of the stored form that this module reads and writes.
const VERSION: i64 = 1;

/// How the application's own ETag is, of a page that a cache has coded: that of the coded form is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTag {
    /// Strong: the `W/` is the cache's.
    Strong,
    /// Weak, or there is none.
    Weak,
}

impl OwnTag {
    /// The word in the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
        }
    }
}

/// What the line says; everything is absent where there is no line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When the page was new, in milliseconds since 1970, less the age it arrived with.
    pub stored: Option<i64>,
    /// The freshness lifetime in milliseconds.
    pub fresh: Option<i64>,
    /// For how many milliseconds more it may be used while it is fetched anew.
    pub swr: Option<i64>,
    /// For how many it may be after an error.
    pub sie: Option<i64>,
    /// How many milliseconds the application took to make it.
    pub took: Option<i64>,
    /// The text that was hashed into the key.
    pub key: Option<Vec<u8>>,
    /// A marker's request fields (lower case) and generation.
    pub marker: Option<(Vec<String>, String)>,
    /// A tombstone.
    pub gone: bool,
    /// A cache has coded the page: how the application's own ETag is.
    pub coded: Option<OwnTag>,
}

impl Facts {
    /// Reads the value of the line. Members that it does not know are left alone, so that later
    /// writers can add some; a member of another type than its own makes the value no entry.
    pub fn parse(line: &[u8]) -> Result<Self, Reason> {
        let line = Parser::new(line)
            .parse_dictionary_with_visitor(Line::default())
            .map_err(|_| Reason::Entry)?;
        match line.version {
            Some(VERSION) => {}
            Some(_) => return Err(Reason::Version),
            None => return Err(Reason::Entry),
        }
        let marker = match (line.vary, line.generation) {
            (Some(vary), Some(generation)) if vary.len() <= MAX_FIELDS => Some((vary, generation)),
            (None, None) => None,
            _ => return Err(Reason::Entry),
        };
        if line.has_wrong_type {
            return Err(Reason::Entry);
        }
        let Line { stored, fresh, swr, sie, took, key, gone, coded, .. } = line;
        Ok(Self { stored, fresh, swr, sie, took, key, marker, gone, coded })
    }
}

/// The members that count, as the parser meets them; nothing else is kept.
#[derive(Default)]
struct Line {
    version: Option<i64>,
    stored: Option<i64>,
    fresh: Option<i64>,
    swr: Option<i64>,
    sie: Option<i64>,
    took: Option<i64>,
    key: Option<Vec<u8>>,
    vary: Option<Vec<String>>,
    generation: Option<String>,
    gone: bool,
    coded: Option<OwnTag>,
    has_wrong_type: bool,
}

impl Line {
    fn set(&mut self, name: &str, item: &BareItemFromInput<'_>) {
        let integer = item.as_integer().map(i64::from);
        let text = item.as_string().map(sfv::StringRef::as_str);
        let is_right = match name {
            "v" => put(&mut self.version, integer),
            "stored" => put(&mut self.stored, integer),
            "fresh" => put(&mut self.fresh, integer),
            "swr" => put(&mut self.swr, integer),
            "sie" => put(&mut self.sie, integer),
            "took" => put(&mut self.took, integer),
            "gen" => put(&mut self.generation, text.map(ToOwned::to_owned)),
            "gone" => {
                self.gone = true;
                text.is_some()
            }
            "key" => {
                let bytes = text.map(str::as_bytes).or(item.as_byte_sequence());
                put(&mut self.key, bytes.map(<[u8]>::to_vec))
            }
            "coded" => {
                let word = item.as_token().map(sfv::TokenRef::as_str);
                let is_it = |tag: &OwnTag| Some(tag.as_str()) == word;
                put(&mut self.coded, [OwnTag::Strong, OwnTag::Weak].into_iter().find(is_it))
            }
            "vary" => false,
            _ => true,
        };
        self.has_wrong_type |= !is_right;
    }
}

/// Sets a member; whether it had its type.
fn put<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    *slot = value;
    slot.is_some()
}

impl<'de> DictionaryVisitor<'de> for Line {
    type Out = Self;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Member { line: self, name: key.as_str() })
    }

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

struct Member<'a, 'de> {
    line: &'a mut Line,
    name: &'de str,
}

impl<'de> EntryVisitor<'de> for Member<'_, 'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        if self.name == "vary" {
            self.line.vary = Some(Vec::new());
        }
        self.line.has_wrong_type |=
            ["v", "stored", "fresh", "swr", "sie", "took", "gen", "gone", "key", "coded"]
                .contains(&self.name);
        Ok(Names { line: self.line, counts: self.name == "vary" })
    }
}

impl<'de> ItemVisitor<'de> for Member<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.line.set(self.name, &item);
        Ok(Ignored)
    }
}

/// The members of an inner list; those of `vary` count.
struct Names<'a> {
    line: &'a mut Line,
    counts: bool,
}

impl<'de> InnerListVisitor<'de> for Names<'_> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(Name { line: self.line, counts: self.counts })
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

struct Name<'a> {
    line: &'a mut Line,
    counts: bool,
}

impl<'de> ItemVisitor<'de> for Name<'_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        if self.counts {
            match (item.as_string(), &mut self.line.vary) {
                (Some(name), Some(vary)) => vary.push(name.as_str().to_ascii_lowercase()),
                _ => self.line.has_wrong_type = true,
            }
        }
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_type_are_no_entry() {
        for line in [
            "",
            "v",
            "v=\"1\"",
            "stored=1",
            "v=1, stored=\"1\"",
            "v=1, fresh=1.5",
            "v=1, sie=a",
            "v=1, swr=(1)",
            "v=1, vary=(\"a\")",
            "v=1, gen=\"g\"",
            "v=1, vary=\"a\", gen=\"g\"",
            "v=1, gone",
            "v=1, key=token",
            "v=1, coded",
            "v=1, coded=\"weak\"",
            "v=1, coded=other",
            "v=1, coded=(weak)",
            "v=1,, fresh=1",
        ] {
            assert_eq!(Facts::parse(line.as_bytes()), Err(Reason::Entry), "{line}");
        }
        assert_eq!(Facts::parse(b"v=2, stored=1"), Err(Reason::Version));
        let marker = |names: usize| format!("v=1, vary=({}), gen=\"g\"", "\"a\" ".repeat(names));
        assert!(Facts::parse(marker(MAX_FIELDS).as_bytes()).is_ok());
        assert_eq!(Facts::parse(marker(MAX_FIELDS + 1).as_bytes()), Err(Reason::Entry));
    }

    #[test]
    fn unknown_members_are_left_alone() {
        let facts = Facts::parse(b"v=1, stored=5, fresh=7, new=(1 2), tags=(\"a\")").unwrap();
        assert_eq!((facts.stored, facts.fresh), (Some(5), Some(7)));
        let key = Facts::parse(b"v=1, key=:AP8=:").unwrap().key;
        assert_eq!(key.as_deref(), Some(&b"\x00\xff"[..]));
        assert_eq!(Facts::parse(b"v=1, coded=weak").unwrap().coded, Some(OwnTag::Weak));
    }
}
