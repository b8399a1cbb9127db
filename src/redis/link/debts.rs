//! Invalidations that a connection owes: its server was not there for them, or would not take them.

use super::{Link, Sent};
use crate::redis::query::Query;

impl Link {
    /// Keeps invalidations that could not be carried out, for when the server is back.
    pub fn owe(&mut self, queries: Vec<Query>) {
        queries.into_iter().for_each(|query| self.owed.keep(query));
    }

    /// Whether invalidations wait for the server to be back.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The invalidations that wait for the server to be back.
    pub fn take_owed(&mut self) -> Vec<Query> {
        self.owed.take(usize::MAX)
    }

    /// Every invalidation that is not known to be carried out.
    pub fn invalidations(&self) -> impl Iterator<Item = &Query> {
        let in_flight = self.in_flight.iter().filter_map(|sent| match sent {
            Sent::Query(query) => Some(query),
            _ => None,
        });
        let asked = in_flight.chain(&self.unsent).filter(|query| query.invalidates());
        self.owed.iter().chain(asked)
    }

    /// Has what is owed sent before anything else: all of it, or one to see whether it is taken.
    pub fn pay(&mut self, all: bool) {
        self.pays = if all { usize::MAX } else { self.pays.max(1) };
    }

    pub(super) fn pay_now(&mut self) {
        let pays = std::mem::take(&mut self.pays);
        if pays > 0 && self.owes() {
            let owed = self.owed.take(pays);
            self.retry(owed);
        }
    }
}
