//! How many variants of one page a worker stores: a client that sends ever new values of a field
//! that the page varies on must not fill Redis.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The most variants of a page that one worker stores at a time.
pub const MOST: usize = 64;

/// Pages share a row; so many variants are remembered in each.
const ROW: usize = 256;
const ROWS: usize = 512;

/// What was stored lately: 1.5 MiB, once there is anything, however many pages and variants come.
///
/// A row that is full of variants that live forgets the one that ends soonest, of another page than
/// the one that is stored: who makes a great many pages vary can have more variants of a page stored
/// than [`MOST`], but no sooner than 256 others of that row.
#[derive(Debug, Default)]
pub struct Variants {
    seen: Vec<Seen>,
    began: Option<Instant>,
    hasher: RandomState,
}

/// One variant of a page, by hashes of their keys, and until when it lives, in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    page: u32,
    variant: u32,
    until: u32,
}

impl Variants {
    /// Whether the variant under `key` of the page under `page` may be stored for `ttl`.
    pub fn admit(&mut self, page: &[u8], key: &[u8], ttl: Duration, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(*self.began.get_or_insert(now));
        let at = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let (now, until) = (at(seconds), at(seconds.saturating_add(ttl)));
        let page = self.hasher.hash_one(page);
        let new = Seen { page: upper(page), variant: upper(self.hasher.hash_one(key)), until };
        if self.seen.is_empty() {
            self.seen = vec![Seen::default(); ROW * ROWS];
        }
        let first = usize::try_from(page % ROWS as u64).unwrap_or(0) * ROW;
        let Some(row) = self.seen.get_mut(first..first + ROW) else { return false };
        let is_of_page = |seen: &Seen| seen.page == new.page && seen.until > now;
        let known = row.iter().position(|seen| is_of_page(seen) && seen.variant == new.variant);
        if known.is_none() && row.iter().filter(|seen| is_of_page(seen)).count() >= MOST {
            return false;
        }
        let place = match known {
            Some(at) => row.get_mut(at),
            None => row.iter_mut().filter(|seen| !is_of_page(seen)).min_by_key(|seen| seen.until),
        };
        if let Some(place) = place {
            *place = new;
        }
        true
    }
}

fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn its_memory_does_not_grow() {
        let (mut variants, now) = (Variants::default(), Instant::now());
        for n in 0..20_000_u32 {
            assert!(variants.admit(&n.to_le_bytes(), b"v", Duration::from_secs(60), now));
        }
        assert_eq!(variants.seen.len() * size_of::<Seen>(), 3 << 19);
    }

    proptest! {
        /// Where few pages share a row, it is as if everything were remembered.
        #[test]
        fn few_pages_are_counted_exactly(
            steps in prop::collection::vec((0..3_u8, 0..90_u8, 1..9_u64, 0..2_u64), 1..600)
        ) {
            let (mut variants, began) = (Variants::default(), Instant::now());
            let mut model: Vec<(u8, u8, u64)> = Vec::new();
            let mut now = 0;
            for (page, variant, ttl, passed) in steps {
                now += passed;
                model.retain(|(_, _, until)| *until > now);
                let of_page = model.iter().filter(|(known, ..)| *known == page).count();
                let is_known = |(p, v, _): &(u8, u8, u64)| (*p, *v) == (page, variant);
                let expected = of_page < MOST || model.iter().any(is_known);
                let moment = began + Duration::from_secs(now);
                let ttl = Duration::from_secs(ttl);
                prop_assert_eq!(variants.admit(&[page], &[variant], ttl, moment), expected);
                if expected {
                    model.retain(|known| !is_known(known));
                    model.push((page, variant, now + ttl.as_secs()));
                }
            }
        }
    }
}
