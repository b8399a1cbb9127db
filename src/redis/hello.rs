//! Whether a server is greeted with HELLO. Proxies, and servers before Redis 6, do not know it:
//! some say so in words of their own, others close the connection. From those the next connection
//! begins without it, and where that gets on, so do the following ones for a while.
//!
//! A connection may end in answer to HELLO because the server ends, or has too many clients, and
//! another may take its address. So nothing is believed for ever: a close for [`FIRST`], twice as
//! long every time it is seen again, and no longer than [`LONGEST`]. Then HELLO is said once more.

use std::time::{Duration, Instant};

use super::handshake::Handshake;
use crate::reason::Reason;

/// How long it is believed that a close meant HELLO, the first time.
pub const FIRST: Duration = Duration::from_secs(10);

/// How long anything is believed. A refusal in words leaves no doubt, and is.
pub const LONGEST: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Connections begin with it.
    #[default]
    Said,
    /// One was closed in answer to it: the next goes without, to see whether that was why.
    Doubted,
    /// They go without.
    Left { until: Instant },
}

/// What is known of one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello {
    state: State,
    /// How often in a row a close was found to mean HELLO.
    closes: u32,
    /// When the log was told.
    told: Option<Instant>,
}

impl Hello {
    /// Whether a connection begins with it.
    pub fn is_said(&self, now: Instant) -> bool {
        match self.state {
            State::Said => true,
            State::Doubted => false,
            State::Left { until } => now >= until,
        }
    }

    /// A connection was introduced; what the log is to be told of `server` by it, if anything.
    pub fn succeeded(
        &mut self,
        handshake: &Handshake,
        server: &str,
        now: Instant,
    ) -> Option<String> {
        if handshake.speaks_resp3() {
            let told = self.told.filter(|told| now < *told + LONGEST);
            *self = Self { told, ..Self::default() };
            return None;
        }
        let (time, why) = match (handshake.refusal(), self.state) {
            (Some(refusal), _) => (LONGEST, refusal.cause.as_deref().unwrap_or("it refused it")),
            (None, State::Doubted) => {
                let time = FIRST.saturating_mul(1 << self.closes.min(10)).min(LONGEST);
                self.closes = self.closes.saturating_add(1);
                (time, "it closes the connection")
            }
            (None, _) => return None,
        };
        self.state = State::Left { until: now + time };
        self.told.replace(now).is_none().then(|| {
            format!(
                "{server} does not take HELLO ({why}): it is spoken to in RESP2, where connections \
                 have no name and no role is told, and nothing is pushed"
            )
        })
    }

    /// A connection failed before it was introduced: in its handshake, if it came to that. Whether
    /// to try once more at once, without HELLO.
    pub fn failed(&mut self, handshake: Option<&Handshake>, reason: Reason, now: Instant) -> bool {
        match handshake {
            Some(handshake) if handshake.says_hello() => {
                let is_answer = reason == Reason::Closed && !handshake.has_heard();
                if is_answer && self.is_said(now) {
                    self.state = State::Doubted;
                }
                is_answer
            }
            _ => {
                self.state = State::Said;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::handshake::{Greeting, Line, Next};

    const FINE: Line<'static> = Line::Fine(b"+OK\r\n");

    fn begin(hello: &Hello, now: Instant) -> Handshake {
        Handshake::start(&Greeting::default(), hello.is_said(now)).0
    }

    /// What a server that closes at HELLO, and gets on without, has the log told.
    fn meet(hello: &mut Hello, now: Instant) -> Option<String> {
        let mut handshake = begin(hello, now);
        if handshake.says_hello() {
            assert!(hello.failed(Some(&handshake), Reason::Closed, now));
            handshake = begin(hello, now);
        }
        assert!(!handshake.says_hello());
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
        hello.succeeded(&handshake, "h:1/0", now)
    }

    #[test]
    fn a_close_is_believed_longer_every_time_and_told_once() {
        let (mut hello, mut now) = (Hello::default(), Instant::now());
        assert!(meet(&mut hello, now).unwrap().contains("h:1/0 does not take HELLO (it closes"));
        for time in [10, 20, 40, 80, 160, 320, 600, 600] {
            let time = Duration::from_secs(time);
            assert!(!hello.is_said(now + time - Duration::from_millis(1)), "{time:?}");
            assert_eq!(meet(&mut hello, now + Duration::from_millis(1)), None);
            now += time;
            assert!(hello.is_said(now), "{time:?}");
            assert_eq!(meet(&mut hello, now), None);
        }
    }

    #[test]
    fn a_server_that_ends_is_greeted_with_it_again() {
        let (mut hello, now) = (Hello::default(), Instant::now());
        let with = begin(&hello, now);
        assert!(hello.failed(Some(&with), Reason::Closed, now));
        let without = begin(&hello, now);
        assert!(!hello.failed(Some(&without), Reason::Closed, now));
        assert!(hello.is_said(now));
        // Neither does another one that takes its place pay for it.
        meet(&mut hello, now);
        assert!(!hello.is_said(now) && !hello.failed(None, Reason::Refused, now));
        assert!(hello.is_said(now));
        let mut with = begin(&hello, now);
        assert_eq!(with.on_reply(FINE), Next::Ready);
        assert_eq!(hello.succeeded(&with, "h:1/0", now), None);
        assert_eq!(hello.closes, 0);
    }

    #[test]
    fn connections_that_begin_together() {
        let (mut hello, now) = (Hello::default(), Instant::now());
        let both = [begin(&hello, now), begin(&hello, now)];
        assert!(hello.failed(Some(&both[0]), Reason::Closed, now));
        assert!(meet(&mut hello, now).is_some());
        assert!(hello.failed(Some(&both[1]), Reason::Closed, now));
        assert_eq!(meet(&mut hello, now), None);
        assert_eq!(hello.closes, 1);
    }

    #[test]
    fn only_a_close_without_a_word_is_an_answer() {
        let (mut hello, now) = (Hello::default(), Instant::now());
        for reason in [Reason::Timeout, Reason::Protocol, Reason::Tls, Reason::NoAuth] {
            assert!(!hello.failed(Some(&begin(&hello, now)), reason, now), "{reason}");
        }
        let mut heard = begin(&hello, now);
        let full = Line::Error("ERR", "max number of clients reached");
        assert!(matches!(heard.on_reply(full), Next::Write(_)));
        assert!(!hello.failed(Some(&heard), Reason::Closed, now));
        assert!(hello.is_said(now));
    }

    #[test]
    fn a_refusal_in_words_is_believed_at_once() {
        let (mut hello, now) = (Hello::default(), Instant::now());
        let mut handshake = begin(&hello, now);
        let refused = Line::Error("ERR", "unsupported command 'hello'");
        assert!(matches!(handshake.on_reply(refused), Next::Write(_)));
        assert!(!handshake.speaks_resp3() && hello.is_said(now));
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
        let told = hello.succeeded(&handshake, "h:1/0", now).unwrap();
        assert!(told.contains("(ERR unsupported command hello)"), "{told}");
        assert!(!hello.is_said(now + LONGEST / 2) && hello.is_said(now + LONGEST));
    }
}
