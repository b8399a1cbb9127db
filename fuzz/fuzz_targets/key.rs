//! Any Host, target and text: a key begins with its prefix, its header form is one line of text, and a
//! host that is taken is not empty.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::key::{Authority, RequestUri, header_form};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (host, target) = input;
    let Ok(Authority { host, port }) = Authority::parse(host) else { return };
    assert!(!matches!(host, b"" | b"[]"));
    let uri = RequestUri { scheme: "http", host, port, target };
    let text = uri.text();
    assert!(text.starts_with(b"http://") && text.ends_with(target));
    if let Some(form) = header_form(&text) {
        assert!(form.iter().all(|byte| matches!(byte, b'!'..=b'~')));
    }
});
