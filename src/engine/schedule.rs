//! When the name of a server is resolved: by the time for which an answer holds, and after trouble.

use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::Place;
use crate::redis::endpoint::Address;

/// The least time between two questions for one name.
const PAUSE: Duration = Duration::from_secs(1);

/// When a name is asked for again that could not be resolved.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// When the name of one server is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    due: Instant,
    last: Option<Instant>,
    asked: bool,
    failed: bool,
}

/// What came of a question.
#[derive(Debug)]
pub struct Resolved {
    /// The server that was asked for.
    pub place: Place,
    /// Its name and port.
    pub address: Address,
    /// The addresses, and for how long they hold; or why there are none.
    pub outcome: Result<(Vec<SockAddr>, Duration), String>,
}

impl Schedule {
    /// At once.
    pub fn new(now: Instant) -> Self {
        Self { due: now, last: None, asked: false, failed: false }
    }

    /// Whether the name is to be asked for now; if so, it counts as asked.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if self.asked || now < self.due {
            return false;
        }
        self.asked = true;
        self.last = Some(now);
        true
    }

    /// A connection to the server was lost: its name may have moved.
    pub fn hurry(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| (last + PAUSE).max(now));
        self.due = self.due.min(soonest);
    }

    /// An answer came, which holds for so long.
    pub fn succeeded(&mut self, now: Instant, holds: Duration) {
        *self = Self { due: now + holds.max(PAUSE), asked: false, failed: false, ..*self };
    }

    /// No answer came. Whether that is new.
    pub fn failed(&mut self, now: Instant) -> bool {
        let is_new = !self.failed;
        *self = Self { due: now + AFTER_FAILURE, asked: false, failed: true, ..*self };
        is_new
    }
}
