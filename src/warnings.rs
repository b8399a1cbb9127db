//! One warning a reason and interval: a Redis that is down must not fill the error log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::reason::Reason;

/// How long a reason stays silent for a server after it was logged.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How many servers and reasons are remembered.
const MOST: usize = 1000;

/// What was logged lately, for each server and reason.
#[derive(Debug, Default)]
pub struct Warnings {
    last: HashMap<(String, Reason), (Instant, u64)>,
}

impl Warnings {
    /// Whether to log now; if so, how many warnings were kept back since the last one.
    pub fn admit(&mut self, server: &str, reason: Reason, now: Instant) -> Option<u64> {
        let key = (server.to_owned(), reason);
        match self.last.get_mut(&key) {
            Some((last, kept_back)) if now.saturating_duration_since(*last) < INTERVAL => {
                *kept_back += 1;
                None
            }
            Some(entry) => {
                let kept_back = entry.1;
                *entry = (now, 0);
                Some(kept_back)
            }
            None => {
                if self.last.len() >= MOST {
                    self.last.clear();
                }
                self.last.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

/// What stands in parentheses at the end of a line: the server, what was behind the reason, and how
/// many lines were kept back.
pub fn details(server: &str, cause: Option<&str>, kept_back: u64) -> String {
    let cause = cause.map(|cause| format!(", {cause}")).unwrap_or_default();
    let more = match kept_back {
        0 => String::new(),
        _ => format!(", {kept_back} more since the last such line"),
    };
    format!("{server}{cause}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_an_interval_and_reason() {
        let mut warnings = Warnings::default();
        let now = Instant::now();
        assert_eq!(warnings.admit("a", Reason::Timeout, now), Some(0));
        assert_eq!(warnings.admit("a", Reason::Timeout, now), None);
        assert_eq!(warnings.admit("a", Reason::Refused, now), Some(0));
        assert_eq!(warnings.admit("b", Reason::Timeout, now), Some(0));
        assert_eq!(warnings.admit("a", Reason::Timeout, now + INTERVAL), Some(1));
    }

    #[test]
    fn what_stands_in_parentheses() {
        assert_eq!(details("h:1/0", None, 0), "h:1/0");
        assert_eq!(
            details("h:1/0", Some("111: Connection refused"), 3),
            "h:1/0, 111: Connection refused, 3 more since the last such line"
        );
    }
}
