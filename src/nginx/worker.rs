//! What one worker process holds: parked requests and writes, endpoints with their engines,
//! events. The seam between the handler and the engines is here: [`ask`] parks and asks, an engine
//! deposits, and [`super::handler::resume`] goes on, whichever engine it was; writes take the same
//! way through [`super::writer`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_LOG_NOTICE, NGX_LOG_WARN, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_cycle_t, ngx_event_t,
    ngx_int_t, ngx_process,
};

use super::client::{Client, Wanted};
use super::conf::{ActivePlan, EndpointConf, MainConf};
use super::context::{Asked, Lookup};
use super::desk::{Desk, Found, Parked, Place};
use super::events::Events;
use super::memory::Memory;
use super::socket::Peer;
use super::upstream::Upstream;
use super::{NAME, OutOfMemory, rc, upkeep};
use crate::config::Io;
use crate::parking::{Lot, Ticket};
use crate::reason::Reason;
use crate::redis::Reply;
use crate::redis::blocking::{Pool, PoolSettings};
use crate::redis::query;
use crate::variants::Variants;
use crate::warnings::{Warnings, details};

/// Requests that are resumed in one turn of the event loop, and bytes of values that they send:
/// the others wait for the next turn, so that other locations are not starved.
const RESUMED_A_TURN: usize = 256;
const BYTES_A_TURN: usize = 4 << 20;

/// One endpoint in this worker.
pub(super) struct Endpoint {
    pub pool: Pool,
    pub upstream: Upstream,
    pub waiting: usize,
    pub memory: Memory,
}

/// The state of a worker process.
pub(super) struct Worker {
    pub desk: Desk,
    pub endpoints: Vec<Endpoint>,
    warnings: Warnings,
    pub write_warnings: Warnings,
    pub variants: Variants,
}

/// nginx's `init_process`: builds the state of this worker.
pub(super) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes the cycle of this worker, which lives as long as the process.
    let (main, log) = unsafe {
        match MainConf::of(&*cycle) {
            Some(main) if !main.endpoints.is_empty() => (main, (*cycle).log),
            _ => return rc::OK,
        }
    };
    let endpoint = |(at, conf)| Endpoint::new(main, at, conf);
    let mut worker = Box::new(Worker {
        desk: Desk {
            lot: Lot::default(),
            events: Events::new(main, log, on_resume, on_flush, on_deadline, on_tick),
            to_flush: Vec::new(),
            reports: VecDeque::new(),
        },
        endpoints: main.endpoints.iter().enumerate().map(endpoint).collect(),
        warnings: Warnings::default(),
        write_warnings: Warnings::default(),
        variants: Variants::default(),
    });
    // The processes that look after nginx's own caches come here too, and ask nothing.
    // SAFETY: nginx set it before it started this process.
    let serves = unsafe { matches!(ngx_process as u32, NGX_PROCESS_WORKER | NGX_PROCESS_SINGLE) };
    if serves && worker.endpoints.iter().any(|endpoint| endpoint.upstream.needs_upkeep()) {
        worker.desk.events.tick_after(Duration::from_millis(1));
    }
    main.worker.replace(Some(worker));
    rc::OK
}

/// nginx's `exit_process`: closes connections to Redis.
pub(super) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes the cycle of this worker.
    let main = unsafe { cycle.as_ref().and_then(MainConf::of) };
    let worker = main.and_then(|main| main.worker.try_borrow_mut().ok()?.take());
    if let Some(mut worker) = worker {
        worker.desk.events.clear();
        worker.endpoints.iter_mut().for_each(|endpoint| endpoint.upstream.close_all());
    }
}

/// Parks the request of `lookup` and asks Redis for `key`. The answer comes by
/// [`super::handler::resume`], never before this returns.
pub(super) fn ask(lookup: Lookup, asked: Asked, key: &[u8]) -> Result<(), Reason> {
    let main = lookup.request().main_conf().ok_or(Reason::Internal)?;
    lookup.cancel_with_request().map_err(|OutOfMemory| Reason::Internal)?;
    let ticket = with(main, |worker| Some(worker.ask(lookup, key))).ok_or(Reason::Internal)?;
    lookup.park(ticket?, asked);
    Ok(())
}

/// Gives up the ticket of a request that is being destroyed.
pub(super) fn cancel(lookup: Lookup, ticket: Ticket) {
    lookup.decide(Reason::Internal);
    if let Some(main) = lookup.request().main_conf() {
        with(main, |worker| {
            let waiter = worker.desk.lot.cancel(ticket)?;
            worker.left(&waiter);
            Some(())
        });
    }
}

/// Logs a fault of Redis, once an interval and reason.
pub(super) fn warn(lookup: Lookup, reason: Reason) {
    let Some(main) = lookup.request().main_conf() else { return };
    let endpoint = lookup.active().endpoint;
    let upstream = main.endpoints.get(endpoint).map_or("", |endpoint| &endpoint.name);
    let server = lookup.server();
    let name = server.as_deref().unwrap_or(upstream);
    let admitted = with(main, |worker| worker.warnings.admit(name, reason, Instant::now()));
    let Some(kept_back) = admitted else { return };
    let details = details(name, lookup.cause().as_deref(), kept_back);
    let log = lookup.request().log();
    let sentence = reason.sentence();
    ngx::ngx_log_error!(NGX_LOG_WARN, log, "{NAME}: {reason}: {sentence} ({details})");
}

/// Runs `work` on the worker's state; the state is free again before anything of nginx runs that
/// could come back here.
pub(super) fn with<T>(main: &MainConf, work: impl FnOnce(&mut Worker) -> Option<T>) -> Option<T> {
    main.worker.try_borrow_mut().ok()?.as_mut().and_then(|worker| work(worker))
}

/// Runs `work` on the connections to a server.
pub(super) fn with_client(
    main: &MainConf,
    place: Place,
    work: impl FnOnce(&mut Client, &mut Desk, &Memory),
) {
    with(main, |worker| {
        let endpoint = worker.endpoints.get_mut(place.endpoint)?;
        let client = endpoint.upstream.client(place.server)?;
        work(client, &mut worker.desk, &endpoint.memory);
        worker.settle();
        Some(())
    });
}

impl Endpoint {
    fn new(main: &'static MainConf, at: usize, conf: &'static EndpointConf) -> Self {
        let settings = &conf.connections;
        let server = settings.upstream.only_server();
        Self {
            pool: Pool::new(PoolSettings {
                name: conf.name.clone(),
                notice: |sentence| upkeep::say(NGX_LOG_NOTICE, sentence),
                login: settings.upstream.login.clone(),
                addresses: server.map(|server| conf.addresses_of(server)).unwrap_or_default(),
                connections: settings.connections,
                connect_timeout: settings.connect_timeout,
                breaker: settings.breaker,
            }),
            upstream: Upstream::new(main, at, conf),
            waiting: 0,
            memory: Memory::new(settings.buffers),
        }
    }
}

impl Worker {
    /// The endpoint of a location.
    pub fn endpoint(&self, plan: &ActivePlan) -> Option<&Endpoint> {
        self.endpoints.get(plan.endpoint)
    }

    fn ask(&mut self, lookup: Lookup, key: &[u8]) -> Result<Ticket, Reason> {
        let active = lookup.active();
        let plan = &active.plan;
        let endpoint = self.endpoints.get_mut(active.endpoint).ok_or(Reason::Internal)?;
        if endpoint.waiting >= plan.connections.queue || endpoint.memory.is_used_up() {
            return Err(Reason::Overload);
        }
        let now = Instant::now();
        let (began, timeout) = (lookup.began(), plan.timeout);
        let left = (began + timeout).saturating_duration_since(now);
        if left.is_zero() {
            return Err(Reason::Timeout);
        }
        let admitted = match plan.io {
            Io::Event => {
                let upstream = &mut endpoint.upstream;
                let admitted = upstream.admit(key, plan.max_size, now, &mut self.desk);
                let server = match &admitted {
                    Ok(admitted) => admitted.server(),
                    Err(refusal) => refusal.server,
                };
                lookup.set_server(server.and_then(|server| upstream.name_of(server)));
                Some(admitted.map_err(|refusal| lookup.fault(refusal.fault))?)
            }
            Io::Blocking if endpoint.upstream.is_pending(key) => return Err(Reason::Pending),
            Io::Blocking => None,
        };
        endpoint.waiting += 1;
        let ticket = self.desk.lot.park(Parked::Lookup(lookup), began, timeout);
        match admitted {
            Some(admitted) => {
                let waiter = query::Waiter { ticket, max_size: plan.max_size };
                let wanted = Wanted { key, waiter, timeout, command: query::Command::Get };
                endpoint.upstream.ask(admitted, wanted, &mut self.desk, &endpoint.memory);
                self.settle();
            }
            None => {
                let answer = match endpoint.pool.get(key, left, plan.max_size) {
                    Reply::Value(value) if endpoint.memory.has_room_for(value.len()) => {
                        Found::Held(endpoint.memory.hold(value))
                    }
                    Reply::Value(_) => Found::Fault(Reason::Overload.into()),
                    Reply::Nil => Found::Nil,
                    Reply::Done => Found::Fault(Reason::Protocol.into()),
                    Reply::Fault(fault) => Found::Fault(fault),
                };
                self.desk.deposit(ticket, answer);
            }
        }
        self.desk.wait_until(began + timeout, now);
        Ok(ticket)
    }

    /// A waiter left the lot.
    fn left(&mut self, waiter: &Parked) {
        if let Some(endpoint) = self.endpoints.get_mut(waiter.endpoint()) {
            endpoint.waiting = endpoint.waiting.saturating_sub(1);
        }
        if self.desk.lot.is_empty() {
            self.desk.events.hold_exit(false);
        }
    }

    fn next_ready(&mut self) -> Option<(Parked, Found)> {
        let (waiter, answer) = self.desk.lot.next_ready()?;
        self.left(&waiter);
        Some((waiter, answer))
    }

    fn next_expired(&mut self, now: Instant) -> Option<Parked> {
        let waiter = self.desk.lot.next_expired(now)?;
        self.left(&waiter);
        Some(waiter)
    }

    /// Sends the lookups of this turn.
    fn flush(&mut self) {
        for (place, connection) in std::mem::take(&mut self.desk.to_flush) {
            if let Some(endpoint) = self.endpoints.get_mut(place.endpoint) {
                if let Some(client) = endpoint.upstream.client(place.server) {
                    client.flush(connection, &mut self.desk, &endpoint.memory);
                }
            }
        }
        self.settle();
    }

    /// Has upstreams hear what their connections had to tell.
    pub fn settle(&mut self) {
        while let Some((place, report)) = self.desk.reports.pop_front() {
            if let Some(endpoint) = self.endpoints.get_mut(place.endpoint) {
                endpoint.upstream.take(place.server, report, &mut self.desk, &endpoint.memory);
            }
        }
    }

    /// Has upstreams keep up what they know.
    fn tick(&mut self) {
        if Peer::worker_is_exiting() {
            return;
        }
        let now = Instant::now();
        for endpoint in &mut self.endpoints {
            endpoint.upstream.tick(now, &mut self.desk, &endpoint.memory);
        }
        self.settle();
    }

    /// Has upstreams take up what the resolver has found.
    pub fn take_resolved(&mut self, main: &MainConf) {
        for resolved in main.resolved.take() {
            if let Some(endpoint) = self.endpoints.get_mut(resolved.place.endpoint) {
                endpoint.upstream.take_addresses(resolved, &mut self.desk);
            }
        }
    }
}

unsafe extern "C" fn on_resume(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::main_of(event) }) else { return };
    let mut bytes = 0;
    for _ in 0..RESUMED_A_TURN {
        let Some((waiter, answer)) = with(main, Worker::next_ready) else { return };
        if let Found::Held(held) = &answer {
            bytes += held.value.len();
        }
        // SAFETY: it has just left the lot.
        unsafe { waiter.resume(main, answer) };
        if bytes >= BYTES_A_TURN {
            break;
        }
    }
    with(main, |worker| {
        if worker.desk.lot.has_ready() {
            worker.desk.events.post_resume_for_next_turn();
        }
        Some(())
    });
}

unsafe extern "C" fn on_flush(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::main_of(event) }) else { return };
    with(main, |worker| {
        worker.flush();
        Some(())
    });
}

unsafe extern "C" fn on_deadline(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::main_of(event) }) else { return };
    let now = Instant::now();
    while let Some(waiter) = with(main, |worker| worker.next_expired(now)) {
        // SAFETY: as in `on_resume`.
        unsafe { waiter.resume(main, Found::Fault(Reason::Timeout.into())) };
    }
    with(main, |worker| {
        let desk = &mut worker.desk;
        desk.events.deadline_fired();
        if let Some(deadline) = desk.lot.earliest_deadline() {
            desk.events.set_deadline(deadline, Instant::now());
        }
        Some(())
    });
}

unsafe extern "C" fn on_tick(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::main_of(event) }) else { return };
    with(main, |worker| {
        worker.tick();
        worker.take_resolved(main);
        if worker.endpoints.iter().any(|endpoint| endpoint.upstream.needs_upkeep()) {
            worker.desk.events.tick_soon();
        }
        Some(())
    });
}
