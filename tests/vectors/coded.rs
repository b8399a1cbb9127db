//! Pages in a content coding: made, and undone.

use ngx_http_redis_cache_module::coder::{self, Undecodable};
use ngx_http_redis_cache_module::entry::{self, Stored};
use ngx_http_redis_cache_module::http::Field;
use ngx_http_redis_cache_module::http::coding::{self, Coding};
use ngx_http_redis_cache_module::policy::{Compress, Types};
use serde::Deserialize;

use super::{FieldVector, optional_bytes, pairs, reason, vectors};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodedVector {
    name: String,
    coding: String,
    headers: Vec<FieldVector>,
    coded_headers: Option<Vec<FieldVector>>,
    coded: Option<String>,
}

fn named(name: &str) -> Coding {
    Coding::ALL.into_iter().find(|coding| coding.name() == name).unwrap()
}

#[test]
fn coded() {
    for vector in vectors("coded.json", |v: &CodedVector| &v.name) {
        let name = &vector.name;
        let coding = named(&vector.coding);
        let headers = pairs(&vector.headers);
        let mut fields: Vec<_> =
            headers.iter().map(|(name, value)| Field { name, value }).collect();
        let compress = Compress { coding, level: 6, min_length: 1024, types: Types::Usual };
        assert_eq!(compress.applies_to(&fields, &fields), vector.coded.is_some(), "{name}");
        let (Some(wanted), Some(tag)) = (vector.coded_headers, vector.coded) else { continue };
        let keep = |bytes: &[u8]| Some(&*Box::leak(bytes.to_vec().into_boxed_slice()));
        let own = entry::code_fields(&mut fields, coding, keep).unwrap();
        assert_eq!(own.as_str(), tag, "{name}");
        let found: Vec<_> =
            fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
        assert_eq!(found, pairs(&wanted), "{name}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecodedVector {
    name: String,
    stored_base64: String,
    headers: Option<Vec<FieldVector>>,
    body: Option<String>,
    reason: Option<String>,
}

#[test]
fn decoded() {
    for vector in vectors("decoded.json", |v: &DecodedVector| &v.name) {
        let name = &vector.name;
        let stored = optional_bytes(None, Some(&vector.stored_base64)).unwrap();
        let Ok(Stored::Page(page)) = entry::decode(&stored) else { panic!("{name}: no page") };
        let coding = match coding::stored(page.values("content-encoding")) {
            coding::Stored::Known(coding) => coding,
            other => panic!("{name}: {other:?}"),
        };
        let found = coder::decode(coding, page.body, 64 << 10);
        let wanted_reason = vector.reason.as_deref().map(reason);
        let word = found.as_ref().err().map(|why| match why {
            Undecodable::Damaged => reason("coding"),
            Undecodable::TooLarge => reason("too_large"),
        });
        assert_eq!(word, wanted_reason, "{name}");
        assert_eq!(found.ok(), vector.body.map(String::into_bytes), "{name}");
        let Some(wanted) = vector.headers else { continue };
        // nginx makes the ETag weak that the application gave its own coded form.
        let weakened = |field: Field<'_>| match field.value.strip_prefix(b"\"") {
            Some(_) if field.is("etag") && page.facts.coded.is_none() => {
                [b"W/", field.value].concat()
            }
            _ => field.value.to_vec(),
        };
        let sent: Vec<_> = page
            .fields_to_send_decoded()
            .map(|field| (field.name.to_owned(), weakened(field)))
            .collect();
        assert_eq!(sent, pairs(&wanted), "{name}");
    }
}
