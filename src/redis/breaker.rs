//! The circuit breaker of one endpoint: after a number of connection faults in a row nothing is
//! asked for a while, and then one probe decides.

use std::time::{Duration, Instant};

/// `redis_cache_breaker fails=N timeout=T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Faults in a row that open the breaker; at least 1.
    pub fails: u32,
    /// How long nothing is asked.
    pub timeout: Duration,
}

/// Whether Redis may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Ask,
    /// It may, and this query decides whether others may.
    Probe,
    /// It may not.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { faults: u32 },
    Open { until: Instant },
    Probing { since: Instant },
}

/// The state of one endpoint in one worker.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    settings: Option<BreakerSettings>,
    state: State,
}

impl Breaker {
    /// A closed breaker; `None` is `redis_cache_breaker off`, one that never opens.
    pub fn new(settings: Option<BreakerSettings>) -> Self {
        Self { settings, state: State::Closed { faults: 0 } }
    }

    /// Asks for admission. A probe that never reports is followed by another one after the
    /// breaker's timeout.
    pub fn admit(&mut self, now: Instant) -> Admission {
        let Some(settings) = self.settings else { return Admission::Ask };
        match self.state {
            State::Closed { .. } => Admission::Ask,
            State::Open { until } if now < until => Admission::Refuse,
            State::Probing { since } if now < since + settings.timeout => Admission::Refuse,
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { since: now };
                Admission::Probe
            }
        }
    }

    /// Whether it has opened, and no probe has closed it since.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Redis answered in step.
    pub fn success(&mut self) {
        self.state = State::Closed { faults: 0 };
    }

    /// A connection fault; whether it opened the breaker.
    pub fn fault(&mut self, now: Instant) -> bool {
        let Some(settings) = self.settings else { return false };
        let opens = match self.state {
            State::Closed { faults } => {
                self.state = State::Closed { faults: faults.saturating_add(1) };
                faults.saturating_add(1) >= settings.fails
            }
            State::Open { .. } => false,
            State::Probing { .. } => true,
        };
        if opens {
            self.state = State::Open { until: now + settings.timeout };
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_the_faults_and_closes_after_one_good_probe() {
        let timeout = Duration::from_secs(1);
        let mut breaker = Breaker::new(Some(BreakerSettings { fails: 2, timeout }));
        let start = Instant::now();
        assert!(!breaker.fault(start));
        breaker.success();
        assert!(!breaker.fault(start));
        assert_eq!(breaker.admit(start), Admission::Ask);
        assert!(breaker.fault(start));
        assert_eq!(breaker.admit(start), Admission::Refuse);
        let later = start + timeout;
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.admit(later), Admission::Refuse);
        assert!(breaker.fault(later));
        assert_eq!(breaker.admit(later), Admission::Refuse);
        assert_eq!(breaker.admit(later + timeout), Admission::Probe);
        breaker.success();
        assert_eq!(breaker.admit(later + timeout), Admission::Ask);
    }

    #[test]
    fn a_lost_probe_does_not_keep_it_open_for_ever() {
        let timeout = Duration::from_secs(1);
        let mut breaker = Breaker::new(Some(BreakerSettings { fails: 1, timeout }));
        let start = Instant::now();
        breaker.fault(start);
        assert_eq!(breaker.admit(start + timeout), Admission::Probe);
        assert_eq!(breaker.admit(start + timeout * 2), Admission::Probe);
    }

    #[test]
    fn off_never_refuses() {
        let mut breaker = Breaker::new(None);
        let now = Instant::now();
        assert!((0..100).all(|_| !breaker.fault(now) && breaker.admit(now) == Admission::Ask));
    }
}
