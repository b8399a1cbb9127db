//! Any Host and any key: an authority that is taken apart and put together again is the same, and
//! what is handed to the application is plain and means the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::key::{Authority, MAX_HEADER, RequestUri, header_form};

fn authority(value: &[u8]) {
    let Ok(Authority { host, port }) = Authority::parse(value) else { return };
    assert!(!matches!(host, b"" | b"[]"));
    for (scheme, own) in [("http", 80), ("https", 443)] {
        let uri = RequestUri { scheme, host, port, target: value };
        let text = uri.text();
        let start = [scheme.as_bytes(), b"://", &uri.authority()].concat();
        let target = text.strip_prefix(&*start).expect("a URI of its scheme and authority");
        assert!(target.first() == Some(&b'/') && target.ends_with(value));
        // One dot alone is taken off.
        if !host.ends_with(b".") {
            let again = uri.authority();
            let again = Authority::parse(&again).expect("what was put together");
            assert_eq!(again.host, host.to_ascii_lowercase());
            assert_eq!(again.port, port.filter(|port| *port != own));
        }
    }
}

fn header(key: &[u8]) {
    let Some(form) = header_form(key) else {
        return assert!(key.len() * 3 > MAX_HEADER);
    };
    assert!(form.len() <= MAX_HEADER && form.iter().all(|byte| (0x21..=0x7e).contains(byte)));
    let mut rest = &*form;
    let mut meant = Vec::new();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, rest) {
            (b'%', [a, b, behind @ ..]) => {
                rest = behind;
                let digits = [*a, *b];
                let digits = std::str::from_utf8(&digits).expect("digits");
                meant.push(u8::from_str_radix(digits, 16).expect("two digits"));
            }
            _ => meant.push(*byte),
        }
    }
    assert_eq!(meant, key);
}

fuzz_target!(|value: &[u8]| {
    authority(value);
    header(value);
});
