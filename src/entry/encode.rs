//! A page, a marker or a tombstone to the stored value: the http form.

use sfv::{DictSerializer, KeyRef, RefBareItem, StringRef, TokenRef};

use super::{LINE, OwnTag, Stored, decode, is_kept};
use crate::http::hop_by_hop::HopByHop;
use crate::http::{Field, field_values};
use crate::reason::StoreReason;

const V: &KeyRef = KeyRef::constant("v");
const VERSION: sfv::Integer = sfv::integer(1);

/// The head of a page that is to be stored. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The status code.
    pub status: u16,
    /// The reason phrase, which nobody reads but people.
    pub phrase: &'a [u8],
    /// When the page was new, since 1970, less the age it arrived with.
    pub stored: i64,
    /// The freshness lifetime.
    pub fresh: i64,
    /// For how long it may be used stale while it is fetched anew; 0 is left out.
    pub swr: i64,
    /// For how long it may be used stale after an error; 0 is left out.
    pub sie: i64,
    /// How long the application took to make it; 0 is left out.
    pub took: i64,
    /// The text that was hashed into the key.
    pub key: Option<&'a [u8]>,
    /// The page is coded by the cache: how the application's own ETag is.
    pub coded: Option<OwnTag>,
}

impl Head<'_> {
    /// The stored form up to the body. Of `fields` those that never leave a cache are left out;
    /// `received` are the fields as they came, whose Connection lines name hop-by-hop ones.
    ///
    /// A head that could not be read again, because it is too large or a value is not one that
    /// the form can hold, is refused with [`StoreReason::Entry`].
    pub fn encode<'a>(
        &self,
        fields: impl Iterator<Item = Field<'a>>,
        received: &[Field<'_>],
    ) -> Result<Vec<u8>, StoreReason> {
        let line = self.line().ok_or(StoreReason::Entry)?;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(format!("HTTP/1.1 {} ", self.status).as_bytes());
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
        out.extend(self.phrase.iter().filter(|byte| is_text(byte)));
        push(&mut out, LINE, line.as_bytes());
        let hop_by_hop = HopByHop::of(field_values(received, "connection"));
        for field in fields {
            if field.is(LINE) || !is_kept(&field, &hop_by_hop) {
                continue;
            }
            if field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(StoreReason::Entry);
            }
            push(&mut out, field.name, field.value);
        }
        out.extend_from_slice(b"\r\n\r\n");
        match decode(&out) {
            Ok(Stored::Page(_)) => Ok(out),
            _ => Err(StoreReason::Entry),
        }
    }

    fn line(&self) -> Option<String> {
        let mut line = DictSerializer::new();
        _ = line.bare_item(V, VERSION);
        let times = [
            ("stored", self.stored),
            ("fresh", self.fresh),
            ("swr", self.swr),
            ("sie", self.sie),
            ("took", self.took),
        ];
        for (name, time) in times {
            if time != 0 || matches!(name, "stored" | "fresh") {
                _ = line
                    .bare_item(KeyRef::from_str(name).ok()?, sfv::Integer::try_from(time).ok()?);
            }
        }
        if let Some(tag) = self.coded {
            _ = line.bare_item(KeyRef::constant("coded"), TokenRef::from_str(tag.as_str()).ok()?);
        }
        if let Some(key) = self.key {
            let text =
                std::str::from_utf8(key).ok().and_then(|text| StringRef::from_str(text).ok());
            let value = text.map_or(RefBareItem::ByteSequence(key), RefBareItem::String);
            _ = line.bare_item(KeyRef::constant("key"), value);
        }
        line.finish()
    }
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [b"\r\n", name.as_bytes(), b": ", value] {
        out.extend_from_slice(part);
    }
}

/// The marker of a page that varies on `fields` (lower case); `None` where a name is no text.
pub fn marker(fields: &[String], generation: &str) -> Option<Vec<u8>> {
    let mut line = DictSerializer::new();
    _ = line.bare_item(V, VERSION);
    let mut names = line.inner_list(KeyRef::constant("vary"));
    for field in fields {
        _ = names.bare_item(StringRef::from_str(field).ok()?);
    }
    _ = names.finish();
    _ = line.bare_item(KeyRef::constant("gen"), StringRef::from_str(generation).ok()?);
    Some(without_body(&line.finish()?))
}

/// A tombstone; `random` are 128 random bits in hexadecimal digits.
pub fn tombstone(random: &str) -> Option<Vec<u8>> {
    let mut line = DictSerializer::new();
    _ = line.bare_item(V, VERSION);
    _ = line.bare_item(KeyRef::constant("gone"), StringRef::from_str(random).ok()?);
    Some(without_body(&line.finish()?))
}

fn without_body(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{LINE}: {line}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: Head<'static> = Head {
        status: 200,
        phrase: b"OK",
        stored: 1_795_500_000_123,
        fresh: 600_000,
        swr: 0,
        sie: 0,
        took: 0,
        key: None,
        coded: None,
    };

    fn field(name: &'static str, value: &'static [u8]) -> Field<'static> {
        Field { name, value }
    }

    #[test]
    fn the_bytes_of_the_documented_example() {
        let fields = [field("Content-Type", b"text/html; charset=utf-8")];
        let head = HEAD.encode(fields.into_iter(), &[]).unwrap();
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored=1795500000123, fresh=600000\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n"
        );
        let marker = marker(&["accept-encoding".into(), "accept-language".into()], "0f").unwrap();
        assert_eq!(
            marker,
            b"HTTP/1.1 200 OK\r\nRedis-Cache: v=1, vary=(\"accept-encoding\" \"accept-language\"), \
              gen=\"0f\"\r\n\r\n"
        );
        let gone = b"HTTP/1.1 200 OK\r\nRedis-Cache: v=1, gone=\"3d\"\r\n\r\n";
        assert_eq!(tombstone("3d").unwrap(), gone);
    }

    #[test]
    fn what_never_leaves_is_not_stored() {
        let fields = [
            field("Set-Cookie", b"a=b"),
            field("X-Hop", b"1"),
            field("Age", b"5"),
            field("Content-Length", b"9"),
            field("X-Accel-Expires", b"5"),
            field("redis-cache", b"v=1, gone=\"x\""),
            field("Transfer-Encoding", b"chunked"),
            field("X-Stays", b""),
        ];
        let head = HEAD.encode(fields.into_iter(), &[field("Connection", b"close, x-hop")]);
        let Ok(Stored::Page(page)) = decode(head.as_deref().unwrap()) else { panic!() };
        assert_eq!(page.fields(), [field("X-Stays", b"")]);
    }

    #[test]
    fn what_could_not_be_read_is_refused() {
        let refused = |fields: Vec<Field<'static>>| HEAD.encode(fields.into_iter(), &[]).is_err();
        assert!(refused(vec![field("X-A", b"a\nb: c")]) && refused(vec![field("X-A", b"a\r\n")]));
        assert!(refused(vec![field("X A", b"b")]) && refused(vec![field("X-A", b"a\0b")]));
        assert!(refused(vec![field("X-A", b"b"); 101]));
        assert!(HEAD.encode(vec![field("X-A", &[b'x'; 65_536])].into_iter(), &[]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            stored in 0..4_000_000_000_000_i64,
            times in prop::array::uniform4(0..2_000_000_000_i64),
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            coded in prop::option::of(prop::sample::select(vec![OwnTag::Strong, OwnTag::Weak])),
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
        ) {
            let [fresh, swr, sie, took] = times;
            let head = Head { stored, fresh, swr, sie, took, key: key.as_deref(), coded, ..HEAD };
            let fields = || values.iter().map(|value| Field { name: "X-A", value });
            let Ok(bytes) = head.encode(fields(), &[]) else { return Ok(()) };
            let Ok(Stored::Page(page)) = decode(&bytes) else { panic!("no page") };
            prop_assert_eq!(page.facts.stored, Some(stored));
            prop_assert_eq!(page.facts.fresh, Some(fresh));
            prop_assert_eq!(&page.facts.key, &key);
            prop_assert_eq!(page.facts.coded, coded);
            let wanted: Vec<_> = values.iter().map(|value| value.trim_ascii()).collect();
            let found: Vec<_> = page.fields().iter().map(|field| field.value.trim_ascii()).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
