//! Where the engines leave answers and word for the worker, and who waits for them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use super::conf::MainConf;
use super::context::Lookup;
use super::events::Events;
use super::handler;
use super::memory::Held;
use super::writer::{self, Job};
use crate::fault::Fault;
use crate::parking::{Lot, Ticket};
use crate::redis::errand::Task;
use crate::redis::query::Query;
use crate::redis::reader::Frame;
use crate::redis::topology::ServerId;

/// What a parked request or a write is resumed with.
pub(super) enum Found {
    Held(Held),
    /// Nothing under the key; or the guard of a write did not hold.
    Nil,
    /// It was written.
    Done,
    Fault(Fault),
}

/// Who waits for an answer.
pub(super) enum Parked {
    /// A request.
    Lookup(Lookup),
    /// A write.
    Write(Box<Job>),
}

impl Parked {
    pub fn endpoint(&self) -> usize {
        match self {
            // The request of a lookup in the lot is alive.
            Self::Lookup(lookup) => lookup.active().endpoint,
            Self::Write(job) => job.plan.endpoint,
        }
    }

    /// Another server than before is asked for it.
    pub fn is_asked_of(&mut self, server: &Rc<str>) {
        let server = Some(Rc::clone(server));
        match self {
            Self::Lookup(lookup) => lookup.set_server(server),
            Self::Write(job) => job.server = server,
        }
    }

    /// Goes on with what waited.
    ///
    /// # Safety
    /// It has just left the lot.
    pub unsafe fn resume(self, main: &MainConf, found: Found) {
        match self {
            // SAFETY: a lookup in the lot is that of a live request.
            Self::Lookup(lookup) => unsafe { handler::resume(lookup, found) },
            Self::Write(job) => writer::resume(main, job, &found),
        }
    }
}

/// Where engines leave answers.
pub(super) struct Desk {
    pub lot: Lot<Parked, Found>,
    pub events: Box<Events>,
    /// Connections with lookups to be sent at the end of the turn.
    pub to_flush: Vec<(Place, usize)>,
    /// What connections had to tell, and their upstreams have not heard yet.
    pub reports: VecDeque<(Place, Report)>,
}

/// A server of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub endpoint: usize,
    pub server: ServerId,
}

/// What a connection has to tell its upstream.
pub(super) enum Report {
    /// The reply to an errand.
    Errand(Task, Frame),
    /// Another server has the key: the code and the text of the error reply.
    Elsewhere(Query, String, String),
    /// The connection failed, or the server is not what it was held for.
    Trouble,
    /// The server has something to say.
    Push,
}

impl Desk {
    /// Somebody waits until `deadline`, and an exiting worker with them.
    pub fn wait_until(&mut self, deadline: Instant, now: Instant) {
        self.events.hold_exit(true);
        self.events.set_deadline(deadline, now);
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

    /// Those who wait for `query` have another server to thank for it.
    pub fn is_asked_of(&mut self, query: &Query, server: &Rc<str>) {
        for waiter in query.waiters() {
            if let Some(parked) = self.lot.waiter_mut(waiter.ticket) {
                parked.is_asked_of(server);
            }
        }
    }

    /// Takes back what the connections to a server had to tell: the queries that are elsewhere.
    pub fn forget_reports(&mut self, place: Place) -> Vec<Query> {
        let mut queries = Vec::new();
        let reports = std::mem::take(&mut self.reports);
        for (from, report) in reports {
            match report {
                report if from != place => self.reports.push_back((from, report)),
                Report::Elsewhere(query, ..) => queries.push(query),
                _ => {}
            }
        }
        queries
    }

    /// Leaves word for the upstream of a server.
    pub fn report(&mut self, place: Place, report: Report) {
        self.reports.push_back((place, report));
    }
}
