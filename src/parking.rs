//! Requests that wait for an answer of Redis.
//!
//! The lot is the only place that knows who waits. An engine holds [`Ticket`]s alone, so a
//! request that is destroyed while it waits just gives its ticket up: the late answer finds
//! nobody and is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// A place in the lot. Never valid again once its request has been resumed or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    slot: u32,
    generation: u32,
}

struct Slot<W> {
    generation: u32,
    parked: Option<(W, Instant)>,
}

/// Waiters `W` and the answers `A` that were deposited for them.
pub struct Lot<W, A> {
    slots: Vec<Slot<W>>,
    free: Vec<u32>,
    ready: VecDeque<(Ticket, A)>,
    deadlines: BTreeMap<(Instant, Ticket), ()>,
}

impl<W, A> Default for Lot<W, A> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            deadlines: BTreeMap::new(),
        }
    }
}

impl<W, A> Lot<W, A> {
    /// Parks `waiter` until an answer is deposited, the deadline passes, or it is cancelled.
    pub fn park(&mut self, waiter: W, deadline: Instant) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, parked: None });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut ticket = Ticket { slot, generation: 0 };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.parked = Some((waiter, deadline));
            ticket.generation = place.generation;
        }
        self.deadlines.insert((deadline, ticket), ());
        ticket
    }

    /// Leaves `answer` for the waiter of `ticket`; dropped if nobody waits any more.
    /// From here on the waiter has no deadline any more.
    pub fn deposit(&mut self, ticket: Ticket, answer: A) {
        let place = self.slots.get(ticket.slot as usize);
        let parked = place.filter(|slot| slot.generation == ticket.generation);
        if let Some((_, deadline)) = parked.and_then(|slot| slot.parked.as_ref()) {
            self.deadlines.remove(&(*deadline, ticket));
            self.ready.push_back((ticket, answer));
        }
    }

    /// Gives the waiter of `ticket` back and ends the ticket.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<W> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        if slot.generation != ticket.generation {
            return None;
        }
        let (waiter, deadline) = slot.parked.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(ticket.slot);
        self.deadlines.remove(&(deadline, ticket));
        Some(waiter)
    }

    /// Takes out the next waiter that has an answer.
    pub fn next_ready(&mut self) -> Option<(W, A)> {
        while let Some((ticket, answer)) = self.ready.pop_front() {
            if let Some(waiter) = self.cancel(ticket) {
                return Some((waiter, answer));
            }
        }
        None
    }

    /// Whether [`Self::next_ready`] may have something to give.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes out a waiter without an answer whose deadline is not after `now`.
    pub fn next_expired(&mut self, now: Instant) -> Option<(Ticket, W)> {
        let (&(deadline, ticket), ()) = self.deadlines.first_key_value()?;
        if deadline > now {
            return None;
        }
        self.cancel(ticket).map(|waiter| (ticket, waiter))
    }

    /// The earliest deadline of those without an answer.
    pub fn earliest_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|(&(deadline, _), ())| deadline)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_reaches_its_waiter_once() {
        let now = Instant::now();
        let mut lot = Lot::default();
        let first = lot.park("first", now);
        let second = lot.park("second", now);
        lot.deposit(second, 2);
        lot.deposit(first, 1);
        assert_eq!(lot.next_ready(), Some(("second", 2)));
        assert_eq!(lot.next_ready(), Some(("first", 1)));
        assert_eq!(lot.next_ready(), None);
        assert!(lot.is_empty() && lot.earliest_deadline().is_none());
    }

    #[test]
    fn a_cancelled_ticket_is_dead_even_when_its_slot_is_used_again() {
        let now = Instant::now();
        let mut lot = Lot::default();
        let old = lot.park("old", now);
        lot.deposit(old, 1);
        assert_eq!(lot.cancel(old), Some("old"));
        let new = lot.park("new", now);
        lot.deposit(old, 9);
        assert_eq!(lot.next_ready(), None);
        assert_eq!(lot.cancel(old), None);
        lot.deposit(new, 2);
        assert_eq!(lot.next_ready(), Some(("new", 2)));
    }

    #[test]
    fn deadlines_come_in_their_order() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut lot: Lot<_, ()> = Lot::default();
        lot.park("late", at(20));
        let early = lot.park("early", at(10));
        assert_eq!(lot.earliest_deadline(), Some(at(10)));
        assert_eq!(lot.next_expired(at(9)), None);
        assert_eq!(lot.next_expired(at(10)), Some((early, "early")));
        assert_eq!(lot.next_expired(at(15)), None);
        assert_eq!(lot.len(), 1);
        let answered = lot.park("answered", at(1));
        lot.deposit(answered, ());
        assert_eq!(lot.next_expired(at(15)), None);
    }
}
