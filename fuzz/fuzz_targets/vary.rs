//! Any value of any field: its normal form is its own normal form, and the key of a variant is the same
//! for the same normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::http::vary::{normalise, variant_key};

fuzz_target!(|input: (u8, &[u8])| {
    let (field, value) = input;
    let name = ["accept-encoding", "accept-language", "x-other"][usize::from(field % 3)];
    let normal = normalise(name, value);
    let names = [name.to_owned()];
    let key = |value: &[u8]| variant_key(b"k", "g", &names, |_| Some(value.to_vec()));
    assert_eq!(normalise(name, &normal), normal);
    assert_eq!(key(value), key(&normal));
});
