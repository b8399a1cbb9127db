//! The life of one lookup, kept beside its request.
//!
//! A named location clears nginx's own module contexts, so the state lies in a cleanup record of the
//! request's pool and is found there by its request. nginx comes back to this module in the middle of
//! almost everything that it is asked for, so nobody holds a reference into the state across such a
//! call: a [`Lookup`] is a handle, and each of its methods is done with the state when it returns.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::{ngx_http_cleanup_add, ngx_pool_cleanup_add};

use crate::config::Plan;
use crate::fault::Fault;
use crate::flight::Landing;
use crate::key::Key;
use crate::nginx::conf::ActivePlan;
use crate::nginx::http::fate::Fate;
use crate::nginx::http::fill;
use crate::nginx::http::flight::Flying;
use crate::nginx::http::kept::Kept;
use crate::nginx::http::rewrite::Sent;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{NAME, OutOfMemory};
use crate::nginx::worker;
use crate::parking::Ticket;
use crate::policy::{Reuse, Variant};
use crate::reason::Reason;

/// What was asked.
#[derive(Clone)]
pub(in crate::nginx) enum Asked {
    /// The value under the request's key.
    First,
    /// The variant of a page that varies.
    Variant(Variant),
    /// The page that another request fetches.
    Fill,
}

/// What a lookup is doing.
enum Life {
    /// Nothing is decided yet.
    Begun,
    /// The request is parked until the answer to what was asked comes.
    Waiting(Ticket, Asked),
    /// The status is known.
    Decided(Decision),
}

/// What a lookup came to.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Decision {
    pub reason: Reason,
    /// Seconds since the page was new.
    pub age: Option<u64>,
    /// Seconds for which the page stays fresh; below 0 it is stale.
    pub ttl: Option<i64>,
}

impl Decision {
    /// A stored page is sent.
    pub fn page(reason: Reason, reuse: &Reuse) -> Self {
        let ttl = reuse.ttl.and_then(|ttl| i64::try_from(ttl).ok());
        Self { reason, age: reuse.age, ttl }
    }
}

impl From<Reason> for Decision {
    fn from(reason: Reason) -> Self {
        Self { reason, age: None, ttl: None }
    }
}

/// One lookup of one request: a handle, good for as long as nginx holds the request alive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::nginx) struct Lookup(NonNull<State>);

struct State {
    request: Request,
    plan: &'static ActivePlan,
    began: Cell<Instant>,
    life: RefCell<Life>,
    key: OnceCell<Key>,
    took: Cell<Option<Duration>>,
    server: RefCell<Option<Rc<str>>>,
    cause: RefCell<Option<Rc<str>>>,
    kept: Kept,
    flying: Flying,
    fate: RefCell<Fate>,
    sent: RefCell<Option<Sent>>,
    client_is_answered: Cell<bool>,
    status_sent: Cell<bool>,
    cancels_with_request: Cell<bool>,
}

impl Lookup {
    /// Begins a lookup, which takes the place of an earlier one of this request.
    pub fn begin(request: Request, plan: &'static ActivePlan) -> Result<Self, OutOfMemory> {
        let mut stale = None;
        if let Some(earlier) = Self::of(request) {
            fill::disarm(earlier)?;
            // It may take the place of the error that has led here.
            stale = earlier.take_stale();
        }
        let state = State {
            request,
            plan,
            began: Cell::new(Instant::now()),
            life: RefCell::new(Life::Begun),
            key: OnceCell::new(),
            took: Cell::new(None),
            server: RefCell::new(None),
            cause: RefCell::new(None),
            kept: Kept::default(),
            flying: Flying::default(),
            fate: RefCell::new(Fate::Unasked),
            sent: RefCell::new(None),
            client_is_answered: Cell::new(false),
            status_sent: Cell::new(false),
            cancels_with_request: Cell::new(false),
        };
        // SAFETY: the record lives as long as the request's pool, and so does the state, which its
        // handler drops. It lies outside of the pool, which nginx sizes for its own needs: a pool
        // that overflows costs more than an allocation.
        unsafe {
            let cleanup = ngx_pool_cleanup_add(request.pool(), 0).as_mut().ok_or(OutOfMemory)?;
            let place = NonNull::from(Box::leak(Box::new(state)));
            cleanup.data = place.as_ptr().cast();
            cleanup.handler = Some(drop_state);
            if let Some(stale) = stale {
                Self(place).set_stale(stale);
            }
            Ok(Self(place))
        }
    }

    /// The latest lookup of a request, through internal redirects.
    pub fn of(request: Request) -> Option<Self> {
        // SAFETY: the records of a pool form a list that ends with null; those with our handler
        // hold a `State`.
        unsafe {
            let mut record = (*request.pool()).cleanup;
            while let Some(found) = record.as_ref() {
                if found.handler.is_some_and(|h| std::ptr::fn_addr_eq(h, DROP_STATE)) {
                    let lookup = NonNull::new(found.data.cast::<State>()).map(Self);
                    if let Some(lookup) = lookup.filter(|lookup| lookup.request() == request) {
                        return Some(lookup);
                    }
                }
                record = found.next;
            }
        }
        None
    }

    /// The lookup that [`Self::as_ptr`] gave.
    ///
    /// # Safety
    /// The request of the lookup is alive.
    pub unsafe fn from_ptr(pointer: *mut c_void) -> Option<Self> {
        NonNull::new(pointer.cast()).map(Self)
    }

    /// For the request's context.
    pub fn as_ptr(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    fn state(&self) -> &State {
        // SAFETY: the request is alive, as its view guarantees; all that changes lies in cells.
        unsafe { self.0.as_ref() }
    }

    pub fn request(self) -> Request {
        self.state().request
    }

    /// The plan of the location that looks up.
    pub fn plan(self) -> &'static Plan {
        &self.active().plan
    }

    /// That plan, and the endpoint that it asks.
    pub fn active(self) -> &'static ActivePlan {
        self.state().plan
    }

    pub fn began(self) -> Instant {
        self.state().began.get()
    }

    /// Begins anew, with all of its time: Redis was not waited for.
    pub fn restart(self) {
        self.state().began.set(Instant::now());
    }

    /// The key, once it is known.
    pub fn key(&self) -> Option<&Key> {
        self.state().key.get()
    }

    /// The bytes of the key; empty where it is not known.
    pub fn key_bytes(&self) -> &[u8] {
        self.key().map(|key| key.bytes.as_slice()).unwrap_or_default()
    }

    /// Sets the key, once.
    pub fn set_key(&self, key: Key) -> &Key {
        self.state().key.get_or_init(|| key)
    }

    /// The request is parked until the answer to what was `asked` comes.
    pub fn park(self, ticket: Ticket, asked: Asked) {
        self.state().life.replace(Life::Waiting(ticket, asked));
    }

    /// The ticket, while the request is parked.
    pub fn ticket(self) -> Option<Ticket> {
        match *self.state().life.borrow() {
            Life::Waiting(ticket, _) => Some(ticket),
            Life::Begun | Life::Decided(_) => None,
        }
    }

    /// The answer has come: what it is to. The lookup is as it was before it was parked.
    pub fn unpark(self) -> Asked {
        let state = self.state();
        let asked = match state.life.replace(Life::Begun) {
            Life::Waiting(_, asked) => asked,
            Life::Begun | Life::Decided(_) => Asked::First,
        };
        if !matches!(asked, Asked::Fill) {
            state.took.set(Some(state.began.get().elapsed()));
        }
        asked
    }

    /// The one door by which a lookup comes to its status.
    pub fn decide(self, decision: impl Into<Decision>) {
        let decision = decision.into();
        let Decision { reason, age, ttl } = decision;
        let status = reason.status().as_str();
        let request = self.request();
        ngx::ngx_log_debug_http!(request, "{NAME}: {status}: {reason}, age {age:?}, ttl {ttl:?}");
        self.state().life.replace(Life::Decided(decision));
    }

    /// What the lookup came to.
    pub fn decision(self) -> Option<Decision> {
        match *self.state().life.borrow() {
            Life::Decided(decision) => Some(decision),
            Life::Begun | Life::Waiting(..) => None,
        }
    }

    /// Why the lookup came to its status.
    pub fn reason(self) -> Option<Reason> {
        self.decision().map(|decision| decision.reason)
    }

    /// How long Redis was waited for, so far; `None` where it was not asked.
    pub fn waited(self) -> Option<Duration> {
        match self.ticket() {
            Some(_) => Some(self.began().elapsed()),
            None => self.state().took.get(),
        }
    }

    /// The server that was asked; none where it was not known yet.
    pub fn server(self) -> Option<Rc<str>> {
        self.state().server.borrow().clone()
    }

    pub fn set_server(self, server: Option<Rc<str>>) {
        self.state().server.replace(server);
    }

    /// What was behind the last fault of Redis.
    pub fn cause(self) -> Option<Rc<str>> {
        self.state().cause.borrow().clone()
    }

    /// Keeps what was behind a fault of Redis, and gives its reason.
    pub fn fault(self, fault: Fault) -> Reason {
        self.state().cause.replace(fault.cause);
        fault.reason
    }

    /// What it has to do with flights; see [`super::flight`].
    pub(super) fn flying(&self) -> &Flying {
        &self.state().flying
    }

    /// The values that it holds; see [`super::kept`].
    pub(super) fn kept(&self) -> &Kept {
        &self.state().kept
    }

    /// What becomes of the application's answer; see [`super::fate`].
    pub(super) fn fate(&self) -> &RefCell<Fate> {
        &self.state().fate
    }

    /// What a fill has taken the place of.
    pub fn sent(&self) -> &RefCell<Option<Sent>> {
        &self.state().sent
    }

    /// The client has its whole response; what comes of the application's body is dropped.
    pub fn client_is_answered(self) -> bool {
        self.state().client_is_answered.get()
    }

    /// See [`Self::client_is_answered`].
    pub fn set_client_is_answered(self) {
        self.state().client_is_answered.set(true);
    }

    /// Whether Cache-Status is still to be added; true once.
    pub fn is_to_send_status(self) -> bool {
        !self.state().status_sent.replace(true)
    }

    /// Sees to it that ticket and hold die with the request: at once when nginx terminates it, not
    /// only when its pool is freed.
    pub fn cancel_with_request(self) -> Result<(), OutOfMemory> {
        if !self.state().cancels_with_request.replace(true) {
            // SAFETY: the record lives as long as the main request; the state lives as long as the
            // pool that the request and its subrequests share.
            unsafe {
                let cleanup = ngx_http_cleanup_add(self.request().as_ptr(), 0);
                let cleanup = cleanup.as_mut().ok_or(OutOfMemory)?;
                cleanup.handler = Some(cancel_lookup);
                cleanup.data = self.as_ptr();
            }
        }
        Ok(())
    }
}

type CleanupHandler = unsafe extern "C" fn(*mut c_void);

const DROP_STATE: CleanupHandler = drop_state;

unsafe extern "C" fn drop_state(data: *mut c_void) {
    // SAFETY: nginx passes what `begin` set, while the request's pool is there.
    if let Some(lookup) = unsafe { Lookup::from_ptr(data) } {
        lookup.end_flight(Landing::Lost);
    }
    // SAFETY: nginx passes what `begin` set, once.
    drop(unsafe { Box::from_raw(data.cast::<State>()) });
}

unsafe extern "C" fn cancel_lookup(data: *mut c_void) {
    // SAFETY: nginx passes what `cancel_with_request` set, while the pool is alive.
    let Some(lookup) = (unsafe { Lookup::from_ptr(data) }) else { return };
    lookup.with_fate(|fate| {
        if let Fate::Held(hold) = fate {
            hold.let_go();
        }
    });
    lookup.end_flight(Landing::Lost);
    if let Some(ticket) = lookup.ticket() {
        lookup.leave_flight(ticket);
        worker::cancel(lookup, ticket);
    }
}
