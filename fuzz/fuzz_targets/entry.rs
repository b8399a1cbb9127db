//! Any stored value: decoding never panics, what would be sent to a client is clean, and a page that
//! was made for another key never answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::entry::{MAX_FIELDS, Stored, decode};
use ngx_http_redis_cache_module::http::cache_control::RequestControl;
use ngx_http_redis_cache_module::policy::{ClientFacts, Verdict, reuse};
use ngx_http_redis_cache_module::reason::Reason;

fuzz_target!(|value: &[u8]| {
    let Ok(Stored::Page(page)) = decode(value) else { return };
    assert!((200..600).contains(&page.status) && !matches!(page.status, 206 | 304));
    assert!(page.fields().len() <= MAX_FIELDS);
    for field in page.fields_to_send() {
        assert!(!field.name.is_empty() && !field.name.contains(['\r', '\n', ':', ' ']));
        assert!(!field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!field.name.eq_ignore_ascii_case("set-cookie"));
    }
    let client = ClientFacts {
        hashed_text: Some(b"text"),
        accept_encoding: Some(b"gzip"),
        gunzip: false,
        decodes: true,
        range: false,
        indexed: &[],
        cookies_are_in_key: false,
        ignores_vary: false,
        authorization: false,
        control: RequestControl::default(),
    };
    let verdict = reuse(&page, &client, 1_795_500_000_000);
    if page.facts.key.as_ref().is_some_and(|key| key != b"text") {
        assert_eq!(verdict, Verdict::No(Reason::Collision));
    }
    let asks = RequestControl { no_cache: true, ..client.control };
    let verdict = reuse(&page, &ClientFacts { control: asks, ..client }, 1_795_500_000_000);
    assert!(!matches!(verdict, Verdict::Fresh(_)));
});
