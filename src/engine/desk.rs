//! Where the engines leave answers and word for the worker.

use std::collections::VecDeque;
use std::rc::Rc;

use super::memory::Held;
use super::{Events, Parked, Place, System};
use crate::fault::Fault;
use crate::parking::{Lot, Ticket};
use crate::redis::errand::Task;
use crate::redis::error_reply::Redirect;
use crate::redis::query::Query;
use crate::redis::reader::Frame;

/// What a parked request or a write is resumed with.
#[derive(Debug)]
pub enum Found {
    /// A value.
    Held(Held),
    /// Nothing under the key; or the guard of a write did not hold.
    Nil,
    /// It was written.
    Done,
    /// No answer, and why.
    Fault(Fault),
}

/// What a connection has to tell its upstream.
#[derive(Debug)]
pub enum Report {
    /// The reply to an errand.
    Errand(Task, Frame),
    /// Another server has the key.
    Elsewhere(Query, Redirect),
    /// The connection failed, or the server is not what it was held for.
    Trouble,
    /// The server has something to say.
    Push,
}

/// Where engines leave answers.
pub struct Desk<S: System> {
    /// Who waits, and the answers that are there.
    pub lot: Lot<S::Parked, Found>,
    /// The events of the worker.
    pub events: S::Events,
    /// Connections with lookups to be sent at the end of the turn.
    to_flush: Vec<(Place, usize)>,
    /// What connections had to tell, and their upstreams have not heard yet.
    reports: VecDeque<(Place, Report)>,
}

impl<S: System> Desk<S> {
    /// An empty one.
    pub fn new(events: S::Events) -> Self {
        Self { lot: Lot::default(), events, to_flush: Vec::new(), reports: VecDeque::new() }
    }

    /// Leaves an answer; its request is resumed at the end of this turn.
    pub fn deposit(&mut self, ticket: Ticket, found: Found) {
        self.lot.deposit(ticket, found);
        self.events.post_resume();
    }

    /// Has the lookups of a connection sent at the end of this turn.
    pub fn flush_later(&mut self, place: Place, connection: usize) {
        if !self.to_flush.contains(&(place, connection)) {
            self.to_flush.push((place, connection));
        }
        self.events.post_flush();
    }

    /// Takes out the connections that are to be flushed.
    pub fn take_to_flush(&mut self) -> Vec<(Place, usize)> {
        std::mem::take(&mut self.to_flush)
    }

    /// Those who wait for `query` have another server to thank for it.
    pub fn is_asked_of(&mut self, query: &Query, server: &Rc<str>) {
        for waiter in query.waiters() {
            if let Some(parked) = self.lot.waiter_mut(waiter.ticket) {
                parked.is_asked_of(server);
            }
        }
    }

    /// Leaves word for the upstream of a server.
    pub fn report(&mut self, place: Place, report: Report) {
        self.reports.push_back((place, report));
    }

    /// Takes out what is to be heard next.
    pub fn next_report(&mut self) -> Option<(Place, Report)> {
        self.reports.pop_front()
    }

    /// Takes back what the connections to a server had to tell: the queries that are elsewhere.
    pub fn forget_reports(&mut self, place: Place) -> Vec<Query> {
        let mut queries = Vec::new();
        let reports = std::mem::take(&mut self.reports);
        for (from, report) in reports {
            match report {
                report if from != place => self.reports.push_back((from, report)),
                Report::Elsewhere(query, _) => queries.push(query),
                _ => {}
            }
        }
        queries
    }
}
