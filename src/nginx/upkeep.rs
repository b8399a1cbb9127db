//! What one upstream does from time to time, and what it learns by it: errands and their replies,
//! names, and a client for every server that is known.

use std::time::Instant;

use ngx::ffi::{NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_cycle};
use redis::Value;
use socket2::SockAddr;

use super::client::{Client, Server};
use super::desk::{Desk, Place};
use super::memory::Memory;
use super::names::{self, Resolved, Schedule};
use super::upstream::Upstream;
use super::{NAME, now_of_nginx};
use crate::reason::Reason;
use crate::redis::endpoint::{Address, ServerAddr};
use crate::redis::errand::Task;
use crate::redis::error_reply;
use crate::redis::hello::Hello;
use crate::redis::query::Query;
use crate::redis::reader::Frame;
use crate::redis::topology::{News, Part, Purpose, ServerId};
use crate::warnings::details;

impl Upstream {
    /// Runs the errands that are due, and gives up queries that nobody waits for.
    pub fn tick(&mut self, now: Instant, desk: &mut Desk, memory: &Memory) {
        for client in self.clients.iter_mut().flatten() {
            client.look_after(now, desk);
        }
        self.mark_what_is_owed(desk);
        self.resolve_names(now);
        let waits = |query: &Query| query.waiters().any(|waiter| desk.lot.holds(waiter.ticket));
        self.unrouted.retain(|query| query.invalidates() || waits(query));
        self.run_errands(now, desk, memory);
    }

    /// Has no worker look up pages whose invalidation has not reached Redis, though nobody waits
    /// for it any more.
    fn mark_what_is_owed(&self, desk: &Desk) {
        let now = now_of_nginx();
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
        let Some(resolver) = &self.conf.resolver else { return };
        for client in self.clients.iter_mut().flatten() {
            let Some(schedule) = &mut client.server.schedule else { continue };
            if schedule.is_due(now) {
                let (place, address) = (client.place, &client.server.address);
                if !resolver.ask(self.main, place, address) {
                    client.server.schedule.as_mut().map(|schedule| schedule.failed(now));
                }
            }
        }
    }

    /// Takes up what the resolver has found for the name of a server.
    pub fn take_addresses(&mut self, resolved: Resolved, desk: &mut Desk) {
        let now = Instant::now();
        let Resolved { place, address, outcome } = resolved;
        let client = self.client(place.server).filter(|client| client.server.address == address);
        let Some(client) = client else { return };
        let Some(schedule) = &mut client.server.schedule else { return };
        let error = match outcome {
            Ok((addresses, holds)) if !addresses.is_empty() => {
                schedule.succeeded(now, holds);
                client.move_to(addresses, desk);
                return;
            }
            Ok(_) => "no address".to_owned(),
            Err(error) => names::error_text(error),
        };
        if schedule.failed(now) {
            let sentence = format!(
                "{address} could not be resolved again ({error}): what was known of it goes on"
            );
            self.say(NGX_LOG_WARN, &sentence);
        }
    }

    pub(super) fn run_errands(&mut self, now: Instant, desk: &mut Desk, memory: &Memory) {
        let clients = &self.clients;
        let is_amiss = |id: ServerId| {
            let client = clients.get(id).and_then(Option::as_ref);
            client.is_none_or(|client| client.is_out(now) || client.owes())
        };
        for (id, errand) in self.topology.due(now, is_amiss) {
            if let Some(client) = self.client(id) {
                client.run(errand, desk);
            }
        }
        self.reroute(now, desk, memory);
    }

    pub(super) fn take_reply(&mut self, id: ServerId, task: Task, frame: Frame, now: Instant) {
        let reply = match frame {
            Frame::Value(bytes) => Ok(Value::BulkString(bytes.to_vec())),
            Frame::Other(reply) => {
                redis::parse_redis_value(&reply).map_err(|_| Reason::Protocol.into())
            }
            Frame::Nil => Ok(Value::Nil),
            Frame::Error(code, text) => Err(error_reply::fault(&code, &text, &[])),
            Frame::Skipped(_) | Frame::Push(_) => Err(Reason::Protocol.into()),
        };
        let cause = reply.as_ref().err().and_then(|fault| fault.cause.clone());
        let reply = reply.map_err(|fault| fault.reason);
        let news = self.topology.on_reply(id, task, reply, now);
        self.announce(id, &news, cause.as_deref(), now);
    }

    /// Has a client for every server that is known, and for no other.
    pub(super) fn keep_up(&mut self, desk: &mut Desk) {
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
    fn retire(&mut self, client: Option<Client>, id: ServerId, desk: &mut Desk) {
        let Some(client) = client else { return };
        self.unrouted.extend(desk.forget_reports(Place { endpoint: self.at, server: id }));
        self.unrouted.extend(client.retire(desk));
    }

    pub(super) fn wanted(&self) -> Vec<(ServerId, Address)> {
        self.topology.servers().map(|(id, known)| (id, known.address.clone())).collect()
    }

    pub(super) fn put(&mut self, id: ServerId, client: Client) -> Option<Client> {
        if self.clients.len() <= id {
            self.clients.resize_with(id + 1, || None);
        }
        self.clients.get_mut(id)?.replace(client)
    }

    pub(super) fn client_of(&self, id: ServerId, address: Address) -> Client {
        let part = self.topology.server(id).map(|known| known.part);
        let is_sentinel = part == Some(Part::Sentinel);
        let db = self.conf.connections.upstream.login.db;
        let at: Vec<SockAddr> =
            self.conf.addresses_of(&address).iter().filter_map(socket_address).collect();
        if at.is_empty() && self.conf.resolver.is_none() {
            self.say(
                NGX_LOG_WARN,
                &format!("{address} is a name, and there is no resolver for it"),
            );
        }
        let server = Server {
            at,
            name: format!("{address}/{db}").into(),
            greeting: self.topology.greeting(id),
            hello: Hello::default(),
            redirects: self.topology.is_cluster(),
            is_primary: self.topology.is_primary(id),
            schedule: (self.conf.resolver.is_some() && address.name().is_some())
                .then(|| Schedule::new(Instant::now())),
            connections: if is_sentinel { 1 } else { self.conf.connections.connections },
            address,
        };
        Client::new(self.main, Place { endpoint: self.at, server: id }, self.conf, server)
    }

    /// Says in the error log what has changed, and what was of no use.
    fn announce(&mut self, id: ServerId, news: &News, cause: Option<&str>, now: Instant) {
        match news {
            News::Nothing => {}
            News::Primary(address) => {
                self.say(NGX_LOG_NOTICE, &format!("the primary is {address}"));
            }
            News::Slots(servers, slots) => {
                self.say(NGX_LOG_NOTICE, &format!("{servers} servers serve {slots} slots"));
            }
            News::Useless(reason) => {
                let address = self.topology.server(id).map(|known| known.address.to_string());
                let address = address.unwrap_or_default();
                let Some(kept_back) = self.warnings.admit(&address, *reason, now) else { return };
                let (details, sentence) = (details(&address, cause, kept_back), reason.sentence());
                let asked = "a server did not say what was asked";
                self.say(NGX_LOG_WARN, &format!("{asked}: {reason}: {sentence} ({details})"));
            }
        }
    }

    /// A line in the error log about this upstream.
    fn say(&self, level: u32, sentence: &str) {
        say(level, &format!("upstream {}: {sentence}", self.conf.name));
    }
}

/// A line in the error log of which no request is the cause.
pub(super) fn say(level: u32, sentence: &str) {
    // SAFETY: the cycle is set while a worker runs.
    let log = unsafe { (*ngx_cycle).log };
    ngx::ngx_log_error!(level, log, "{NAME}: {sentence}");
}

fn socket_address(address: &ServerAddr) -> Option<SockAddr> {
    match address {
        ServerAddr::Tcp(address) => Some(SockAddr::from(*address)),
        ServerAddr::Unix(path) => SockAddr::unix(path).ok(),
    }
}
