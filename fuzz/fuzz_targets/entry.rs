//! Any stored value: decoding never panics, and what would be sent to a client is clean.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::entry::{Stored, decode};
use ngx_http_redis_cache_module::policy::{ClientFacts, reuse};

fuzz_target!(|value: &[u8]| {
    let Ok(Stored::Page(page)) = decode(value) else { return };
    assert!((200..600).contains(&page.status) && !matches!(page.status, 206 | 304));
    for field in page.fields_to_send() {
        assert!(!field.name.is_empty() && !field.name.contains(['\r', '\n', ':', ' ']));
        assert!(!field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!field.name.eq_ignore_ascii_case("set-cookie"));
    }
    let client = ClientFacts {
        hashed_text: Some(b"text"),
        accept_encoding: Some(b"gzip"),
        gunzip: false,
        indexed: &[],
        ignores_vary: false,
        control: Default::default(),
    };
    let _ = reuse(&page, &client, 1_795_500_000_000);
});
