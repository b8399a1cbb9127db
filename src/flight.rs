//! One request of a worker fetches a page that others want as well: who leads, who waits, and for how long
//! nobody waits for what cannot be stored.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::parking::Ticket;
use crate::policy::Failure;

/// For how long it is known that a page cannot be stored.
const VERDICT: Duration = Duration::from_secs(10);

/// For how long it is known how the application failed.
const FAILURE: Duration = Duration::from_secs(1);

/// So many verdicts are kept before those that are over are forgotten.
const VERDICTS: usize = 4096;

/// So many may wait, in all.
const WAITERS: usize = 10_000;

/// Who fetches a page: to be given back once, by [`Flights::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    page: u64,
    number: u64,
}

/// What came of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The page is stored.
    Stored,
    /// The answer cannot be stored, nor could another one, most likely.
    Unstorable,
    /// There is no answer to be stored: how the application failed, where it did.
    Failed(Option<Failure>),
    /// The leader was lost, or the page could not be written.
    Lost,
}

/// The flights of a worker; pages are hashes of their keys.
#[derive(Debug, Default)]
pub struct Flights {
    flights: HashMap<u64, Flight>,
    verdicts: HashMap<u64, Verdict>,
    last: u64,
    waiting: usize,
}

/// What is known of a page, and until when: that it cannot be stored, or how the application failed.
#[derive(Debug)]
struct Verdict {
    until: Instant,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Flight {
    leader: u64,
    began: Instant,
    waiters: Vec<Ticket>,
}

impl Flights {
    /// Whether somebody fetches the page, and has not done so for longer than `age`, so that it is worth
    /// to wait.
    pub fn is_worth_waiting(&self, page: u64, age: Duration, now: Instant) -> bool {
        let is_verdict = |verdict: &Verdict| now < verdict.until && verdict.failure.is_none();
        let is_known = self.verdicts.get(&page).is_some_and(is_verdict);
        let is_young = self.flights.get(&page).is_some_and(|flight| now < flight.began + age);
        is_young && !is_known && self.waiting < WAITERS
    }

    /// Has who holds `ticket` wait for the page.
    pub fn wait(&mut self, page: u64, ticket: Ticket) {
        if let Some(flight) = self.flights.get_mut(&page) {
            flight.waiters.push(ticket);
            self.waiting += 1;
        }
    }

    /// How the application failed a moment ago that was asked for the page.
    pub fn failure(&self, page: u64, now: Instant) -> Option<Failure> {
        self.verdicts.get(&page).filter(|verdict| now < verdict.until)?.failure
    }

    /// Who holds `ticket` waits no more.
    pub fn leave(&mut self, page: u64, ticket: Ticket) {
        if let Some(flight) = self.flights.get_mut(&page) {
            let before = flight.waiters.len();
            flight.waiters.retain(|waiter| *waiter != ticket);
            self.waiting = self.waiting.saturating_sub(before - flight.waiters.len());
        }
    }

    /// Leads, where nobody does or has done so for longer than `age`. Who waits goes on waiting.
    pub fn lead(&mut self, page: u64, age: Duration, now: Instant) -> Option<Leader> {
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        match self.flights.get_mut(&page) {
            Some(flight) if now < flight.began + age => return None,
            Some(flight) => {
                flight.leader = number;
                flight.began = now;
            }
            None => {
                let flight = Flight { leader: number, began: now, waiters: Vec::new() };
                self.flights.insert(page, flight);
            }
        }
        Some(Leader { page, number })
    }

    /// Ends what a leader has begun. Those are given who are to go on: all who wait, once the page is
    /// there, whoever fetched it, and else only if nobody fetches it any more.
    pub fn end(&mut self, leader: Leader, landing: Landing, now: Instant) -> Vec<Ticket> {
        match landing {
            Landing::Stored => _ = self.verdicts.remove(&leader.page),
            Landing::Unstorable => self.judge(leader.page, now, VERDICT, None),
            Landing::Failed(failure @ Some(_)) => self.judge(leader.page, now, FAILURE, failure),
            Landing::Failed(None) | Landing::Lost => {}
        }
        let is_current =
            self.flights.get(&leader.page).is_some_and(|flight| flight.leader == leader.number);
        let waiters = match (is_current, landing) {
            (true, _) => self.flights.remove(&leader.page).map(|flight| flight.waiters),
            (false, Landing::Lost) => None,
            (false, _) => {
                self.flights.get_mut(&leader.page).map(|flight| std::mem::take(&mut flight.waiters))
            }
        };
        let waiters = waiters.unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(waiters.len());
        waiters
    }

    fn judge(&mut self, page: u64, now: Instant, holds: Duration, failure: Option<Failure>) {
        if self.verdicts.len() >= VERDICTS {
            self.verdicts.retain(|_, verdict| now < verdict.until);
        }
        if self.verdicts.len() < VERDICTS {
            self.verdicts.insert(page, Verdict { until: now + holds, failure });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parking::Lot;

    const AGE: Duration = Duration::from_secs(5);

    fn tickets(count: usize) -> Vec<Ticket> {
        let mut lot: Lot<(), ()> = Lot::default();
        (0..count).map(|_| lot.park((), Instant::now(), AGE)).collect()
    }

    #[test]
    fn one_leads_and_others_wait() {
        let (mut flights, now, tickets) = (Flights::default(), Instant::now(), tickets(2));
        assert!(!flights.is_worth_waiting(1, AGE, now));
        let leader = flights.lead(1, AGE, now).unwrap();
        assert_eq!(flights.lead(1, AGE, now), None);
        assert!(flights.is_worth_waiting(1, AGE, now) && !flights.is_worth_waiting(2, AGE, now));
        tickets.iter().for_each(|ticket| flights.wait(1, *ticket));
        assert_eq!(flights.end(leader, Landing::Stored, now), tickets);
        assert_eq!(flights.end(leader, Landing::Stored, now), []);
        assert!(!flights.is_worth_waiting(1, AGE, now));
    }

    #[test]
    fn nobody_waits_for_what_cannot_be_stored() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        let leader = flights.lead(1, AGE, now).unwrap();
        flights.end(leader, Landing::Unstorable, now);
        let next = flights.lead(1, AGE, now).unwrap();
        assert!(!flights.is_worth_waiting(1, AGE, now));
        assert!(flights.is_worth_waiting(1, AGE * 9, now + VERDICT));
        flights.end(next, Landing::Stored, now);
        flights.lead(1, AGE, now);
        assert!(flights.is_worth_waiting(1, AGE, now));
    }

    #[test]
    fn a_failure_counts_for_a_moment() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        let leader = flights.lead(1, AGE, now).unwrap();
        flights.end(leader, Landing::Failed(Some(Failure::Timeout)), now);
        flights.lead(1, AGE, now);
        assert_eq!(flights.failure(1, now), Some(Failure::Timeout));
        assert!(flights.is_worth_waiting(1, AGE, now));
        assert_eq!(flights.failure(1, now + FAILURE), None);
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let (mut flights, now, tickets) = (Flights::default(), Instant::now(), tickets(2));
        let leader = flights.lead(1, AGE, now).unwrap();
        tickets.iter().for_each(|ticket| flights.wait(1, *ticket));
        flights.leave(1, tickets[0]);
        flights.leave(1, tickets[0]);
        assert_eq!(flights.waiting, 1);
        assert_eq!(flights.end(leader, Landing::Lost, now), tickets[1..]);
    }

    #[test]
    fn a_leader_who_takes_too_long_is_replaced() {
        let (mut flights, now, tickets) = (Flights::default(), Instant::now(), tickets(3));
        let old = flights.lead(1, AGE, now).unwrap();
        flights.wait(1, tickets[0]);
        assert!(!flights.is_worth_waiting(1, AGE, now + AGE));
        let new = flights.lead(1, AGE, now + AGE).unwrap();
        flights.wait(1, tickets[1]);
        assert_eq!(flights.end(old, Landing::Lost, now), []);
        assert_eq!(flights.end(old, Landing::Stored, now), tickets[..2]);
        flights.wait(1, tickets[2]);
        assert_eq!(flights.end(new, Landing::Lost, now), tickets[2..]);
    }

    #[test]
    fn its_memory_does_not_grow() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        for page in 0..20_000 {
            let leader = flights.lead(page, AGE, now).unwrap();
            flights.end(leader, Landing::Unstorable, now);
        }
        assert_eq!((flights.verdicts.len(), flights.flights.len()), (VERDICTS, 0));
    }

    proptest! {
        /// Whatever happens in which order: nobody who waits is forgotten while nobody leads, nobody is
        /// told twice, and two lead only where the first took too long.
        #[test]
        fn every_order(steps in prop::collection::vec((0..3_u64, 0..5_u8, 0..3000_u64), 1..80)) {
            let (mut flights, mut now) = (Flights::default(), Instant::now());
            let mut free = tickets(100);
            let mut waiting: HashMap<u64, Vec<Ticket>> = HashMap::new();
            let mut leaders: HashMap<u64, Vec<(Leader, Instant)>> = HashMap::new();
            for (page, step, passed) in steps {
                now += Duration::from_millis(passed);
                let (led, waits) = (leaders.entry(page).or_default(), waiting.entry(page).or_default());
                match step {
                    0 => {
                        if let Some(leader) = flights.lead(page, AGE, now) {
                            prop_assert!(led.iter().all(|(_, began)| now >= *began + AGE));
                            led.push((leader, now));
                        }
                    }
                    1 if flights.is_worth_waiting(page, AGE, now) => {
                        prop_assert!(!led.is_empty());
                        let ticket = free.pop().unwrap();
                        flights.wait(page, ticket);
                        waits.push(ticket);
                    }
                    2..=4 if !led.is_empty() => {
                        let landing = [Landing::Stored, Landing::Unstorable, Landing::Lost];
                        let landing = landing[usize::from(step) - 2];
                        let (leader, _) = led.remove(0);
                        let told = flights.end(leader, landing, now);
                        if landing != Landing::Lost || led.is_empty() {
                            prop_assert_eq!(&told, &*waits);
                            waits.clear();
                        } else {
                            prop_assert_eq!(told, vec![]);
                        }
                    }
                    _ => {}
                }
            }
            let left: usize = waiting.values().map(Vec::len).sum();
            prop_assert_eq!(flights.waiting, left);
        }
    }
}
