//! The events of a worker that belong to no connection: parked requests are resumed, lookups of a
//! turn are sent, deadlines pass, upstreams are looked after.

use std::ffi::c_void;
use std::ptr;
use std::time::{Duration, Instant};

use ngx::ffi::{
    ngx_add_timer, ngx_del_timer, ngx_delete_posted_event, ngx_event_t, ngx_int_t, ngx_log_t,
    ngx_post_event, ngx_posted_events, ngx_posted_next_events,
};

use super::conf::MainConf;

/// How often upstreams are looked after.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// A handler of nginx's events.
pub(super) type Handler = unsafe extern "C" fn(*mut ngx_event_t);

/// The events; nginx holds pointers to them, so they live in a box.
pub(super) struct Events {
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
    main: *const MainConf,
}

impl Events {
    /// Events of the worker whose state is in `main`.
    pub fn new(
        main: &MainConf,
        log: *mut ngx_log_t,
        resume: Handler,
        flush: Handler,
        deadline: Handler,
        tick: Handler,
    ) -> Box<Self> {
        let event = |handler| ngx_event_t {
            handler: Some(handler),
            log,
            // SAFETY: an all-zero event is what nginx itself starts with.
            ..unsafe { std::mem::zeroed() }
        };
        let mut events = Box::new(Self {
            resume: event(resume),
            flush: event(flush),
            deadline: event(deadline),
            tick: event(tick),
            armed: None,
            owner: Owner { pointers: [ptr::null_mut(); 3], ident: -1, main },
        });
        let owner = (&raw mut events.owner).cast::<c_void>();
        events.resume.data = owner;
        events.flush.data = owner;
        events.deadline.data = owner;
        events.tick.data = owner;
        events.tick.set_cancelable(1);
        events
    }

    /// The configuration whose worker an event of ours belongs to.
    ///
    /// # Safety
    /// The event is one of [`Events`].
    pub unsafe fn main_of<'a>(event: *mut ngx_event_t) -> Option<&'a MainConf> {
        // SAFETY: `data` points at the owner, whose configuration lives as long as the process.
        unsafe { (*event).data.cast::<Owner>().as_ref().and_then(|owner| owner.main.as_ref()) }
    }

    /// Resumes requests at the end of this turn.
    pub fn post_resume(&mut self) {
        // SAFETY: the event is ours and lives as long as the worker.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_events) }
    }

    /// Resumes further requests in the next turn.
    pub fn post_resume_for_next_turn(&mut self) {
        // SAFETY: as in `post_resume`.
        unsafe { ngx_post_event(&raw mut self.resume, &raw mut ngx_posted_next_events) }
    }

    /// Sends lookups at the end of this turn.
    pub fn post_flush(&mut self) {
        // SAFETY: as in `post_resume`.
        unsafe { ngx_post_event(&raw mut self.flush, &raw mut ngx_posted_events) }
    }

    /// Sees to it that the tick event is set.
    pub fn tick_soon(&mut self) {
        if self.tick.timer_set() == 0 {
            self.tick_after(TICK);
        }
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

    /// Keeps a graceful exit waiting while anybody is parked, and only then.
    pub fn hold_exit(&mut self, parked: bool) {
        self.deadline.set_cancelable(u32::from(!parked));
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
