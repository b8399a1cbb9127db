//! How long to wait before connecting again: twice as long after every failure, with jitter, so
//! that the workers of many boxes do not come back in one moment.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// The state of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Whether connecting has to wait.
    pub fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Connecting failed; `random` is any number.
    pub fn failed(&mut self, now: Instant, random: u32) {
        let base = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        // Between half of it and one and a half.
        let jitter = base.mul_f64(0.5 + f64::from(random % 1024) / 1024.0);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + jitter);
    }

    /// As it is after another failure.
    pub fn after_failure(mut self, now: Instant, random: u32) -> Self {
        self.failed(now, random);
        self
    }

    /// The connection is ready for lookups.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_limit_and_ends_with_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(!backoff.holds(now));
        backoff.failed(now, 0);
        assert!(backoff.holds(now + Duration::from_millis(9)));
        assert!(!backoff.holds(now + Duration::from_millis(10)));
        for random in 0..50 {
            backoff.failed(now, random * 97);
        }
        assert!(backoff.holds(now + LONGEST / 4));
        assert!(!backoff.holds(now + LONGEST * 2));
        backoff.succeeded();
        assert!(!backoff.holds(now));
    }
}
