//! Any Cache-Control: lines count one by one and whatever their case, a line more never makes an
//! answer more lasting, and no time is beyond what counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::http::cache_control::{CacheControl, RequestControl};

const LONGEST: u64 = 1 << 31;

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

fn times(of: &CacheControl) -> [Option<u64>; 4] {
    [of.s_maxage, of.max_age, of.stale_while_revalidate, of.stale_if_error]
}

fn flags(of: &CacheControl) -> [bool; 5] {
    [of.no_store, of.private, of.no_cache, of.must_understand, of.must_revalidate]
}

fuzz_target!(|input: (&[u8], &[u8])| {
    let (a, b) = input;
    let one = CacheControl::parse([a].into_iter());
    let two = CacheControl::parse([b].into_iter());
    let both = CacheControl::parse([a, b].into_iter());
    assert_eq!(one, CacheControl::parse([&*a.to_ascii_uppercase()].into_iter()));
    for (both, (one, two)) in times(&both).into_iter().zip(times(&one).into_iter().zip(times(&two)))
    {
        assert_eq!(both, least(one, two));
        assert!(both.is_none_or(|seconds| seconds <= LONGEST));
    }
    for (both, (one, two)) in flags(&both).into_iter().zip(flags(&one).into_iter().zip(flags(&two)))
    {
        assert_eq!(both, one || two);
    }
    if let Some(targeted) = CacheControl::parse_targeted([a, b].into_iter()) {
        assert!(times(&targeted).into_iter().flatten().all(|seconds| seconds <= LONGEST));
        assert!(targeted.s_maxage.is_none() || targeted.must_revalidate);
    }
    let request = RequestControl::parse([a].into_iter(), [b].into_iter());
    assert_eq!(request, RequestControl::parse([a].into_iter(), [].into_iter()));
    assert_eq!((request.no_store, request.max_age), (one.no_store, one.max_age));
    let alone = RequestControl::parse([].into_iter(), [b].into_iter());
    assert_eq!(alone, RequestControl { no_cache: alone.no_cache, ..RequestControl::default() });
});
