//! What one worker process holds: the engines, the parked requests, and the two events that
//! bring requests back: the one that resumes them and the one of their deadlines.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ngx::ffi::{
    NGX_LOG_WARN, ngx_add_timer, ngx_cycle_t, ngx_del_timer, ngx_delete_posted_event, ngx_event_t,
    ngx_int_t, ngx_post_event, ngx_posted_events, ngx_posted_next_events,
};

use super::conf::{EndpointConf, MainConf};
use super::context::{Life, Lookup, Step};
use super::{NAME, handler, rc};
use crate::parking::{Lot, Ticket};
use crate::reason::Reason;
use crate::redis::Reply;
use crate::redis::blocking::{Pool, PoolSettings};
use crate::warnings::Warnings;

/// Requests that are resumed in one turn of the event loop, and bytes of values that they send:
/// the others wait for the next turn, so that other locations are not starved.
const RESUMED_A_TURN: usize = 64;
const BYTES_A_TURN: usize = 4 << 20;

/// A value whose memory counts against `redis_cache_buffers` for as long as it lives.
pub(super) struct Held<T> {
    pub value: T,
    size: usize,
    used: Rc<Cell<usize>>,
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.used.set(self.used.get().saturating_sub(self.size));
    }
}

/// What a parked request is resumed with.
pub(super) enum Answer {
    Value(Held<Bytes>),
    Nil,
    Fault(Reason),
}

struct Waiter {
    lookup: NonNull<Lookup>,
    endpoint: usize,
}

struct Endpoint {
    pool: Pool,
    waiting: usize,
    used: Rc<Cell<usize>>,
}

/// The state of a worker process.
pub(super) struct Worker {
    lot: Lot<Waiter, Answer>,
    endpoints: Vec<Endpoint>,
    warnings: Warnings,
    events: Events,
    /// What the deadline event is set to.
    armed: Option<Instant>,
}

/// The events; nginx holds pointers to them, so they live in the worker's box.
struct Events {
    resume: ngx_event_t,
    deadline: ngx_event_t,
    owner: Owner,
}

/// What `ngx_event_t.data` points at. nginx's debug log reads a descriptor behind three
/// pointers, as in `ngx_connection_t`.
#[repr(C)]
struct Owner {
    pointers: [*mut c_void; 3],
    ident: ngx_int_t,
    main: *const MainConf,
}

/// nginx's `init_process`: builds the state of this worker.
pub(super) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes the cycle of this worker, which lives as long as the process; an
    // all-zero event is what nginx itself starts with.
    unsafe {
        let Some(main) = MainConf::of(&*cycle) else { return rc::OK };
        if main.endpoints.is_empty() {
            return rc::OK;
        }
        let event = |handler: unsafe extern "C" fn(*mut ngx_event_t)| ngx_event_t {
            handler: Some(handler),
            log: (*cycle).log,
            ..std::mem::zeroed()
        };
        let mut worker = Box::new(Worker {
            lot: Lot::default(),
            endpoints: main.endpoints.iter().map(Endpoint::new).collect(),
            warnings: Warnings::default(),
            events: Events {
                resume: event(on_resume),
                deadline: event(on_deadline),
                owner: Owner { pointers: [ptr::null_mut(); 3], ident: -1, main },
            },
            armed: None,
        });
        let owner = (&raw mut worker.events.owner).cast::<c_void>();
        worker.events.resume.data = owner;
        worker.events.deadline.data = owner;
        main.worker.replace(Some(worker));
    }
    rc::OK
}

/// nginx's `exit_process`: closes connections to Redis.
pub(super) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes the cycle of this worker.
    let main = unsafe { cycle.as_ref().and_then(MainConf::of) };
    let worker = main.and_then(|main| main.worker.try_borrow_mut().ok()?.take());
    if let Some(mut worker) = worker {
        worker.events.clear();
    }
}

/// Parks the request of `lookup` and asks Redis for `key`. The answer comes by
/// [`handler::resume`], never before this returns.
pub(super) fn ask(lookup: &mut Lookup, step: Step, key: &[u8]) -> Result<(), Reason> {
    let main = lookup.request().main_conf().ok_or(Reason::Internal)?;
    let mut worker = main.worker.try_borrow_mut().map_err(|_| Reason::Internal)?;
    let worker = worker.as_mut().ok_or(Reason::Internal)?;
    lookup.cancel_with_request().ok_or(Reason::Internal)?;
    let ticket = worker.ask(lookup, key)?;
    lookup.life = Life::Waiting(ticket, step);
    Ok(())
}

/// Gives up the ticket of a request that is being destroyed.
pub(super) fn cancel(lookup: &mut Lookup, ticket: Ticket) {
    lookup.life = Life::Decided(Reason::Internal);
    let main = lookup.request().main_conf();
    if let Some(mut worker) = main.and_then(|main| main.worker.try_borrow_mut().ok()) {
        if let Some(worker) = worker.as_mut() {
            let waiter = worker.lot.cancel(ticket);
            worker.left(waiter.as_ref());
        }
    }
}

/// Logs a fault of Redis, once an interval and reason.
pub(super) fn warn(lookup: &Lookup, reason: Reason) {
    let Some(main) = lookup.request().main_conf() else { return };
    let endpoint = lookup.plan.endpoint;
    let name = main.endpoints.get(endpoint).map_or("", |endpoint| &endpoint.name);
    let kept_back =
        main.worker.try_borrow_mut().ok().and_then(|mut worker| {
            worker.as_mut()?.warnings.admit(endpoint, reason, Instant::now())
        });
    let Some(kept_back) = kept_back else { return };
    let more = if kept_back == 0 {
        String::new()
    } else {
        format!(", {kept_back} more since the last such line")
    };
    let log = lookup.request().log();
    let sentence = reason.sentence();
    ngx::ngx_log_error!(NGX_LOG_WARN, log, "{NAME}: {reason}: {sentence} ({name}{more})");
}

impl Endpoint {
    fn new(conf: &EndpointConf) -> Self {
        let settings = &conf.connections;
        Self {
            pool: Pool::new(PoolSettings {
                endpoint: settings.endpoint.clone(),
                addresses: conf.addresses.clone(),
                connections: settings.connections,
                connect_timeout: settings.connect_timeout,
                breaker: settings.breaker,
            }),
            waiting: 0,
            used: Rc::new(Cell::new(0)),
        }
    }
}

impl Worker {
    fn ask(&mut self, lookup: &mut Lookup, key: &[u8]) -> Result<Ticket, Reason> {
        let active = lookup.plan;
        let settings = &active.plan.connections;
        let endpoint = self.endpoints.get_mut(active.endpoint).ok_or(Reason::Internal)?;
        if endpoint.waiting >= settings.queue || endpoint.used.get() >= settings.buffers {
            return Err(Reason::Overload);
        }
        let now = Instant::now();
        let deadline = lookup.began + active.plan.timeout;
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Err(Reason::Timeout);
        }
        endpoint.waiting += 1;
        let waiter = Waiter { lookup: NonNull::from(lookup), endpoint: active.endpoint };
        let ticket = self.lot.park(waiter, deadline);
        let answer = match endpoint.pool.get(key, left, active.plan.max_size) {
            Reply::Value(value) => endpoint.hold(value, settings.buffers),
            Reply::Nil => Answer::Nil,
            Reply::Fault(reason) => Answer::Fault(reason),
        };
        self.lot.deposit(ticket, answer);
        self.events.post();
        self.set_deadline();
        Ok(ticket)
    }

    /// A waiter left the lot.
    fn left(&mut self, waiter: Option<&Waiter>) {
        let endpoint = waiter.and_then(|waiter| self.endpoints.get_mut(waiter.endpoint));
        if let Some(endpoint) = endpoint {
            endpoint.waiting = endpoint.waiting.saturating_sub(1);
        }
        self.set_deadline();
    }

    fn next_ready(&mut self) -> Option<(Waiter, Answer)> {
        let (waiter, answer) = self.lot.next_ready()?;
        self.left(Some(&waiter));
        Some((waiter, answer))
    }

    fn next_expired(&mut self, now: Instant) -> Option<Waiter> {
        let (_, waiter) = self.lot.next_expired(now)?;
        self.left(Some(&waiter));
        Some(waiter)
    }

    /// Keeps the deadline event set while anybody is parked: it ends lookups whose answer never
    /// comes, and a worker that exits gracefully waits for it. Gone when nobody is parked.
    fn set_deadline(&mut self) {
        let wanted = self.lot.earliest_deadline();
        let timer = &raw mut self.events.deadline;
        // SAFETY: the event is ours and lives as long as the worker. nginx ignores small moves
        // of a timer, so a timer that moves is deleted first.
        unsafe {
            let is_set = (*timer).timer_set() != 0;
            if self.lot.is_empty() {
                if is_set {
                    ngx_del_timer(timer);
                }
                self.armed = None;
                return;
            }
            let moves_forward = match (wanted, self.armed) {
                (Some(wanted), Some(armed)) => wanted < armed,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if is_set && !moves_forward {
                return;
            }
            if is_set {
                ngx_del_timer(timer);
            }
            let now = Instant::now();
            let at = wanted.unwrap_or(now + Duration::from_secs(1));
            let millis = at.saturating_duration_since(now).as_millis() + 1;
            ngx_add_timer(timer, usize::try_from(millis).unwrap_or(usize::MAX));
            self.armed = Some(at);
        }
    }
}

impl Endpoint {
    /// Counts the memory of a value; one that does not fit any more is an overload.
    fn hold(&self, value: Bytes, limit: usize) -> Answer {
        let size = value.len();
        let used = self.used.get().saturating_add(size);
        if used > limit {
            return Answer::Fault(Reason::Overload);
        }
        self.used.set(used);
        Answer::Value(Held { value, size, used: Rc::clone(&self.used) })
    }
}

impl Events {
    fn post(&mut self) {
        // SAFETY: the event is ours and lives as long as the worker.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_events) }
    }

    fn post_for_next_turn(&mut self) {
        // SAFETY: as in `post`.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_next_events) }
    }

    fn clear(&mut self) {
        // SAFETY: the events are ours; a posted or timed event is in the queue or tree of nginx.
        unsafe {
            if self.resume.posted() != 0 {
                ngx_delete_posted_event(&raw mut self.resume);
            }
            if self.deadline.timer_set() != 0 {
                ngx_del_timer(&raw mut self.deadline);
            }
        }
    }
}

/// The configuration whose worker an event belongs to.
unsafe fn main_of(event: *mut ngx_event_t) -> Option<&'static MainConf> {
    // SAFETY: `data` of our events points at their owner, whose configuration lives as long as
    // the process.
    unsafe { (*event).data.cast::<Owner>().as_ref().and_then(|owner| owner.main.as_ref()) }
}

/// Runs `work` on the worker's state; the state is free again before anything of nginx runs.
fn with<T>(main: &MainConf, work: impl FnOnce(&mut Worker) -> Option<T>) -> Option<T> {
    main.worker.try_borrow_mut().ok()?.as_mut().and_then(|worker| work(worker))
}

unsafe extern "C" fn on_resume(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { main_of(event) }) else { return };
    let mut bytes = 0;
    for _ in 0..RESUMED_A_TURN {
        let Some((waiter, answer)) = with(main, Worker::next_ready) else { return };
        if let Answer::Value(held) = &answer {
            bytes += held.size;
        }
        // SAFETY: a lookup in the lot is that of a live request; it has just left the lot.
        unsafe { handler::resume(waiter.lookup, answer) };
        if bytes >= BYTES_A_TURN {
            break;
        }
    }
    with(main, |worker| {
        if worker.lot.has_ready() {
            worker.events.post_for_next_turn();
        }
        Some(())
    });
}

unsafe extern "C" fn on_deadline(event: *mut ngx_event_t) {
    // SAFETY: nginx passes our event.
    let Some(main) = (unsafe { main_of(event) }) else { return };
    with(main, |worker| {
        worker.armed = None;
        Some(())
    });
    let now = Instant::now();
    while let Some(waiter) = with(main, |worker| worker.next_expired(now)) {
        // SAFETY: as in `on_resume`.
        unsafe { handler::resume(waiter.lookup, Answer::Fault(Reason::Timeout)) };
    }
    with(main, |worker| {
        worker.set_deadline();
        Some(())
    });
}
