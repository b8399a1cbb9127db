//! Requests that wait for an answer of Redis.
//!
//! The lot is the only place that knows who waits. An engine holds [`Ticket`]s alone, so a
//! request that is destroyed while it waits just gives its ticket up: the late answer finds
//! nobody and is dropped.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A place in the lot. Never valid again once its request has been resumed or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    slot: u32,
    generation: u32,
}

impl Ticket {
    /// The ticket of nobody.
    pub const NOBODY: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

struct Slot<W> {
    generation: u32,
    parked: Option<W>,
    /// An answer lies ready, so no deadline counts any more.
    answered: bool,
}

/// Those who wait for one length of time: their deadlines come in the order of their parking.
struct Fifo {
    timeout: Duration,
    tickets: VecDeque<(Instant, Ticket)>,
}

/// Waiters `W` and the answers `A` that were deposited for them.
pub struct Lot<W, A> {
    slots: Vec<Slot<W>>,
    free: Vec<u32>,
    ready: VecDeque<(Ticket, A)>,
    fifos: Vec<Fifo>,
}

impl<W, A> Default for Lot<W, A> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), ready: VecDeque::new(), fifos: Vec::new() }
    }
}

impl<W, A> Lot<W, A> {
    /// Parks `waiter` until an answer is deposited, `timeout` is over since `began`, or it is
    /// cancelled.
    pub fn park(&mut self, waiter: W, began: Instant, timeout: Duration) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, parked: None, answered: false });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut ticket = Ticket { slot, generation: 0 };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.parked = Some(waiter);
            place.answered = false;
            ticket.generation = place.generation;
        }
        let fifo = match self.fifos.iter_mut().find(|fifo| fifo.timeout == timeout) {
            Some(fifo) => &mut fifo.tickets,
            None => {
                self.fifos.push(Fifo { timeout, tickets: VecDeque::new() });
                match self.fifos.last_mut() {
                    Some(fifo) => &mut fifo.tickets,
                    None => return ticket,
                }
            }
        };
        // A second step of a lookup began before those that came in between.
        let deadline = began + timeout;
        let later = fifo.iter().rev().take_while(|(other, _)| *other > deadline).count();
        fifo.insert(fifo.len() - later, (deadline, ticket));
        ticket
    }

    fn slot(&self, ticket: Ticket) -> Option<&Slot<W>> {
        let slot = self.slots.get(ticket.slot as usize)?;
        (slot.generation == ticket.generation && slot.parked.is_some()).then_some(slot)
    }

    /// Whether somebody waits under `ticket` for an answer.
    pub fn holds(&self, ticket: Ticket) -> bool {
        self.slot(ticket).is_some_and(|slot| !slot.answered)
    }

    /// Who waits with `ticket`.
    pub fn waiter_mut(&mut self, ticket: Ticket) -> Option<&mut W> {
        if !self.holds(ticket) {
            return None;
        }
        self.slots.get_mut(ticket.slot as usize)?.parked.as_mut()
    }

    /// Leaves `answer` for the waiter of `ticket`; dropped if nobody waits any more.
    /// From here on the waiter has no deadline any more.
    pub fn deposit(&mut self, ticket: Ticket, answer: A) {
        if self.holds(ticket) {
            if let Some(slot) = self.slots.get_mut(ticket.slot as usize) {
                slot.answered = true;
            }
            self.ready.push_back((ticket, answer));
        }
    }

    /// Gives the waiter of `ticket` back and ends the ticket.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<W> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        if slot.generation != ticket.generation {
            return None;
        }
        let waiter = slot.parked.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(ticket.slot);
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
    pub fn next_expired(&mut self, now: Instant) -> Option<W> {
        let (at, deadline) = self.earliest()?;
        if deadline > now {
            return None;
        }
        let (_, ticket) = self.fifos.get_mut(at)?.tickets.pop_front()?;
        self.cancel(ticket)
    }

    /// The earliest deadline of those without an answer.
    pub fn earliest_deadline(&mut self) -> Option<Instant> {
        self.earliest().map(|(_, deadline)| deadline)
    }

    /// The FIFO with the earliest deadline; tickets that are over are dropped from the fronts.
    fn earliest(&mut self) -> Option<(usize, Instant)> {
        let mut earliest: Option<(usize, Instant)> = None;
        let Self { fifos, slots, .. } = self;
        for (at, fifo) in fifos.iter_mut().enumerate() {
            while let Some(&(deadline, ticket)) = fifo.tickets.front() {
                let waits = slots.get(ticket.slot as usize).is_some_and(|slot| {
                    slot.generation == ticket.generation && slot.parked.is_some() && !slot.answered
                });
                if waits {
                    if earliest.is_none_or(|(_, known)| deadline < known) {
                        earliest = Some((at, deadline));
                    }
                    break;
                }
                fifo.tickets.pop_front();
            }
        }
        earliest
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
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_reaches_its_waiter_once() {
        let now = Instant::now();
        let mut lot = Lot::default();
        let first = lot.park("first", now, SECOND);
        let second = lot.park("second", now, SECOND);
        lot.deposit(second, 2);
        lot.deposit(second, 3);
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
        let old = lot.park("old", now, SECOND);
        lot.deposit(old, 1);
        assert_eq!(lot.cancel(old), Some("old"));
        let new = lot.park("new", now, SECOND);
        lot.deposit(old, 9);
        assert_eq!(lot.next_ready(), None);
        assert_eq!(lot.cancel(old), None);
        lot.deposit(new, 2);
        assert_eq!(lot.next_ready(), Some(("new", 2)));
    }

    #[test]
    fn deadlines_come_in_their_order_whatever_the_timeouts() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut lot = Lot::default();
        lot.park("late", now, Duration::from_millis(20));
        lot.park("later", at(5), Duration::from_millis(20));
        lot.park("early", at(2), Duration::from_millis(10));
        lot.park("earlier", now, Duration::from_millis(10));
        let answered = lot.park("answered", now, Duration::from_millis(1));
        lot.deposit(answered, ());
        assert_eq!(lot.earliest_deadline(), Some(at(10)));
        assert_eq!(lot.next_expired(at(9)), None);
        assert_eq!(lot.next_expired(at(10)), Some("earlier"));
        assert_eq!(lot.next_expired(at(11)), None);
        assert_eq!(lot.next_expired(at(15)), Some("early"));
        assert_eq!(lot.next_expired(at(15)), None);
        assert_eq!(lot.len(), 3);
        assert_eq!(lot.next_ready(), Some(("answered", ())));
    }
}
