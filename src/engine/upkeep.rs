//! What one upstream does from time to time, and what it learns by it: errands and their replies,
//! names, and a client for every server that is known.

use std::time::Instant;

use super::client::{Client, Server};
use super::desk::Desk;
use super::schedule::{Resolved, Schedule};
use super::upstream::Upstream;
use super::{Level, Place, System, Turn};
use crate::redis::backoff::Backoff;
use crate::redis::breaker::Breaker;
use crate::redis::endpoint::Address;
use crate::redis::errand::{self, Task};
use crate::redis::hello::Hello;
use crate::redis::oversize::Oversize;
use crate::redis::query::Query;
use crate::redis::reader::Frame;
use crate::redis::topology::{News, Part, Purpose, ServerId};
use crate::warnings::details;

impl<S: System> Upstream<S> {
    /// Runs the errands that are due, and gives up queries that nobody waits for.
    pub fn tick(&mut self, turn: &mut Turn<'_, S>) {
        for client in self.clients.iter_mut().flatten() {
            client.look_after(turn.now, turn.desk);
        }
        self.mark_what_is_owed(turn.desk);
        self.resolve_names(turn.now);
        let lot = &turn.desk.lot;
        let waits = |query: &Query| query.waiters().any(|waiter| lot.holds(waiter.ticket));
        self.unrouted.retain(|query| query.invalidates() || waits(query));
        self.run_errands(turn);
    }

    /// Has no worker look up pages whose invalidation has not reached Redis, though nobody waits
    /// for it any more.
    fn mark_what_is_owed(&self, desk: &Desk<S>) {
        let now = self.system.shared_millis();
        let mark = |query: &Query, purpose| {
            let waits = query.waiters().any(|waiter| desk.lot.holds(waiter.ticket));
            if query.invalidates() && !waits {
                self.pending.mark(query.hash(), purpose, now);
            }
        };
        for (id, client) in self.clients.iter().enumerate() {
            let queries = client.iter().flat_map(Client::invalidations);
            queries.for_each(|query| mark(query, self.topology.hears_by(id)));
        }
        let nowhere = self.late.iter().chain(&self.unrouted);
        nowhere.for_each(|query| mark(query, Purpose::Invalidate));
    }

    fn resolve_names(&mut self, now: Instant) {
        for client in self.clients.iter_mut().flatten() {
            let server = &mut client.server;
            let Some(schedule) = &mut server.schedule else { continue };
            if schedule.is_due(now) && !self.system.resolve(client.place, &server.address) {
                schedule.failed(now);
            }
        }
    }

    /// Takes up what the resolver has found for the name of a server.
    pub fn take_addresses(&mut self, resolved: Resolved, desk: &mut Desk<S>) {
        let now = self.system.now();
        let breaker = Breaker::new(self.system.connections().breaker);
        let Resolved { place, address, outcome } = resolved;
        let client = self.client(place.server).filter(|client| client.server.address == address);
        let Some(client) = client else { return };
        let Some(schedule) = &mut client.server.schedule else { return };
        let error = match outcome {
            Ok((addresses, holds)) if !addresses.is_empty() => {
                schedule.succeeded(now, holds);
                client.move_to(addresses, breaker, desk);
                return;
            }
            Ok(_) => "no address".to_owned(),
            Err(error) => error,
        };
        if schedule.failed(now) {
            let sentence = format!(
                "{address} could not be resolved again ({error}): what was known of it goes on"
            );
            self.say(Level::Warn, &sentence);
        }
    }

    pub(super) fn run_errands(&mut self, turn: &mut Turn<'_, S>) {
        let now = turn.now;
        let clients = &self.clients;
        let is_amiss = |id: ServerId| {
            let client = clients.get(id).and_then(Option::as_ref);
            client.is_none_or(|client| client.is_out(now) || client.owes())
        };
        for (id, errand) in self.topology.due(now, is_amiss) {
            if let Some(client) = self.client(id) {
                client.run(errand, turn.desk);
            }
        }
        self.reroute(turn);
    }

    pub(super) fn take_reply(&mut self, id: ServerId, task: Task, frame: Frame, now: Instant) {
        let reply = errand::reply(frame);
        let cause = reply.as_ref().err().and_then(|fault| fault.cause.clone());
        let reply = reply.map_err(|fault| fault.reason);
        let news = self.topology.on_reply(id, task, reply, now);
        self.announce(id, &news, cause.as_deref(), now);
    }

    /// Has a client for every server that is known, and for no other.
    pub(super) fn keep_up(&mut self, desk: &mut Desk<S>) {
        if !self.topology.has_changed() {
            return;
        }
        for (id, server) in self.wanted() {
            if !self.appoint(id, &server) {
                let client = self.client_of(id, server);
                let old = self.put(id, client);
                self.retire(old, id, desk);
            }
        }
        for id in 0..self.clients.len() {
            if self.topology.server(id).is_none() {
                let gone = self.clients.get_mut(id).and_then(Option::take);
                self.retire(gone, id, desk);
            }
        }
    }

    /// Whether the client of a server may stay. What a primary is asked, and owes, is another
    /// one's to do when it is none any more.
    fn appoint(&mut self, id: ServerId, address: &Address) -> bool {
        let (greeting, is_primary) = (self.topology.greeting(id), self.topology.is_primary(id));
        let Some(Client { server, .. }) = self.client(id) else { return false };
        let stays = server.address == *address && (is_primary || !server.is_primary);
        server.greeting = greeting;
        server.is_primary = is_primary;
        stays
    }

    /// What was asked of a server that is no longer one is asked elsewhere.
    fn retire(&mut self, client: Option<Client<S>>, id: ServerId, desk: &mut Desk<S>) {
        let Some(client) = client else { return };
        self.unrouted.extend(desk.forget_reports(Place { endpoint: self.at, server: id }));
        self.unrouted.extend(client.retire(desk));
    }

    pub(super) fn wanted(&self) -> Vec<(ServerId, Address)> {
        self.topology.servers().map(|(id, known)| (id, known.address.clone())).collect()
    }

    pub(super) fn put(&mut self, id: ServerId, client: Client<S>) -> Option<Client<S>> {
        if self.clients.len() <= id {
            self.clients.resize_with(id + 1, || None);
        }
        self.clients.get_mut(id)?.replace(client)
    }

    pub(super) fn client_of(&self, id: ServerId, address: Address) -> Client<S> {
        let part = self.topology.server(id).map(|known| known.part);
        let is_sentinel = part == Some(Part::Sentinel);
        let settings = self.system.connections();
        let db = settings.upstream.login.db;
        let at = self.system.addresses_of(&address);
        if at.is_empty() && !self.system.has_resolver() {
            let sentence = format!("{address} is a name, and there is no resolver for it");
            self.say(Level::Warn, &sentence);
        }
        let server = Server {
            at,
            name: format!("{address}/{db}").into(),
            greeting: self.topology.greeting(id),
            hello: Hello::default(),
            redirects: self.topology.is_cluster(),
            is_primary: self.topology.is_primary(id),
            schedule: (self.system.has_resolver() && address.name().is_some())
                .then(|| Schedule::new(self.system.now())),
            connections: if is_sentinel { 1 } else { settings.connections },
            breaker: Breaker::new(settings.breaker),
            debts: Backoff::default(),
            oversize: Oversize::default(),
            address,
        };
        Client::new(&self.system, Place { endpoint: self.at, server: id }, server)
    }

    /// Says in the error log what has changed, and what was of no use.
    fn announce(&mut self, id: ServerId, news: &News, cause: Option<&str>, now: Instant) {
        match news {
            News::Nothing => {}
            News::Primary(address) => {
                self.say(Level::Notice, &format!("the primary is {address}"));
            }
            News::Slots(servers, slots) => {
                self.say(Level::Notice, &format!("{servers} servers serve {slots} slots"));
            }
            News::Useless(reason) => {
                let address = self.topology.server(id).map(|known| known.address.to_string());
                let address = address.unwrap_or_default();
                let Some(kept_back) = self.warnings.admit(&address, *reason, now) else { return };
                let (details, sentence) = (details(&address, cause, kept_back), reason.sentence());
                let asked = "a server did not say what was asked";
                self.say(Level::Warn, &format!("{asked}: {reason}: {sentence} ({details})"));
            }
        }
    }

    /// A line in the error log about this upstream.
    fn say(&self, level: Level, sentence: &str) {
        self.system.say(level, &format!("upstream {}: {sentence}", self.system.name()));
    }
}
