//! The events of a worker that belong to no connection: parked requests are resumed, lookups of a
//! turn are sent, deadlines pass, upstreams are looked after.

use std::ffi::c_void;
use std::ptr;
use std::time::{Duration, Instant};

use ngx::ffi::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_t, ngx_int_t, ngx_log_t,
    ngx_post_event, ngx_posted_events, ngx_posted_next_events,
};

use crate::engine;

/// How often upstreams are looked after.
const TICK: Duration = Duration::from_millis(250);

/// A handler of nginx's events.
type Handler = unsafe extern "C" fn(*mut ngx_event_t);

/// Those of the events below.
pub(in crate::nginx) struct Handlers {
    pub resume: Handler,
    pub flush: Handler,
    pub deadline: Handler,
    pub tick: Handler,
}

/// The events; nginx holds pointers to them, so they live in a box.
pub(in crate::nginx) struct Events {
    resume: ngx_event_t,
    flush: ngx_event_t,
    deadline: ngx_event_t,
    tick: ngx_event_t,
    /// What the deadline event is set to.
    armed: Option<Instant>,
    owner: Owner,
}

/// What `data` of the events points at. nginx's debug log reads a descriptor behind three
/// pointers, as in `ngx_connection_t`.
#[repr(C)]
struct Owner {
    pointers: [*mut c_void; 3],
    ident: ngx_int_t,
    owner: *const c_void,
}

impl Events {
    /// Events that belong to `owner`, which handlers ask for by [`Self::owner_of`].
    pub fn new<T>(owner: &'static T, log: *mut ngx_log_t, handlers: &Handlers) -> Box<Self> {
        let event = |handler| ngx_event_t {
            handler: Some(handler),
            log,
            // SAFETY: an all-zero event is what nginx itself starts with.
            ..unsafe { std::mem::zeroed() }
        };
        let mut events = Box::new(Self {
            resume: event(handlers.resume),
            flush: event(handlers.flush),
            deadline: event(handlers.deadline),
            tick: event(handlers.tick),
            armed: None,
            owner: Owner {
                pointers: [ptr::null_mut(); 3],
                ident: -1,
                owner: ptr::from_ref(owner).cast(),
            },
        });
        let owner = (&raw mut events.owner).cast::<c_void>();
        events.resume.data = owner;
        events.flush.data = owner;
        events.deadline.data = owner;
        events.tick.data = owner;
        events.tick.set_cancelable(1);
        events
    }

    /// Whose event it is.
    ///
    /// # Safety
    /// The event is one of [`Events`] that were made for a `T`.
    pub unsafe fn owner_of<T>(event: *mut ngx_event_t) -> Option<&'static T> {
        // SAFETY: the caller guarantees it; `data` points at the record with its owner.
        unsafe { (*event).data.cast::<Owner>().as_ref()?.owner.cast::<T>().as_ref() }
    }

    /// Resumes further requests in the next turn.
    pub fn post_resume_for_next_turn(&mut self) {
        // SAFETY: the event is ours and lives as long as the worker.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_next_events) }
    }

    /// Sets the tick event, which does not keep an exiting worker.
    pub fn tick_after(&mut self, after: Duration) {
        let millis = usize::try_from(after.as_millis()).unwrap_or(usize::MAX);
        // SAFETY: the event is ours, and not set.
        unsafe { ngx_add_timer(&raw mut self.tick, millis) }
    }

    /// The deadline event has fired.
    pub fn deadline_fired(&mut self) {
        self.armed = None;
    }

    /// Nobody is parked any more for whom a graceful exit would wait.
    pub fn let_exit(&mut self) {
        self.deadline.set_cancelable(1);
    }

    /// Sees to it that the deadline event fires at `wanted` or earlier. It stays set when nobody
    /// waits any more: it is cancelable then, and setting it anew for every lookup would cost.
    pub fn set_deadline(&mut self, wanted: Instant, now: Instant) {
        if self.armed.is_some_and(|armed| armed <= wanted) {
            return;
        }
        let timer = &raw mut self.deadline;
        let millis = wanted.saturating_duration_since(now).max(Duration::from_millis(1));
        let millis = usize::try_from(millis.as_micros().div_ceil(1000)).unwrap_or(usize::MAX);
        // SAFETY: the event is ours. nginx ignores small moves of a timer, so it is deleted first.
        unsafe {
            if (*timer).timer_set() != 0 {
                ngx_del_timer(timer);
            }
            ngx_add_timer(timer, millis);
        }
        self.armed = Some(wanted);
    }

    /// Takes the events out of nginx's queues.
    pub fn clear(&mut self) {
        // SAFETY: the events are ours; a posted or timed one is in a queue or tree of nginx.
        unsafe {
            for event in [&raw mut self.resume, &raw mut self.flush] {
                if (*event).posted() != 0 {
                    ngx_delete_posted_event(event);
                }
            }
            for timer in [&raw mut self.deadline, &raw mut self.tick] {
                if (*timer).timer_set() != 0 {
                    ngx_del_timer(timer);
                }
            }
        }
    }
}

impl engine::Events for Box<Events> {
    fn post_resume(&mut self) {
        // SAFETY: the event is ours and lives as long as the worker.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_events) }
    }

    fn post_flush(&mut self) {
        // SAFETY: as in `post_resume`.
        unsafe { ngx_post_event(&raw mut self.flush, &raw mut ngx_posted_events) }
    }

    fn tick_soon(&mut self) {
        if self.tick.timer_set() == 0 {
            self.tick_after(TICK);
        }
    }

    fn wait_until(&mut self, deadline: Instant, now: Instant) {
        self.deadline.set_cancelable(0);
        self.set_deadline(deadline, now);
    }
}
