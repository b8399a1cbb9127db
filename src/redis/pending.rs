//! Invalidations that have not reached Redis yet, as all workers of one nginx see them: until they
//! have, the pages that they are about are not looked up.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::topology::Purpose;

/// How many places there are. Keys that share one are marked together: with 8,000 late
/// invalidations that is one key in sixteen.
pub const PLACES: usize = 1 << 17;
/// For how long a mark holds, in milliseconds. Whoever owes the invalidation renews it in time;
/// a worker that dies keeps no page from being looked up for longer.
const HOLDS: usize = 1000;
/// How far the clocks of two workers, which stand still in a turn, may differ.
const SLACK: usize = 60_000;
/// 2^64 divided by the golden ratio: multiplied by it, small numbers differ in their upper half.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Marks of the keys of one upstream, each until when it holds, in memory that workers share. The
/// first place has the newest of all: while that is over, no other has to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    newest: Option<&'static AtomicUsize>,
    places: &'static [AtomicUsize],
    upstream: u64,
}

impl Pending {
    /// The marks of the upstream with a number, among those of all.
    pub fn new(places: &'static [AtomicUsize], upstream: usize) -> Self {
        let (newest, places) = places.split_first().map_or((None, places), |(a, b)| (Some(a), b));
        Self { newest, places, upstream: upstream as u64 }
    }

    /// An invalidation for `purpose` of the key with this hash is owed; `now` is in milliseconds,
    /// by a clock that all workers have in common.
    pub fn mark(&self, hash: u64, purpose: Purpose, now: usize) {
        for place in self.place(hash, purpose).into_iter().chain(self.newest) {
            // 0 is where there has never been any.
            place.store(now.wrapping_add(HOLDS).max(1), Ordering::Release);
        }
    }

    /// Whether one is.
    pub fn has(&self, hash: u64, purpose: Purpose, now: usize) -> bool {
        self.newest.is_some_and(|newest| holds(newest, now))
            && self.place(hash, purpose).is_some_and(|place| holds(place, now))
    }

    fn place(&self, hash: u64, purpose: Purpose) -> Option<&AtomicUsize> {
        let server = match purpose {
            Purpose::InvalidateBackup(number) => number as u64 + 1,
            _ => 0,
        };
        let other = (self.upstream << 32 | server).wrapping_mul(SPREAD) >> 32;
        let place = hash.wrapping_add(other) % self.places.len().max(1) as u64;
        self.places.get(usize::try_from(place).ok()?)
    }
}

/// The clock wraps around after 49 days where `usize` has 32 bits.
fn holds(place: &AtomicUsize, now: usize) -> bool {
    let until = place.load(Ordering::Acquire);
    until != 0 && (1..=HOLDS + SLACK).contains(&until.wrapping_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(upstream: usize) -> Pending {
        let places: Vec<_> = (0..PLACES).map(|_| AtomicUsize::new(0)).collect();
        Pending::new(places.leak(), upstream)
    }

    #[test]
    fn a_mark_holds_for_a_while() {
        let pending = pending(0);
        for start in [1_000_000, usize::MAX - 500] {
            assert!(!pending.has(8, Purpose::Invalidate, start));
            pending.mark(7, Purpose::Invalidate, start);
            let has = |after: usize| pending.has(7, Purpose::Invalidate, start.wrapping_add(after));
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
