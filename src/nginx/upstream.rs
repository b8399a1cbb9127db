//! The servers of one upstream in one worker: which of them is asked is [`Topology`]'s, how is
//! [`Client`]'s; this brings them together.

use std::rc::Rc;
use std::time::Instant;

use super::client::{self, Client, Wanted, hash_of};
use super::conf::{EndpointConf, MainConf};
use super::delivery::refuse;
use super::desk::{Desk, Report};
use super::memory::Memory;
use super::now_of_nginx;
use crate::fault::Fault;
use crate::parking::Ticket;
use crate::reason::Reason;
use crate::redis::owed::Owed;
use crate::redis::pending::Pending;
use crate::redis::query::{Command, Query, Route, Waiter};
use crate::redis::topology::{Choice, Purpose, ServerId, Topology, redirection};
use crate::warnings::Warnings;

/// The servers of one upstream.
pub(super) struct Upstream {
    pub main: &'static MainConf,
    pub at: usize,
    pub conf: &'static EndpointConf,
    pub topology: Topology,
    /// By their place in the topology.
    pub clients: Vec<Option<Client>>,
    /// Queries that wait until it is known whom to ask.
    pub unrouted: Vec<Query>,
    /// Invalidations that wait until there is a server for them.
    pub late: Owed,
    /// Invalidations that are late, of all workers.
    pub pending: Pending,
    pub warnings: Warnings,
}

/// Why nobody is asked, and which server it would have been.
pub(super) struct Refusal {
    pub fault: Fault,
    pub server: Option<ServerId>,
}

/// A query that may be asked.
#[derive(Clone, Copy)]
pub(super) enum Admitted {
    /// Of this server.
    Server(ServerId, client::Admitted),
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

impl Upstream {
    pub fn new(main: &'static MainConf, at: usize, conf: &'static EndpointConf) -> Self {
        let mut upstream = Self {
            main,
            at,
            conf,
            topology: Topology::new(
                &conf.connections.upstream,
                conf.resolver.is_some(),
                Instant::now(),
            ),
            clients: Vec::new(),
            unrouted: Vec::new(),
            late: Owed::default(),
            pending: main.pending(at),
            warnings: Warnings::default(),
        };
        for (id, server) in upstream.wanted() {
            upstream.put(id, upstream.client_of(id, server));
        }
        upstream
    }

    /// Whether [`Self::tick`] has anything to do.
    pub fn needs_upkeep(&self) -> bool {
        let is_busy = |client: &Client| {
            client.server.schedule.is_some() || client.invalidations().next().is_some()
        };
        self.topology.needs_upkeep() || self.clients.iter().flatten().any(is_busy)
    }

    /// Whether a lookup may be asked now, and of whom. A refusal is answered at once.
    pub fn admit(
        &mut self,
        key: &[u8],
        max_size: usize,
        now: Instant,
        desk: &mut Desk,
    ) -> Result<Admitted, Refusal> {
        let admit = |client: &mut Client, desk: &mut Desk| client.admit(key, max_size, now, desk);
        let admitted = self.admit_by(key, Purpose::Read, now, desk, admit)?;
        let (hash, heard_by) = match admitted {
            Admitted::Server(id, admitted) => (admitted.hash, self.topology.hears_by(id)),
            Admitted::Later => (hash_of(key), Purpose::Invalidate),
        };
        if self.pending.has(hash, heard_by, now_of_nginx()) {
            return Err(Refusal { fault: Reason::Pending.into(), server: admitted.server() });
        }
        Ok(admitted)
    }

    /// Whether an invalidation of the page on its primary has not reached Redis yet.
    pub fn is_pending(&self, key: &[u8]) -> bool {
        self.pending.has(hash_of(key), Purpose::Invalidate, now_of_nginx())
    }

    /// An invalidation may be late from now on: its request does not wait for it any longer.
    pub fn is_late(&self, key: &[u8], purpose: Purpose, desk: &mut Desk) {
        self.pending.mark(hash_of(key), purpose, now_of_nginx());
        desk.events.tick_soon();
    }

    /// Whether a command that writes `key` may be sent now, and to whom.
    pub fn route(
        &mut self,
        key: &[u8],
        purpose: Purpose,
        now: Instant,
        desk: &mut Desk,
    ) -> Result<Admitted, Refusal> {
        let route = |client: &mut Client, desk: &mut Desk| client.route(key, now, desk);
        self.admit_by(key, purpose, now, desk, route)
    }

    fn admit_by(
        &mut self,
        key: &[u8],
        purpose: Purpose,
        now: Instant,
        desk: &mut Desk,
        admit: impl Fn(&mut Client, &mut Desk) -> Result<client::Admitted, Fault>,
    ) -> Result<Admitted, Refusal> {
        match self.choose(key, purpose, now) {
            Choice::Server(id) => {
                let refused = |fault| Refusal { fault, server: Some(id) };
                let client = self.client(id).ok_or_else(|| refused(Reason::Topology.into()))?;
                Ok(Admitted::Server(id, admit(client, desk).map_err(refused)?))
            }
            Choice::Later => Ok(Admitted::Later),
            Choice::Nowhere => {
                self.topology.hurry(now);
                Err(Refusal { fault: Reason::Topology.into(), server: None })
            }
        }
    }

    /// Takes what was admitted, to be sent at the end of this turn.
    pub fn ask(
        &mut self,
        admitted: Admitted,
        wanted: Wanted<'_>,
        desk: &mut Desk,
        memory: &Memory,
    ) {
        match admitted {
            Admitted::Server(id, admitted) => {
                if let Some(client) = self.client(id) {
                    client.ask(admitted, wanted, desk, memory);
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
        desk: &mut Desk,
        memory: &Memory,
    ) {
        let now = Instant::now();
        let waiter = Waiter { ticket: Ticket::NOBODY, max_size: 0 };
        let query = Query::new(key, hash_of(key), waiter, Command::Invalidate(command));
        match self.choose(key, purpose, now) {
            Choice::Server(id) => {
                self.ask_server(id, query, now, desk, memory);
            }
            Choice::Later | Choice::Nowhere => self.late.keep(query),
        }
    }

    fn choose(&self, key: &[u8], purpose: Purpose, now: Instant) -> Choice {
        self.topology.choose(key, purpose, now, |id| is_out(&self.clients, id, now))
    }

    /// The connections to a server.
    pub fn client(&mut self, id: ServerId) -> Option<&mut Client> {
        self.clients.get_mut(id)?.as_mut()
    }

    /// Takes in what a connection to a server had to tell.
    pub fn take(&mut self, id: ServerId, report: Report, desk: &mut Desk, memory: &Memory) {
        let now = Instant::now();
        match report {
            Report::Errand(task, frame) => self.take_reply(id, task, frame, now),
            Report::Elsewhere(query, code, text) => {
                self.follow(id, query, &code, &text, now, desk, memory);
            }
            Report::Trouble => {
                self.topology.trouble(id, now);
                let client = self.client(id);
                if let Some(schedule) = client.and_then(|client| client.server.schedule.as_mut()) {
                    schedule.hurry(now);
                }
            }
            Report::Push => self.topology.hurry(now),
        }
        self.keep_up(desk);
        self.run_errands(now, desk, memory);
    }

    /// Asks the server that another one named, once.
    #[allow(clippy::too_many_arguments, reason = "what a redirection consists of")]
    fn follow(
        &mut self,
        from: ServerId,
        mut query: Query,
        code: &str,
        text: &str,
        now: Instant,
        desk: &mut Desk,
        memory: &Memory,
    ) {
        let told = self.topology.server(from).filter(|_| self.topology.is_cluster());
        let to = told.and_then(|known| redirection(text, &known.address));
        let id = match (to, code) {
            (Some((_, address)), "ASK") => {
                query.route = Route::Asking;
                self.topology.asking(&address, now)
            }
            (Some((slot, address)), _) => {
                query.route = Route::Moved;
                self.topology.moved(slot, &address, now)
            }
            (None, _) => None,
        };
        self.keep_up(desk);
        match id {
            Some(id) => self.ask_server(id, query, now, desk, memory),
            None => {
                refuse(std::slice::from_ref(&query), &Reason::Moved.into(), desk);
                if let Some(client) = self.client(from) {
                    client.owe(query, desk);
                }
            }
        }
    }

    /// Asks a server for what another one could not answer, or nobody could be asked before.
    fn ask_server(
        &mut self,
        id: ServerId,
        query: Query,
        now: Instant,
        desk: &mut Desk,
        memory: &Memory,
    ) {
        match self.client(id) {
            Some(client) => {
                desk.is_asked_of(&query, &client.server.name);
                client.take(query, now, desk, memory);
            }
            None => self.give_up(query, desk),
        }
    }

    /// There is no server for a query.
    fn give_up(&mut self, query: Query, desk: &mut Desk) {
        refuse(std::slice::from_ref(&query), &Reason::Topology.into(), desk);
        self.late.keep(query);
    }

    /// Asks for what waited until it was known whom to ask.
    pub fn reroute(&mut self, now: Instant, desk: &mut Desk, memory: &Memory) {
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
                Choice::Nowhere => self.give_up(query, desk),
                Choice::Server(id) => {
                    self.ask_server(id, query, now, desk, memory);
                }
            }
        }
    }

    /// Closes every connection, for a worker that exits.
    pub fn close_all(&mut self) {
        self.clients.iter_mut().flatten().for_each(Client::close_all);
    }
}

fn is_out(clients: &[Option<Client>], id: ServerId, now: Instant) -> bool {
    clients.get(id).and_then(Option::as_ref).is_none_or(|client| client.is_out(now))
}
