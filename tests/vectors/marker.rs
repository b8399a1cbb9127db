//! Markers, tombstones, and the variants that a marker leads to.

use ngx_http_redis_cache_module::entry::{self, Stored};
use ngx_http_redis_cache_module::http::vary;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{FieldVector, optional_bytes, pairs, reason, vectors};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkerVector {
    name: String,
    stored: Option<String>,
    stored_base64: Option<String>,
    marker: Option<MarkerFacts>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkerFacts {
    vary: Vec<String>,
    generation: String,
}

#[test]
fn marker() {
    for vector in vectors("marker.json", |v: &MarkerVector| &v.name) {
        let stored = bytes!(vector, stored, stored_base64).unwrap();
        match (entry::decode(&stored), vector.marker, vector.reason) {
            (Ok(Stored::Marker { vary, generation }), Some(wanted), None) => {
                assert_eq!(vary, wanted.vary, "{}", vector.name);
                assert_eq!(generation, wanted.generation, "{}", vector.name);
            }
            (Err(found), None, Some(word)) => assert_eq!(found, reason(&word), "{}", vector.name),
            (found, ..) => panic!("{}: {found:?}", vector.name),
        }
    }
}

/// The vectors that say how a writer writes them are what this module writes.
#[test]
fn written_markers_and_tombstones() {
    let is_written = |name: &str| name.starts_with("as a writer writes it");
    let mut count = 0;
    for vector in vectors("marker.json", |v: &MarkerVector| &v.name) {
        let Some(wanted) = vector.marker.filter(|_| is_written(&vector.name)) else { continue };
        let written = entry::marker(&wanted.vary, &wanted.generation).unwrap();
        assert_eq!(written, vector.stored.unwrap().as_bytes(), "{}", vector.name);
        count += 1;
    }
    for vector in vectors("tombstone.json", |v: &TombstoneVector| &v.name) {
        if is_written(&vector.name) {
            let written = entry::tombstone("9cb9ce5bd9e807867d42a740c9633fc7").unwrap();
            assert_eq!(written, vector.stored.unwrap().as_bytes());
            count += 1;
        }
    }
    assert_eq!(count, 3);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TombstoneVector {
    name: String,
    stored: Option<String>,
    stored_base64: Option<String>,
    tombstone: Option<bool>,
    reason: Option<String>,
}

#[test]
fn tombstone() {
    for vector in vectors("tombstone.json", |v: &TombstoneVector| &v.name) {
        let stored = bytes!(vector, stored, stored_base64).unwrap();
        match (entry::decode(&stored), vector.tombstone, vector.reason) {
            (Ok(found), Some(wanted), None) => {
                assert_eq!(matches!(found, Stored::Tombstone), wanted, "{}", vector.name);
            }
            (Err(found), None, Some(word)) => assert_eq!(found, reason(&word), "{}", vector.name),
            (found, ..) => panic!("{}: {found:?}", vector.name),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantVector {
    name: String,
    key: Option<String>,
    key_base64: Option<String>,
    generation: String,
    vary: Vec<String>,
    request: Vec<FieldVector>,
    normalised: Vec<FieldVector>,
    hashed: Option<String>,
    hashed_base64: Option<String>,
    variant_key: Option<String>,
    variant_key_base64: Option<String>,
}

impl VariantVector {
    /// All lines of a request field as one value; `None` is absent.
    fn request_value(&self, name: &str) -> Option<Vec<u8>> {
        let lines: Vec<_> = pairs(&self.request)
            .into_iter()
            .filter(|(line, _)| line.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        (!lines.is_empty()).then(|| lines.join(&b", "[..]))
    }
}

#[test]
fn variant() {
    for vector in vectors("variant.json", |v: &VariantVector| &v.name) {
        let name = &vector.name;
        let mut hashed = Vec::new();
        for field in &vector.normalised {
            let wanted = bytes!(field, value, value_base64);
            let found = vector.request_value(&field.name).map(|v| vary::normalise(&field.name, &v));
            assert_eq!(found, wanted, "{name}: {}", field.name);
            hashed.extend(format!("{}:{}", field.name.len(), field.name).bytes());
            match wanted {
                Some(value) => {
                    hashed.extend(format!("{}:", value.len()).bytes());
                    hashed.extend(value);
                }
                None => hashed.push(b'-'),
            }
        }
        assert_eq!(Some(&hashed), bytes!(vector, hashed, hashed_base64).as_ref(), "{name}");
        let key = bytes!(vector, key, key_base64).unwrap();
        let wanted = bytes!(vector, variant_key, variant_key_base64).unwrap();
        let found = vary::variant_key(&key, &vector.generation, &vector.vary, |field| {
            vector.request_value(field)
        });
        assert_eq!(found, wanted, "{name}");
        let digest: String = Sha256::digest(&hashed).iter().map(|b| format!("{b:02x}")).collect();
        assert!(wanted.ends_with(digest.as_bytes()), "{name}");
    }
}
