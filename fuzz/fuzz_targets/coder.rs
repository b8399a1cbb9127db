//! Any coded body: decoding never panics and keeps to its bounds, and what is coded comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::coder::{code, decode, levels};
use ngx_http_redis_cache_module::http::coding::Coding;

const MOST: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    for coding in Coding::ALL {
        if let Ok(body) = decode(coding, data, MOST) {
            assert!(body.len() <= MOST);
        }
        let (least, _, usual) = levels(coding);
        for level in [least, usual] {
            let coded = code(coding, level, data, data.len() + 1024).expect("there is room");
            assert_eq!(decode(coding, &coded, data.len()).as_deref(), Ok(data));
        }
    }
});
