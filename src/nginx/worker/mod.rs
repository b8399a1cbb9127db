//! What one worker process holds: parked requests and writes, backends with their engines, events. The
//! seam between requests and engines is here: [`ask`] parks and asks, an engine deposits, and
//! [`handler::resume`](super::http::handler::resume) goes on, whichever engine it was; writes take the
//! same way through [`writer`]. What the event engine stands on is [`system`].

pub(in crate::nginx) mod backend;
pub(in crate::nginx) mod coding;
pub(in crate::nginx) mod flights;
pub(in crate::nginx) mod parked;
pub(in crate::nginx) mod refreshes;
pub(in crate::nginx) mod system;
pub(in crate::nginx) mod writer;

use std::time::{Duration, Instant};

use ngx::ffi::{
    NGX_LOG_WARN, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_cycle_t, ngx_event_t, ngx_int_t,
    ngx_process,
};

use self::backend::{Backend, Call};
use self::parked::Parked;
use self::system::Nginx;
use crate::config::Io;
use crate::engine::client::Client;
use crate::engine::desk::{Desk, Found};
use crate::engine::memory::{Held, Memory};
use crate::engine::{Events as _, Place, Turn};
use crate::flight::Flights;
use crate::nginx::conf::MainConf;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::nginx::io::events::{Events, Handlers};
use crate::nginx::sys;
use crate::nginx::sys::{NAME, OutOfMemory, rc};
use crate::parking::Ticket;
use crate::reason::{Reason, StoreReason};
use crate::redis::query::Command;
use crate::variants::Variants;
use crate::warnings::{Warnings, details};

/// Requests that are resumed in one turn of the event loop, and bytes of values that they send:
/// the others wait for the next turn, so that other locations are not starved.
const RESUMED_A_TURN: usize = 256;
const BYTES_A_TURN: usize = 4 << 20;

/// The state of a worker process.
pub(in crate::nginx) struct Worker {
    desk: Desk<Nginx>,
    backends: Vec<Backend>,
    warnings: Warnings,
    write_warnings: Warnings,
    has_advised: bool,
    variants: Variants,
    codings: coding::Queue,
    background: refreshes::Background,
    flights: Flights,
}

/// nginx's `init_process`: builds the state of this worker.
pub(in crate::nginx) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes the cycle of this worker, which lives as long as the process.
    let (main, log) = unsafe {
        match MainConf::of(&*cycle) {
            Some(main) if !main.endpoints.is_empty() => (main, (*cycle).log),
            _ => return rc::OK,
        }
    };
    let handlers =
        Handlers { resume: on_resume, flush: on_flush, deadline: on_deadline, tick: on_tick };
    let backend = |(at, conf)| Backend::new(Nginx { main, conf }, at);
    let mut worker = Worker {
        desk: Desk::new(Events::new(main, log, &handlers)),
        backends: main.endpoints.iter().enumerate().map(backend).collect(),
        warnings: Warnings::default(),
        write_warnings: Warnings::default(),
        has_advised: false,
        variants: Variants::default(),
        codings: coding::Queue::default(),
        background: refreshes::Background::default(),
        flights: Flights::default(),
    };
    // The processes that look after nginx's own caches come here too, and ask nothing.
    // SAFETY: nginx set it before it started this process.
    let serves = unsafe { matches!(ngx_process as u32, NGX_PROCESS_WORKER | NGX_PROCESS_SINGLE) };
    if serves && worker.backends.iter().any(|backend| backend.upstream.needs_upkeep()) {
        worker.desk.events.tick_after(Duration::from_millis(1));
    }
    main.process.replace(Some(Box::new(worker)));
    rc::OK
}

/// nginx's `exit_process`: closes connections to Redis.
pub(in crate::nginx) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes the cycle of this worker.
    let Some(main) = (unsafe { cycle.as_ref().and_then(MainConf::of) }) else { return };
    with(main, |worker| {
        worker.desk.events.clear();
        worker.background.clear();
        worker.backends.iter_mut().for_each(|backend| backend.upstream.close_all());
        Some(())
    });
    if let Ok(mut process) = main.process.try_borrow_mut() {
        process.take();
    }
}

/// Parks the request of `lookup` and asks Redis for `key`. The answer comes by
/// [`handler::resume`](super::http::handler::resume), never before this returns.
pub(in crate::nginx) fn ask(lookup: Lookup, asked: Asked, key: &[u8]) -> Result<(), Reason> {
    let main = lookup.request().main_conf().ok_or(Reason::Internal)?;
    lookup.cancel_with_request().map_err(|OutOfMemory| Reason::Internal)?;
    let ticket = with(main, |worker| Some(worker.ask(lookup, key))).ok_or(Reason::Internal)?;
    lookup.park(ticket?, asked);
    let (request, server) = (lookup.request(), lookup.server());
    ngx::ngx_log_debug_http!(request, "{NAME}: asks {}", server.as_deref().unwrap_or("its server"));
    Ok(())
}

/// Gives up the ticket of a request that is being destroyed.
pub(in crate::nginx) fn cancel(lookup: Lookup, ticket: Ticket) {
    lookup.decide(Reason::Internal);
    if let Some(main) = lookup.request().main_conf() {
        with(main, |worker| {
            let parked = worker.desk.lot.cancel(ticket)?;
            worker.left(&parked);
            Some(())
        });
    }
}

/// How many bytes of values may be taken in for a lookup.
pub(in crate::nginx) fn room(lookup: Lookup) -> usize {
    with_memory(lookup, Memory::room).unwrap_or(0)
}

/// Counts the decoded body of a page.
pub(in crate::nginx) fn hold(lookup: Lookup, body: Vec<u8>) -> Option<Held> {
    with_memory(lookup, |memory| memory.hold(body.into()))
}

fn with_memory<T>(lookup: Lookup, work: impl FnOnce(&Memory) -> T) -> Option<T> {
    let main = lookup.request().main_conf()?;
    with(main, |worker| Some(work(&worker.backends.get(lookup.active().endpoint)?.memory)))
}

/// Logs a fault of Redis, once an interval and reason.
pub(in crate::nginx) fn warn(lookup: Lookup, reason: Reason) {
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

/// Logs why an answer is not stored where the configuration can help it: once a worker.
pub(in crate::nginx) fn advise(lookup: Lookup, reason: StoreReason) {
    let Some(main) = lookup.request().main_conf() else { return };
    let has_advised = with(main, |worker| Some(std::mem::replace(&mut worker.has_advised, true)));
    if has_advised == Some(false) {
        let sentence = reason.sentence();
        let log = lookup.request().log();
        ngx::ngx_log_error!(NGX_LOG_WARN, log, "{NAME}: not stored: {reason}: {sentence}");
    }
}

/// Runs `work` on the worker's state; the state is free again before anything of nginx runs that
/// could come back here.
fn with<T>(main: &MainConf, work: impl FnOnce(&mut Worker) -> Option<T>) -> Option<T> {
    main.process.try_borrow_mut().ok()?.as_mut()?.downcast_mut().and_then(work)
}

/// Runs `work` on the connections to a server.
fn in_turn(
    main: &MainConf,
    place: Place,
    work: impl FnOnce(&mut Client<Nginx>, &mut Turn<'_, Nginx>),
) {
    with(main, |worker| {
        let backend = worker.backends.get_mut(place.endpoint)?;
        let (upstream, mut turn) = backend.turn(&mut worker.desk, Instant::now());
        work(upstream.client(place.server)?, &mut turn);
        worker.settle();
        Some(())
    });
}

impl Worker {
    fn ask(&mut self, lookup: Lookup, key: &[u8]) -> Result<Ticket, Reason> {
        let active = lookup.active();
        let plan = &active.plan;
        let backend = self.backends.get(active.endpoint).ok_or(Reason::Internal)?;
        if backend.memory.is_used_up() {
            return Err(Reason::Overload);
        }
        if plan.io == Io::Blocking && backend.upstream.is_pending(key) {
            return Err(Reason::Pending);
        }
        let (began, now, max_size) = (lookup.began(), Instant::now(), plan.max_size);
        let (server, way) =
            self.admit(active, (began, now), |upstream, turn| upstream.admit(key, max_size, turn));
        lookup.set_server(server);
        let way = way.map_err(|fault| lookup.fault(fault))?;
        let call = Call { active, began, now, key, max_size, command: Command::Get };
        Ok(self.park_and_ask(Parked::Lookup(lookup), call, way))
    }

    /// A waiter left the lot.
    fn left(&mut self, parked: &Parked) {
        let asks = !matches!(parked, Parked::Fill(_));
        if let Some(backend) = self.backends.get_mut(parked.endpoint()).filter(|_| asks) {
            backend.waiting = backend.waiting.saturating_sub(1);
        }
        if self.desk.lot.is_empty() {
            self.desk.events.let_exit();
        }
    }

    fn next_ready(&mut self) -> Option<(Parked, Found)> {
        let (parked, found) = self.desk.lot.next_ready()?;
        self.left(&parked);
        Some((parked, found))
    }

    fn next_expired(&mut self, now: Instant) -> Option<Parked> {
        let parked = self.desk.lot.next_expired(now)?;
        self.left(&parked);
        Some(parked)
    }

    /// Sends the lookups of this turn.
    fn flush(&mut self) {
        let now = Instant::now();
        for (place, connection) in self.desk.take_to_flush() {
            if let Some(backend) = self.backends.get_mut(place.endpoint) {
                let (upstream, mut turn) = backend.turn(&mut self.desk, now);
                if let Some(client) = upstream.client(place.server) {
                    client.flush(connection, &mut turn);
                }
            }
        }
        self.settle();
    }

    /// Has upstreams hear what their connections had to tell.
    fn settle(&mut self) {
        while let Some((place, report)) = self.desk.next_report() {
            if let Some(backend) = self.backends.get_mut(place.endpoint) {
                let (upstream, mut turn) = backend.turn(&mut self.desk, Instant::now());
                upstream.take(place.server, report, &mut turn);
            }
        }
    }

    /// Has upstreams keep up what they know.
    fn tick(&mut self) {
        if sys::worker_is_exiting() {
            return;
        }
        for backend in &mut self.backends {
            let (upstream, mut turn) = backend.turn(&mut self.desk, Instant::now());
            upstream.tick(&mut turn);
        }
        self.settle();
    }

    /// Has upstreams take up what the resolver has found.
    fn take_resolved(&mut self, main: &MainConf) {
        for resolved in main.resolved.take() {
            if let Some(backend) = self.backends.get_mut(resolved.place.endpoint) {
                backend.upstream.take_addresses(resolved, &mut self.desk);
            }
        }
    }
}

unsafe extern "C" fn on_resume(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::owner_of::<MainConf>(event) }) else { return };
    let mut bytes = 0;
    for _ in 0..RESUMED_A_TURN {
        let Some((parked, found)) = with(main, Worker::next_ready) else { return };
        if let Found::Held(held) = &found {
            bytes += held.value.len();
        }
        // SAFETY: it has just left the lot.
        unsafe { parked.resume(main, found) };
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
    let Some(main) = (unsafe { Events::owner_of::<MainConf>(event) }) else { return };
    with(main, |worker| {
        worker.flush();
        Some(())
    });
}

unsafe extern "C" fn on_deadline(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { Events::owner_of::<MainConf>(event) }) else { return };
    let now = Instant::now();
    while let Some(parked) = with(main, |worker| worker.next_expired(now)) {
        // SAFETY: as in `on_resume`.
        unsafe { parked.resume(main, Found::Fault(Reason::Timeout.into())) };
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
    let Some(main) = (unsafe { Events::owner_of::<MainConf>(event) }) else { return };
    with(main, |worker| {
        worker.tick();
        worker.take_resolved(main);
        if worker.backends.iter().any(|backend| backend.upstream.needs_upkeep()) {
            worker.desk.events.tick_soon();
        }
        Some(())
    });
}
