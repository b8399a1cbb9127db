//! The `Redis-Cache` line: our own facts about a stored page, a structured-field dictionary
//! (RFC 9651).

use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::reason::Reason;

/// The name of the line.
pub const LINE: &str = "Redis-Cache";

/// The version of the stored form that this module reads and writes.
const VERSION: i64 = 1;

/// What the line says; everything is absent where there is no line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When the page was new, in milliseconds since 1970, less the age it arrived with.
    pub stored: Option<i64>,
    /// The freshness lifetime in milliseconds.
    pub fresh: Option<i64>,
    /// The text that was hashed into the key.
    pub key: Option<Vec<u8>>,
    /// A marker's request fields (lower case) and generation.
    pub marker: Option<(Vec<String>, String)>,
    /// A tombstone.
    pub gone: bool,
}

impl Facts {
    /// Reads the value of the line. Members that it does not know are left alone, so that later
    /// writers can add some; a member of another type than its own makes the value no entry.
    pub fn parse(line: &[u8]) -> Result<Self, Reason> {
        let line: Dictionary = Parser::new(line).parse().map_err(|_| Reason::Entry)?;
        match integer(&line, "v")? {
            Some(VERSION) => {}
            Some(_) => return Err(Reason::Version),
            None => return Err(Reason::Entry),
        }
        let marker = match (names(&line, "vary")?, string(&line, "gen")?) {
            (Some(vary), Some(generation)) => Some((vary, generation)),
            (None, None) => None,
            _ => return Err(Reason::Entry),
        };
        Ok(Self {
            stored: integer(&line, "stored")?,
            fresh: integer(&line, "fresh")?,
            key: bytes(&line, "key")?,
            marker,
            gone: string(&line, "gone")?.is_some(),
        })
    }
}

fn item<'a>(line: &'a Dictionary, name: &str) -> Result<Option<&'a BareItem>, Reason> {
    match line.get(name) {
        None => Ok(None),
        Some(ListEntry::Item(item)) => Ok(Some(&item.bare_item)),
        Some(ListEntry::InnerList(_)) => Err(Reason::Entry),
    }
}

fn integer(line: &Dictionary, name: &str) -> Result<Option<i64>, Reason> {
    let found = item(line, name)?;
    found.map(|item| item.as_integer().map(i64::from).ok_or(Reason::Entry)).transpose()
}

fn string(line: &Dictionary, name: &str) -> Result<Option<String>, Reason> {
    let found = item(line, name)?;
    found
        .map(|item| item.as_string().map(|s| s.as_str().to_owned()).ok_or(Reason::Entry))
        .transpose()
}

fn bytes(line: &Dictionary, name: &str) -> Result<Option<Vec<u8>>, Reason> {
    match item(line, name)? {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str().as_bytes().to_vec())),
        Some(BareItem::ByteSequence(bytes)) => Ok(Some(bytes.clone())),
        Some(_) => Err(Reason::Entry),
    }
}

fn names(line: &Dictionary, name: &str) -> Result<Option<Vec<String>>, Reason> {
    let list = match line.get(name) {
        None => return Ok(None),
        Some(ListEntry::InnerList(list)) => list,
        Some(ListEntry::Item(_)) => return Err(Reason::Entry),
    };
    let name =
        |item: &sfv::Item| item.bare_item.as_string().map(|s| s.as_str().to_ascii_lowercase());
    list.items.iter().map(name).collect::<Option<Vec<_>>>().map(Some).ok_or(Reason::Entry)
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
            "v=1, vary=(\"a\")",
            "v=1, gen=\"g\"",
            "v=1, vary=\"a\", gen=\"g\"",
            "v=1, gone",
            "v=1, key=token",
            "v=1,, fresh=1",
        ] {
            assert_eq!(Facts::parse(line.as_bytes()), Err(Reason::Entry), "{line}");
        }
        assert_eq!(Facts::parse(b"v=2, stored=1"), Err(Reason::Version));
    }

    #[test]
    fn unknown_members_are_left_alone() {
        let facts = Facts::parse(b"v=1, stored=5, fresh=7, new=(1 2), tags=(\"a\")").unwrap();
        assert_eq!((facts.stored, facts.fresh), (Some(5), Some(7)));
        let key = Facts::parse(b"v=1, key=:AP8=:").unwrap().key;
        assert_eq!(key.as_deref(), Some(&b"\x00\xff"[..]));
    }
}
