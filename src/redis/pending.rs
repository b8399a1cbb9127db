//! Invalidations that have not reached Redis yet, as all workers of one nginx see them: until they
//! have, the pages that they are about are not looked up.

use std::sync::atomic::{AtomicU32, Ordering};

use super::topology::Purpose;

/// How many places there are for marks. Keys that share one are marked together.
pub const PLACES: usize = 8192;
/// For how long a mark holds, in milliseconds. Whoever owes the invalidation renews it in time;
/// a worker that dies keeps no page from being looked up for longer.
const HOLDS: u32 = 1000;
/// How far the clocks of two workers, which stand still in a turn, may differ.
const SLACK: u32 = 60_000;
/// 2^64 divided by the golden ratio: multiplied by it, small numbers differ in their upper half.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Marks of the keys of one upstream, each until when it holds, in memory that workers share.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    places: &'static [AtomicU32],
    upstream: u64,
}

impl Pending {
    /// The marks of the upstream with a number, among those of all.
    pub fn new(places: &'static [AtomicU32], upstream: usize) -> Self {
        Self { places, upstream: upstream as u64 }
    }

    /// An invalidation for `purpose` of the key with this hash is owed; `now` is in milliseconds,
    /// by a clock that all workers have in common.
    pub fn mark(&self, hash: u64, purpose: Purpose, now: usize) {
        if let Some(place) = self.place(hash, purpose) {
            place.store(truncated(now).wrapping_add(HOLDS), Ordering::Release);
        }
    }

    /// Whether one is.
    pub fn has(&self, hash: u64, purpose: Purpose, now: usize) -> bool {
        self.place(hash, purpose).is_some_and(|place| {
            let left = place.load(Ordering::Acquire).wrapping_sub(truncated(now));
            (1..=HOLDS + SLACK).contains(&left)
        })
    }

    fn place(&self, hash: u64, purpose: Purpose) -> Option<&AtomicU32> {
        let server = match purpose {
            Purpose::InvalidateBackup(number) => number as u64 + 1,
            _ => 0,
        };
        let other = (self.upstream << 32 | server).wrapping_mul(SPREAD) >> 32;
        let place = hash.wrapping_add(other) % self.places.len().max(1) as u64;
        self.places.get(usize::try_from(place).ok()?)
    }
}

/// The lower half is enough to tell what is soon; it wraps around every 49 days.
#[allow(clippy::cast_possible_truncation, reason = "see above")]
fn truncated(now: usize) -> u32 {
    now as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(upstream: usize) -> Pending {
        let places: Vec<_> = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Pending::new(places.leak(), upstream)
    }

    #[test]
    fn a_mark_holds_for_a_while() {
        let pending = pending(0);
        for start in [1_000_000, u32::MAX as usize - 500] {
            pending.mark(7, Purpose::Invalidate, start);
            let has = |after: usize| pending.has(7, Purpose::Invalidate, start + after);
            assert!(has(0) && has(999) && !has(1000) && !has(1_000_000));
            assert!(pending.has(7, Purpose::Invalidate, start - 300), "another worker's clock");
        }
    }

    #[test]
    fn keys_servers_and_upstreams_are_told_apart() {
        let one = pending(0);
        let two = Pending { upstream: 1, ..one };
        one.mark(7, Purpose::InvalidateBackup(0), 5000);
        assert!(one.has(7, Purpose::InvalidateBackup(0), 5000));
        for (pending, hash, purpose) in [
            (one, 7, Purpose::Invalidate),
            (one, 7, Purpose::InvalidateBackup(1)),
            (one, 8, Purpose::InvalidateBackup(0)),
            (two, 7, Purpose::InvalidateBackup(0)),
        ] {
            assert!(!pending.has(hash, purpose, 5000), "{hash} {purpose:?}");
        }
        assert!(!Pending::new(&[], 0).has(7, Purpose::Invalidate, 5000));
    }
}
