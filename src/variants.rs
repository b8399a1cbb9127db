//! How many variants of one page a worker stores: a client that sends ever new values of a field
//! that the page varies on must not fill Redis.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The most variants of a page that one worker stores at a time.
pub const MOST: usize = 64;

/// The most pages that are remembered; beyond it counting begins anew.
const PAGES: usize = 65_536;

/// What was stored lately.
#[derive(Debug, Default)]
pub struct Variants {
    /// Until when each variant of a page lives, by hashes of their keys.
    pages: HashMap<u64, HashMap<u64, Instant>>,
    hasher: RandomState,
}

impl Variants {
    /// Whether the variant under `key` of the page under `page` may be stored for `ttl`.
    pub fn admit(&mut self, page: &[u8], key: &[u8], ttl: Duration, now: Instant) -> bool {
        let (page, key) = (self.hasher.hash_one(page), self.hasher.hash_one(key));
        if self.pages.len() >= PAGES && !self.pages.contains_key(&page) {
            self.pages.retain(|_, variants| variants.values().any(|until| *until > now));
            if self.pages.len() >= PAGES {
                self.pages.clear();
            }
        }
        let variants = self.pages.entry(page).or_default();
        if variants.len() >= MOST && !variants.contains_key(&key) {
            variants.retain(|_, until| *until > now);
        }
        if variants.len() >= MOST && !variants.contains_key(&key) {
            return false;
        }
        variants.insert(key, now + ttl.min(Duration::from_secs(1 << 31)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more_until_one_has_gone() {
        let mut variants = Variants::default();
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        for n in 0..MOST {
            assert!(variants.admit(b"page", n.to_string().as_bytes(), second, now));
        }
        assert!(!variants.admit(b"page", b"another", second, now));
        assert!(variants.admit(b"page", b"7", second, now));
        assert!(variants.admit(b"other page", b"another", second, now));
        assert!(variants.admit(b"page", b"another", second, now + second));
    }
}
