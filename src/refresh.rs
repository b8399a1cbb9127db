//! Which stale pages are being fetched anew in the background of this worker, and which may be.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A page is tried again so long after its last try ended.
const PAUSE: Duration = Duration::from_secs(1);

/// For so long a page is the visitors' own that a request without a visitor did not come to.
const OUT_OF_REACH: Duration = Duration::from_secs(60);

/// So many ends are remembered before those are forgotten that no longer matter.
const ENDS: usize = 256;

/// Why a page is not fetched now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// It is being fetched, or was a moment ago.
    Page,
    /// As many others are as may be at a time.
    Limit,
    /// It was not long ago, and the request did not come to it: a visitor has to.
    OutOfReach,
}

/// The pages by hashes of their keys.
#[derive(Debug, Default)]
pub struct Refreshes {
    running: usize,
    /// How and when the fetch ended; `None` while it runs.
    ended: HashMap<u64, Option<End>>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    at: Instant,
    has_reached: bool,
}

impl End {
    /// Whether it no longer matters.
    fn is_over(self, now: Instant) -> bool {
        now >= self.at + if self.has_reached { PAUSE } else { OUT_OF_REACH }
    }
}

impl Refreshes {
    /// Begins to fetch a page, of which at most `limit` may run.
    pub fn begin(&mut self, page: u64, limit: usize, now: Instant) -> Result<(), Busy> {
        match self.ended.get(&page) {
            Some(None) => return Err(Busy::Page),
            Some(Some(end)) if end.is_over(now) => {}
            Some(Some(End { has_reached: true, .. })) => return Err(Busy::Page),
            Some(Some(_)) => return Err(Busy::OutOfReach),
            None => {}
        }
        if self.running >= limit {
            return Err(Busy::Limit);
        }
        if self.ended.len() >= ENDS {
            self.ended.retain(|_, end| end.is_none_or(|end| !end.is_over(now)));
        }
        self.running += 1;
        self.ended.insert(page, None);
        Ok(())
    }

    /// It was fetched, or could not be; `has_reached` where the request for it came to the page.
    pub fn end(&mut self, page: u64, has_reached: bool, now: Instant) {
        if let Some(end @ None) = self.ended.get_mut(&page) {
            *end = Some(End { at: now, has_reached });
            self.running = self.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_at_a_time_and_one_a_second() {
        let (mut refreshes, now) = (Refreshes::default(), Instant::now());
        assert_eq!(refreshes.begin(1, 2, now), Ok(()));
        assert_eq!(refreshes.begin(1, 2, now), Err(Busy::Page));
        assert_eq!(refreshes.begin(2, 2, now), Ok(()));
        assert_eq!(refreshes.begin(3, 2, now), Err(Busy::Limit));
        refreshes.end(1, true, now);
        assert_eq!(refreshes.begin(1, 2, now), Err(Busy::Page));
        assert_eq!(refreshes.begin(3, 2, now), Ok(()));
        refreshes.end(2, true, now);
        refreshes.end(2, true, now);
        assert_eq!(refreshes.begin(1, 2, now + PAUSE), Ok(()));
        assert_eq!(refreshes.begin(2, 2, now + PAUSE), Err(Busy::Limit));
    }

    #[test]
    fn a_page_that_the_request_did_not_come_to_is_a_visitors() {
        let (mut refreshes, now) = (Refreshes::default(), Instant::now());
        assert_eq!(refreshes.begin(1, 2, now), Ok(()));
        refreshes.end(1, false, now);
        assert_eq!(refreshes.begin(1, 2, now + PAUSE), Err(Busy::OutOfReach));
        assert_eq!(refreshes.begin(1, 2, now + OUT_OF_REACH), Ok(()));
    }

    #[test]
    fn its_memory_does_not_grow() {
        let (mut refreshes, began) = (Refreshes::default(), Instant::now());
        for n in 0..10_000 {
            let now = began + PAUSE * n;
            assert_eq!(refreshes.begin(u64::from(n), 1, now), Ok(()));
            refreshes.end(u64::from(n), true, now);
        }
        assert!(refreshes.ended.len() <= ENDS);
    }

    proptest! {
        #[test]
        fn whatever_the_order(
            steps in prop::collection::vec((0..6_u64, any::<bool>(), 0..1500_u64), 1..200)
        ) {
            let (mut refreshes, mut now) = (Refreshes::default(), Instant::now());
            let mut running: Vec<u64> = Vec::new();
            let mut ends: HashMap<u64, Instant> = HashMap::new();
            for (page, begins, passed) in steps {
                now += Duration::from_millis(passed);
                if !begins {
                    if running.contains(&page) {
                        ends.insert(page, now);
                    }
                    running.retain(|known| *known != page);
                    refreshes.end(page, true, now);
                    continue;
                }
                let recent = ends.get(&page).is_some_and(|end| now < *end + PAUSE);
                let expected = match () {
                    () if running.contains(&page) || recent => Err(Busy::Page),
                    () if running.len() >= 3 => Err(Busy::Limit),
                    () => Ok(()),
                };
                prop_assert_eq!(refreshes.begin(page, 3, now), expected);
                if expected.is_ok() {
                    running.push(page);
                }
            }
        }
    }
}
