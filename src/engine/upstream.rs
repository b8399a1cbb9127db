//! The servers of one upstream in one worker: which of them is asked is [`Topology`]'s, how is
//! [`Client`]'s; this brings them together.

use std::rc::Rc;
use std::time::Instant;

use super::client::{Client, Seat, Wanted, hash_of};
use super::delivery::refuse;
use super::desk::{Desk, Report};
use super::{Events, System, Turn};
use crate::fault::Fault;
use crate::parking::Ticket;
use crate::reason::Reason;
use crate::redis::error_reply::Redirect;
use crate::redis::owed::Owed;
use crate::redis::pending::Pending;
use crate::redis::query::{Command, Query, Route, Waiter};
use crate::redis::topology::{Choice, Purpose, ServerId, Topology, redirection};
use crate::warnings::Warnings;

/// The servers of one upstream.
pub struct Upstream<S: System> {
    pub(super) system: S,
    pub(super) at: usize,
    pub(super) topology: Topology,
    /// By their place in the topology.
    pub(super) clients: Vec<Option<Client<S>>>,
    /// Queries that wait until it is known whom to ask.
    pub(super) unrouted: Vec<Query>,
    /// Invalidations that wait until there is a server for them.
    pub(super) late: Owed,
    /// Invalidations that are late, of all workers.
    pub(super) pending: Pending,
    pub(super) warnings: Warnings,
}

/// Why nobody is asked, and which server it would have been.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub fault: Fault,
    /// The server.
    pub server: Option<ServerId>,
}

/// A query that may be asked.
#[derive(Clone, Copy, Debug)]
pub enum Admitted {
    /// Of this server.
    Server(ServerId, Seat),
    /// When it is known of which server.
    Later,
}

impl Admitted {
    /// The server, if it is known.
    pub fn server(self) -> Option<ServerId> {
        match self {
            Self::Server(id, _) => Some(id),
            Self::Later => None,
        }
    }
}

impl<S: System> Upstream<S> {
    /// The upstream of the endpoint with the number `at`.
    pub fn new(system: S, at: usize, pending: Pending) -> Self {
        let settings = &system.connections().upstream;
        let topology = Topology::new(settings, system.has_resolver(), system.now());
        let mut upstream = Self {
            system,
            at,
            topology,
            clients: Vec::new(),
            unrouted: Vec::new(),
            late: Owed::default(),
            pending,
            warnings: Warnings::default(),
        };
        for (id, server) in upstream.wanted() {
            upstream.put(id, upstream.client_of(id, server));
        }
        upstream
    }

    /// What it stands on.
    pub fn system(&self) -> &S {
        &self.system
    }

    /// Whether [`Self::tick`] has anything to do.
    pub fn needs_upkeep(&self) -> bool {
        let is_busy = |client: &Client<S>| {
            client.server.schedule.is_some() || client.invalidations().next().is_some()
        };
        self.topology.needs_upkeep() || self.clients.iter().flatten().any(is_busy)
    }

    /// Whether a lookup may be asked now, and of whom. A refusal is answered at once.
    pub fn admit(
        &mut self,
        key: &[u8],
        max_size: usize,
        turn: &mut Turn<'_, S>,
    ) -> Result<Admitted, Refusal> {
        let admit =
            |client: &mut Client<S>, turn: &mut Turn<'_, S>| client.admit(key, max_size, turn);
        let admitted = self.admit_by(key, Purpose::Read, turn, admit)?;
        let (hash, heard_by) = match admitted {
            Admitted::Server(id, seat) => (seat.hash, self.topology.hears_by(id)),
            Admitted::Later => (hash_of(key), Purpose::Invalidate),
        };
        if self.pending.has(hash, heard_by, self.system.shared_millis()) {
            return Err(Refusal { fault: Reason::Pending.into(), server: admitted.server() });
        }
        Ok(admitted)
    }

    /// Whether an invalidation of the page on its primary has not reached Redis yet.
    pub fn is_pending(&self, key: &[u8]) -> bool {
        self.pending.has(hash_of(key), Purpose::Invalidate, self.system.shared_millis())
    }

    /// An invalidation may be late from now on: its request does not wait for it any longer.
    pub fn is_late(&self, key: &[u8], purpose: Purpose, desk: &mut Desk<S>) {
        self.pending.mark(hash_of(key), purpose, self.system.shared_millis());
        desk.events.tick_soon();
    }

    /// Whether a command that writes `key` may be sent now, and to whom.
    pub fn route(
        &mut self,
        key: &[u8],
        purpose: Purpose,
        turn: &mut Turn<'_, S>,
    ) -> Result<Admitted, Refusal> {
        let route = |client: &mut Client<S>, turn: &mut Turn<'_, S>| client.route(key, turn);
        self.admit_by(key, purpose, turn, route)
    }

    fn admit_by(
        &mut self,
        key: &[u8],
        purpose: Purpose,
        turn: &mut Turn<'_, S>,
        admit: impl Fn(&mut Client<S>, &mut Turn<'_, S>) -> Result<Seat, Fault>,
    ) -> Result<Admitted, Refusal> {
        match self.choose(key, purpose, turn.now) {
            Choice::Server(id) => {
                let refused = |fault| Refusal { fault, server: Some(id) };
                let client = self.client(id).ok_or(refused(Reason::Topology.into()))?;
                Ok(Admitted::Server(id, admit(client, turn).map_err(refused)?))
            }
            Choice::Later => Ok(Admitted::Later),
            Choice::Nowhere => {
                self.topology.hurry(turn.now);
                Err(Refusal { fault: Reason::Topology.into(), server: None })
            }
        }
    }

    /// Takes what was admitted, to be sent at the end of this turn.
    pub fn ask(&mut self, admitted: Admitted, wanted: Wanted<'_>, turn: &mut Turn<'_, S>) {
        match admitted {
            Admitted::Server(id, seat) => {
                if let Some(client) = self.client(id) {
                    client.ask(seat, wanted, turn);
                }
            }
            Admitted::Later => {
                let Wanted { key, waiter, command, .. } = wanted;
                self.unrouted.push(Query::new(key, hash_of(key), waiter, command));
            }
        }
    }

    /// `$redis_cache_server`.
    pub fn name_of(&self, id: ServerId) -> Option<Rc<str>> {
        Some(self.clients.get(id)?.as_ref()?.server.name.clone())
    }

    /// Sees to it that an invalidation is carried out, now or when the server is back, though its
    /// request goes on.
    pub fn carry_out(
        &mut self,
        key: &[u8],
        purpose: Purpose,
        command: Vec<u8>,
        turn: &mut Turn<'_, S>,
    ) {
        let waiter = Waiter { ticket: Ticket::NOBODY, max_size: 0 };
        let query = Query::new(key, hash_of(key), waiter, Command::Invalidate(command));
        match self.choose(key, purpose, turn.now) {
            Choice::Server(id) => self.ask_server(id, query, turn),
            Choice::Later | Choice::Nowhere => self.late.keep(query),
        }
    }

    fn choose(&self, key: &[u8], purpose: Purpose, now: Instant) -> Choice {
        self.topology.choose(key, purpose, now, |id| is_out(&self.clients, id, now))
    }

    /// The connections to a server.
    pub fn client(&mut self, id: ServerId) -> Option<&mut Client<S>> {
        self.clients.get_mut(id)?.as_mut()
    }

    /// Takes in what a connection to a server had to tell.
    pub fn take(&mut self, id: ServerId, report: Report, turn: &mut Turn<'_, S>) {
        let now = turn.now;
        match report {
            Report::Errand(task, frame) => self.take_reply(id, task, frame, now),
            Report::Elsewhere(query, redirect) => self.follow(id, query, &redirect, turn),
            Report::Trouble => {
                self.topology.trouble(id, now);
                let client = self.client(id);
                if let Some(schedule) = client.and_then(|client| client.server.schedule.as_mut()) {
                    schedule.hurry(now);
                }
            }
            Report::Push => self.topology.hurry(now),
        }
        self.keep_up(turn.desk);
        self.run_errands(turn);
    }

    /// Asks the server that another one named, once.
    fn follow(
        &mut self,
        from: ServerId,
        mut query: Query,
        redirect: &Redirect,
        turn: &mut Turn<'_, S>,
    ) {
        let told = self.topology.server(from).filter(|_| self.topology.is_cluster());
        let to = told.and_then(|known| redirection(&redirect.target, &known.address));
        query.route = if redirect.is_ask { Route::Asking } else { Route::Moved };
        let id = to.and_then(|(slot, address)| match redirect.is_ask {
            true => self.topology.asking(&address, turn.now),
            false => self.topology.moved(slot, &address, turn.now),
        });
        self.keep_up(turn.desk);
        match id {
            Some(id) => self.ask_server(id, query, turn),
            None => {
                refuse(std::slice::from_ref(&query), &Reason::Moved.into(), turn.desk);
                if let Some(client) = self.client(from) {
                    client.owe(query, turn.desk);
                }
            }
        }
    }

    /// Asks a server for what another one could not answer, or nobody could be asked before.
    fn ask_server(&mut self, id: ServerId, query: Query, turn: &mut Turn<'_, S>) {
        match self.client(id) {
            Some(client) => {
                turn.desk.is_asked_of(&query, &client.server.name);
                client.take(query, turn);
            }
            None => self.give_up(query, turn.desk),
        }
    }

    /// There is no server for a query.
    fn give_up(&mut self, query: Query, desk: &mut Desk<S>) {
        refuse(std::slice::from_ref(&query), &Reason::Topology.into(), desk);
        self.late.keep(query);
    }

    /// Asks for what waited until it was known whom to ask.
    pub(super) fn reroute(&mut self, turn: &mut Turn<'_, S>) {
        let now = turn.now;
        let (topology, clients) = (&self.topology, &self.clients);
        let late = self.late.take_if(|query| {
            let is_out = |id| is_out(clients, id, now);
            let choice = topology.choose(&query.key, Purpose::Invalidate, now, is_out);
            matches!(choice, Choice::Server(_))
        });
        for mut query in std::mem::take(&mut self.unrouted).into_iter().chain(late) {
            query.route = Route::Direct;
            let purpose = match (query.invalidates(), query.writes()) {
                (true, _) => Purpose::Invalidate,
                (_, true) => Purpose::Write,
                _ => Purpose::Read,
            };
            match self.choose(&query.key, purpose, now) {
                Choice::Later => self.unrouted.push(query),
                Choice::Nowhere => self.give_up(query, turn.desk),
                Choice::Server(id) => self.ask_server(id, query, turn),
            }
        }
    }

    /// Closes every connection, for a worker that exits.
    pub fn close_all(&mut self) {
        self.clients.iter_mut().flatten().for_each(Client::close_all);
    }
}

fn is_out<S: System>(clients: &[Option<Client<S>>], id: ServerId, now: Instant) -> bool {
    clients.get(id).and_then(Option::as_ref).is_none_or(|client| client.is_out(now))
}
