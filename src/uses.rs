//! How often pages were asked for that are not stored, counted by all workers of one nginx: a
//! count-min sketch with conservative update (Estan and Varghese, 2002), whose counts halve as they
//! age. A count may be too high, where keys share all their places; a key that many ask for is never
//! kept out.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Places of one row.
const WIDTH: usize = 1 << 16;
const ROWS: usize = 4;
/// After so many uses all counts are halved: a place is then used twice on average.
const PERIOD: u32 = 2 * WIDTH as u32;

/// Places of all rows.
pub const PLACES: usize = WIDTH * ROWS;

/// The counts, in memory that workers share and that is all zeros at first.
#[derive(Clone, Copy, Debug)]
pub struct Uses {
    places: &'static [AtomicU8],
    all: &'static AtomicU32,
}

impl Uses {
    /// Those of [`PLACES`] places; `all` are the uses of any key.
    pub fn new(places: &'static [AtomicU8], all: &'static AtomicU32) -> Self {
        Self { places, all }
    }

    /// Counts a use of the key with this hash, and says how many there were, this one included; no
    /// more than 255.
    pub fn count(&self, hash: u64) -> u32 {
        if self.all.fetch_add(1, Ordering::Relaxed) % PERIOD == PERIOD - 1 {
            self.halve();
        }
        let places = || (0..ROWS).filter_map(|row| self.places.get(place(hash, row)));
        let least = places().map(|place| place.load(Ordering::Relaxed)).min().unwrap_or(0);
        let next = least.saturating_add(1);
        for place in places() {
            place.fetch_max(next, Ordering::Relaxed);
        }
        u32::from(next)
    }

    fn halve(&self) {
        for place in self.places {
            place.store(place.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }
}

/// The place of a hash in a row: sixteen bits of it, stirred, of its own.
fn place(hash: u64, row: usize) -> usize {
    let stirred = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    row * WIDTH + (stirred >> (16 * row)) as usize % WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::client::hash_of;

    fn counts() -> Uses {
        let places: Vec<_> = (0..PLACES).map(|_| AtomicU8::new(0)).collect();
        Uses::new(places.leak(), Box::leak(Box::new(AtomicU32::new(0))))
    }

    #[test]
    fn each_use_counts() {
        let counts = counts();
        assert_eq!([7, 8, 7, 7].map(|key: u64| counts.count(key)), [1, 1, 2, 3]);
        for _ in 0..300 {
            counts.count(9);
        }
        assert_eq!(counts.count(9), 255);
    }

    #[test]
    fn what_is_asked_for_once_seldom_looks_like_more() {
        let counts = counts();
        let more = (0..50_000_u32)
            .filter(|number| counts.count(hash_of(format!("page:{number}").as_bytes())) > 1)
            .count();
        assert!(more < 2_500, "{more} of 50,000");
    }

    #[test]
    fn old_uses_are_forgotten() {
        let counts = counts();
        assert_eq!((counts.count(7), counts.count(7), counts.count(7)), (1, 2, 3));
        for number in 0..PERIOD {
            counts.count(hash_of(&number.to_le_bytes()));
        }
        assert!(counts.count(7) <= 3, "halved, and perhaps raised by others");
        let stays = (0..4 * PERIOD).filter(|n| n % 1000 == 0).map(|_| counts.count(8)).max();
        assert!(stays.is_some_and(|most| most > 200), "{stays:?}");
    }
}
