//! Any value of a field that a page varies on: what means the same has one normal form, and a variant
//! has a key of its own for each form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::http::coding;
use ngx_http_redis_cache_module::http::vary::{normalise, variant_key};

const NAMES: [&str; 3] = ["accept-encoding", "accept-language", "x-any"];

fn key(name: &str, value: Option<&[u8]>) -> Vec<u8> {
    variant_key(b"k", "g", &[name.to_owned()], |_| value.map(<[u8]>::to_vec))
}

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (which, value, other) = input;
    let name = NAMES[usize::from(which) % NAMES.len()];
    let form = normalise(name, value);
    match name {
        "accept-encoding" => {
            for known in ["br", "gzip", "zstd"] {
                let listed = form.split(|byte| *byte == b',').any(|one| one == known.as_bytes());
                assert_eq!(listed, coding::accepts(Some(value), known.as_bytes()));
            }
            assert_eq!(normalise(name, &form), form);
        }
        "accept-language" => {
            assert_eq!(normalise(name, &value.to_ascii_uppercase()), form);
            assert!(!form.iter().any(|byte| byte.is_ascii_uppercase() || *byte == b';'));
        }
        _ => assert_eq!(normalise(name, &form), form),
    }
    let mine = key(name, Some(value));
    assert!(mine.len() == 4 + 64 && mine.starts_with(b"k|g|"));
    assert_ne!(mine, key(name, None));
    assert_eq!(mine == key(name, Some(other)), form == normalise(name, other));
    let names = [name.to_owned(), name.to_ascii_uppercase(), "x-b".to_owned()];
    let sorted = [names[2].clone(), names[0].clone()];
    let of = |fields: &[String]| variant_key(b"k", "g", fields, |_| Some(value.to_vec()));
    assert_eq!(of(&names), of(&sorted));
});
