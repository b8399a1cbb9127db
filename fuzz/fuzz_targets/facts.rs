//! Any value of a `Redis-Cache` line: what is read of it can be written, and is then read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::entry::{Facts, Head, LINE, MAX_FIELDS, Stored, decode, marker};

fuzz_target!(|line: &[u8]| {
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return;
    }
    let value = [b"HTTP/1.1 200 OK\r\n", LINE.as_bytes(), b": ", line, b"\r\n\r\nbody"].concat();
    match decode(&value) {
        Ok(Stored::Page(page)) => {
            assert_eq!((page.body, page.fields()), (&b"body"[..], &[][..]));
            let facts = page.facts;
            let head = Head {
                status: 200,
                phrase: b"OK",
                stored: facts.stored.unwrap_or_default(),
                fresh: facts.fresh.unwrap_or_default(),
                swr: facts.swr.unwrap_or_default(),
                sie: facts.sie.unwrap_or_default(),
                took: facts.took.unwrap_or_default(),
                key: facts.key.as_deref(),
                coded: facts.coded,
            };
            let Ok(written) = head.encode([].into_iter(), &[]) else {
                // Escapes make the line longer than a head may be.
                return assert!(facts.key.is_some_and(|key| key.len() > 16 * 1024));
            };
            let Ok(Stored::Page(again)) = decode(&written) else { panic!("no page") };
            assert_eq!(again.facts.stored, Some(head.stored));
            assert_eq!(again.facts.fresh, Some(head.fresh));
            let times =
                |facts: &Facts| [facts.swr, facts.sie, facts.took].map(Option::unwrap_or_default);
            assert_eq!(times(&again.facts), times(&facts));
            assert_eq!((again.facts.key, again.facts.coded), (facts.key, facts.coded));
        }
        Ok(Stored::Marker { vary, generation }) => {
            assert!(vary.len() <= MAX_FIELDS);
            let written = marker(&vary, &generation).expect("names and generation are texts");
            let Ok(Stored::Marker { vary: names, generation: again }) = decode(&written) else {
                panic!("no marker")
            };
            assert_eq!((names, again), (vary, generation));
        }
        Ok(Stored::Tombstone) | Err(_) => {}
    }
});
