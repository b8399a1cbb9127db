//! Keys whose value turned out larger than `redis_cache_max_size`: not asked again for a while,
//! because refusing such a value costs a connection.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a key is remembered.
pub const REMEMBER: Duration = Duration::from_secs(5);

/// The most keys that one worker remembers for an endpoint.
const CAPACITY: usize = 1024;

/// The remembered keys of one endpoint.
#[derive(Debug, Default)]
pub struct Oversize {
    /// Key to the limit that it broke and the end of the memory.
    keys: HashMap<Vec<u8>, (usize, Instant)>,
}

impl Oversize {
    /// Whether a value under `key` was lately found larger than `limit` bytes.
    pub fn knows(&self, key: &[u8], limit: usize, now: Instant) -> bool {
        !self.keys.is_empty()
            && self.keys.get(key).is_some_and(|&(broken, end)| limit <= broken && now < end)
    }

    /// Remembers that the value under `key` is larger than `limit` bytes.
    pub fn remember(&mut self, key: &[u8], limit: usize, now: Instant) {
        if self.keys.len() >= CAPACITY {
            self.keys.retain(|_, &mut (_, end)| now < end);
        }
        if self.keys.len() < CAPACITY {
            self.keys.insert(key.to_vec(), (limit, now + REMEMBER));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_for_limits_it_saw() {
        let now = Instant::now();
        let mut oversize = Oversize::default();
        oversize.remember(b"k", 100, now);
        assert!(oversize.knows(b"k", 100, now) && oversize.knows(b"k", 50, now));
        assert!(!oversize.knows(b"k", 200, now) && !oversize.knows(b"other", 100, now));
        assert!(!oversize.knows(b"k", 100, now + REMEMBER));
    }

    #[test]
    fn is_bounded() {
        let now = Instant::now();
        let mut oversize = Oversize::default();
        for n in 0..5000_u32 {
            oversize.remember(&n.to_le_bytes(), 1, now);
        }
        assert_eq!(oversize.keys.len(), CAPACITY);
    }
}
