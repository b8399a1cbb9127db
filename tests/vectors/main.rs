//! The frozen forms: every vector in tests/vectors/*.json against the pure half. The schema is
//! described in tests/vectors/README.md.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::path::Path;

use ngx_http_redis_cache_module::entry::{self, Stored};
use ngx_http_redis_cache_module::key::{Authority, Hash, KeyShape, RequestUri, header_form};
use ngx_http_redis_cache_module::policy;
use ngx_http_redis_cache_module::reason::Reason;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<V> {
    about: String,
    vectors: Vec<V>,
}

/// The vectors of a file; their names are unique and none is empty.
fn vectors<V: DeserializeOwned>(file: &str, name: impl Fn(&V) -> &str) -> Vec<V> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let file: File<V> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!file.about.is_empty() && !file.vectors.is_empty());
    let mut names = HashSet::new();
    for vector in &file.vectors {
        assert!(names.insert(name(vector).to_owned()), "two vectors \"{}\"", name(vector));
    }
    file.vectors
}

/// Bytes: a field with text, or the field `*_base64`, never both; `None` is neither.
fn optional_bytes(text: Option<&String>, base64: Option<&String>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => {
            let plain = |b: u8| matches!(b, b'\t' | b'\r' | b'\n' | 0x20..=0x7e);
            assert!(text.bytes().all(plain), "{text:?} has to be base64");
            Some(text.clone().into_bytes())
        }
        (None, Some(base64)) => {
            // Base64 between colons is a Byte Sequence of RFC 9651.
            let item: sfv::Item = sfv::Parser::new(&format!(":{base64}:")).parse().unwrap();
            Some(item.bare_item.as_byte_sequence().unwrap().to_vec())
        }
        (None, None) => None,
        (Some(_), Some(_)) => panic!("text and base64 of one value"),
    }
}

macro_rules! bytes {
    ($of:expr, $field:ident, $base64:ident) => {
        optional_bytes($of.$field.as_ref(), $of.$base64.as_ref())
    };
}

mod coded;
mod marker;
mod request;

/// A reason by its word.
fn reason(word: &str) -> Reason {
    let known = Reason::ALL.iter().find(|reason| reason.as_str() == word);
    *known.unwrap_or_else(|| panic!("no reason is called {word}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyVector {
    name: String,
    form: String,
    scheme: Option<String>,
    host: Option<String>,
    host_base64: Option<String>,
    target: Option<String>,
    target_base64: Option<String>,
    /// Says where the application is mounted; the key does not depend on it.
    #[serde(rename = "script_name")]
    _script_name: Option<String>,
    hash: String,
    prefix: String,
    text: Option<String>,
    text_base64: Option<String>,
    key: Option<String>,
    key_base64: Option<String>,
    reason: Option<String>,
}

impl KeyVector {
    /// What is hashed or stands behind the prefix.
    fn computed_text(&self) -> Result<Vec<u8>, Reason> {
        let host = bytes!(self, host, host_base64).unwrap();
        let target = bytes!(self, target, target_base64).unwrap();
        match (self.form.as_str(), self.scheme.as_deref()) {
            ("http", Some(scheme)) => {
                let Authority { host, port } = Authority::parse(&host)?;
                Ok(RequestUri { scheme, host, port, target: &target }.text())
            }
            ("raw", None) => Ok([host, target].concat()),
            other => panic!("{}: {other:?}", self.name),
        }
    }
}

#[test]
fn key() {
    for vector in vectors("key.json", |v: &KeyVector| &v.name) {
        let name = &vector.name;
        let hash = match vector.hash.as_str() {
            "none" => Hash::None,
            "md5" => Hash::Md5,
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            other => panic!("{name}: hash {other}"),
        };
        let shape = KeyShape { hash, prefix: vector.prefix.clone().into_bytes() };
        let wanted_text = bytes!(vector, text, text_base64);
        let wanted_key = bytes!(vector, key, key_base64);
        match vector.computed_text().and_then(|text| shape.key(text.into())) {
            Ok(key) => {
                assert_eq!(vector.reason, None, "{name}");
                assert_eq!(Some(vector.computed_text().unwrap()), wanted_text, "{name}");
                assert_eq!(Some(key.bytes), wanted_key, "{name}");
                let hidden = if hash == Hash::None { None } else { wanted_text };
                assert_eq!(key.hashed_text, hidden, "{name}");
            }
            Err(found) => {
                assert_eq!(Some(found.as_str()), vector.reason.as_deref(), "{name}");
                assert_eq!((wanted_text, wanted_key), (None, None), "{name}");
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyHeaderVector {
    name: String,
    key: Option<String>,
    key_base64: Option<String>,
    header: Option<String>,
}

#[test]
fn key_header() {
    for vector in vectors("key_header.json", |v: &KeyHeaderVector| &v.name) {
        let key = bytes!(vector, key, key_base64).unwrap();
        let wanted = vector.header.map(String::into_bytes);
        assert_eq!(header_form(&key), wanted, "{}", vector.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryVector {
    name: String,
    form: String,
    stored: Option<String>,
    stored_base64: Option<String>,
    page: Option<PageVector>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageVector {
    status: u16,
    headers: Vec<FieldVector>,
    body: Option<String>,
    body_base64: Option<String>,
    facts: FactsVector,
    #[serde(default)]
    freshness: Vec<FreshnessVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldVector {
    name: String,
    value: Option<String>,
    value_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsVector {
    stored: Option<i64>,
    fresh: Option<i64>,
    key: Option<String>,
    key_base64: Option<String>,
    coded: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreshnessVector {
    at: i64,
    age: Option<u64>,
    ttl: Option<u64>,
    reason: Option<String>,
}

#[test]
fn entry() {
    for vector in vectors("entry.json", |v: &EntryVector| &v.name) {
        let name = &vector.name;
        let stored = bytes!(vector, stored, stored_base64).unwrap();
        let wanted = match (vector.page, vector.reason) {
            (Some(page), None) => Ok(page),
            (None, Some(word)) => Err(reason(&word)),
            _ => panic!("{name}: a page or a reason"),
        };
        match vector.form.as_str() {
            "raw" => assert_raw(name, &stored, wanted),
            "http" => assert_http(name, &stored, wanted),
            other => panic!("{name}: form {other}"),
        }
    }
}

fn assert_raw(name: &str, stored: &[u8], wanted: Result<PageVector, Reason>) {
    let body = wanted.map(|page| {
        assert!(page.headers.is_empty() && page.freshness.is_empty(), "{name}");
        assert_eq!(page.status, 200, "{name}");
        bytes!(page, body, body_base64).unwrap()
    });
    assert_eq!(entry::decode_raw(stored).map(<[u8]>::to_vec), body, "{name}");
}

fn assert_http(name: &str, stored: &[u8], wanted: Result<PageVector, Reason>) {
    let (page, wanted) = match (entry::decode(stored), wanted) {
        (Ok(Stored::Page(page)), Ok(wanted)) => (page, wanted),
        (Err(found), Err(wanted)) => return assert_eq!(found, wanted, "{name}"),
        (found, _) => panic!("{name}: {found:?}"),
    };
    assert_eq!(page.status, wanted.status, "{name}");
    let sent: Vec<_> =
        page.fields_to_send().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
    assert_eq!(sent, pairs(&wanted.headers), "{name}");
    assert_eq!(page.body, bytes!(wanted, body, body_base64).unwrap(), "{name}");
    assert_eq!(page.facts.stored, wanted.facts.stored, "{name}");
    assert_eq!(page.facts.fresh, wanted.facts.fresh, "{name}");
    assert_eq!(page.facts.key, bytes!(wanted.facts, key, key_base64), "{name}");
    let coded = page.facts.coded.map(|tag| tag.as_str().to_owned());
    assert_eq!(coded, wanted.facts.coded, "{name}");
    for moment in wanted.freshness {
        let wanted = match moment.reason {
            Some(word) => Err(reason(&word)),
            None => Ok((moment.age, moment.ttl)),
        };
        assert_eq!(policy::freshness_of(&page, moment.at), wanted, "{name} at {}", moment.at);
    }
}

fn pairs(fields: &[FieldVector]) -> Vec<(String, Vec<u8>)> {
    fields
        .iter()
        .map(|field| (field.name.clone(), bytes!(field, value, value_base64).unwrap()))
        .collect()
}

/// A field that the schema does not have is a mistake, not an extension.
#[test]
fn unknown_fields_are_refused() {
    let vector = r#"{"name": "n", "key": "k", "header": "k", "heading": "k"}"#;
    assert!(serde_json::from_str::<KeyHeaderVector>(vector).is_err());
    assert!(
        serde_json::from_str::<KeyHeaderVector>(&vector.replace(", \"heading\": \"k\"", ""))
            .is_ok()
    );
}
