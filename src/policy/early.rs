//! When a page is fetched anew before it is no longer fresh, and how lifetimes are spread.

use super::Storable;
use crate::entry::Page;

/// Shorter lifetimes are left as they are.
const SHORTEST: i64 = 10_000;

/// The longest time that making a page counts with, in milliseconds.
const SLOWEST: i64 = 10_000;

/// Whether the fresh `page` is to be fetched anew at `now` (milliseconds since 1970). `random` is above 0 and
/// at most 1: probabilistic early expiration (Vattani, Chierichetti and Lowenstein, 2015), with beta 1, within
/// the last fifth of the lifetime.
pub fn is_due_early(page: &Page<'_>, now: i64, random: f64) -> bool {
    let facts = &page.facts;
    let (Some(stored), Some(fresh), Some(took)) = (facts.stored, facts.fresh, facts.took) else {
        return false;
    };
    let left = stored.saturating_add(fresh).saturating_sub(now);
    let took = took.clamp(1, SLOWEST);
    // Both are far below 2^53, so that nothing is lost.
    #[allow(clippy::cast_precision_loss, reason = "as above")]
    let (early, left_exactly) = (took as f64 * -random.ln(), left.min(1 << 52) as f64);
    fresh >= SHORTEST && is_near_its_end(page, now) && left > 0 && early >= left_exactly
}

/// Whether a page is in the last fifth of its lifetime, or behind it.
pub fn is_near_its_end(page: &Page<'_>, now: i64) -> bool {
    match (page.facts.stored, page.facts.fresh) {
        (Some(stored), Some(fresh)) => {
            stored.saturating_add(fresh).saturating_sub(now) <= fresh / 5
        }
        _ => false,
    }
}

impl Storable {
    /// Shortens what is left of the lifetime by `random`, from 0 to 1, of so many hundredths.
    #[must_use]
    pub fn jittered(mut self, hundredths: u32, random: f64) -> Self {
        let left = self.fresh.saturating_sub(self.age).max(0);
        if left < SHORTEST {
            return self;
        }
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a part of it"
        )]
        let less = (left as f64 * f64::from(hundredths) / 100.0 * random.clamp(0.0, 1.0)) as i64;
        self.fresh -= less;
        self.ttl = self.ttl.saturating_sub(less).max(1);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    const STORED: i64 = 1_000_000;

    /// Of a page of 100 s that took a second, with so many milliseconds left.
    fn is_due(line: &str, left: i64, random: f64) -> bool {
        let value = format!("HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored={STORED}, {line}\r\n\r\n");
        let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page") };
        let fresh = page.facts.fresh.unwrap();
        is_due_early(&page, STORED + fresh - left, random)
    }

    #[test]
    fn the_longer_it_takes_and_the_less_is_left() {
        let page = "fresh=100000, took=1000";
        let e = std::f64::consts::E;
        assert!(is_due(page, 1000, 1.0 / e) && !is_due(page, 1001, 1.0 / e));
        assert!(is_due(page, 3000, 1.0 / e.powi(3)));
        assert!(!is_due(page, 1, 1.0) && !is_due(page, 0, 0.001));
        assert!(is_due("fresh=100000, took=5000", 5000, 1.0 / e));
        assert!(is_due("fresh=100000, took=99999", 10_000, 1.0 / e));
        assert!(!is_due("fresh=100000, took=99999", 10_001, 1.0 / e));
    }

    #[test]
    fn never_before_the_last_fifth_and_never_of_short_lives() {
        let least = f64::MIN_POSITIVE;
        assert!(is_due("fresh=100000, took=9000", 20_000, least));
        assert!(!is_due("fresh=100000, took=9000", 20_001, least));
        assert!(
            is_due("fresh=10000, took=9000", 1, 0.5) && !is_due("fresh=9999, took=9000", 1, 0.5)
        );
        assert!(!is_due("fresh=100000", 1, least));
    }

    /// The chance that a request refreshes with `left` to go is exp(-left / took).
    #[test]
    fn the_chance_is_as_published() {
        let draws = 20_000_u32;
        let random = |n: u32| (f64::from(n) + 0.5) / f64::from(draws);
        for (left, expected) in [(500, 0.6065), (1000, 0.3679), (3000, 0.0498)] {
            let page = "fresh=100000, took=1000";
            let due = (0..draws).filter(|n| is_due(page, left, random(*n))).count();
            let share = f64::from(u32::try_from(due).unwrap()) / f64::from(draws);
            assert!((share - expected).abs() < 0.001, "{left}: {share}");
        }
    }

    #[test]
    fn lifetimes_are_shortened_and_never_lengthened() {
        let page =
            Storable { age: 1000, fresh: 101_000, swr: 5, sie: 0, ttl: 160_000, vary: vec![] };
        let of = |hundredths, random| {
            let found = page.clone().jittered(hundredths, random);
            (found.fresh, found.ttl)
        };
        assert_eq!(of(10, 1.0), (91_000, 150_000));
        assert_eq!(of(10, 0.5), (96_000, 155_000));
        assert_eq!((of(0, 1.0), of(10, 0.0)), ((101_000, 160_000), (101_000, 160_000)));
        let short = Storable { fresh: 10_999, ..page };
        assert_eq!(short.clone().jittered(50, 1.0), short);
    }
}
