//! The life of one lookup, kept beside its request.
//!
//! A named location clears nginx's own module contexts, so the lookup lives in a cleanup record
//! of the request's pool and is found there by its request.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::{ngx_http_cleanup_add, ngx_pool_cleanup_add};

use super::collect::Collecting;
use super::conf::ActivePlan;
use super::hold::Hold;
use super::memory::Held;
use super::request::Request;
use super::{fill, worker};
use crate::key::Key;
use crate::parking::Ticket;
use crate::reason::{Reason, StoreReason};
use crate::redis::write::Seen;

/// What a lookup is doing.
pub(super) enum Life {
    /// Nothing is decided yet.
    Begun,
    /// The request is parked until the answer to this step comes.
    Waiting(Ticket, Step),
    /// The reason is known, and with it the status.
    Decided(Reason),
}

/// What was asked.
#[derive(Clone)]
pub(super) enum Step {
    /// The value under the request's key.
    First,
    /// The variant of a page that varies.
    Variant(Variant),
}

/// One variant of a page that varies.
#[derive(Clone)]
pub(super) struct Variant {
    /// The request fields that the marker names, in lower case.
    pub fields: Vec<String>,
    pub generation: String,
    pub key: Vec<u8>,
}

/// What lies under the keys that were asked for, for a fill that replaces it.
pub(super) struct Found {
    /// Under the request's key.
    pub first: Seen,
    /// The variant that the marker leads to, and what lies there.
    pub variant: Option<(Variant, Seen)>,
}

/// What becomes of the application's answer.
pub(super) enum Fate {
    /// Nothing is kept, and nothing asked for it.
    Unasked,
    /// It may be stored, should its header say so.
    Armed(Box<Armed>),
    /// It is not stored, and why.
    NotStored(StoreReason),
    /// Its body is being collected.
    Collecting(Box<Collecting>),
    /// It went to Redis.
    Queued,
    /// Should it be a success, the pages under these keys are no longer good.
    Invalidates(Vec<Vec<u8>>),
    /// It waits for the invalidation.
    Held(Box<Hold>),
}

/// A request whose answer may be stored.
pub(super) struct Armed {
    /// When the application was asked, in milliseconds since 1970.
    pub asked: i64,
    /// The stored page that the application is asked to confirm, and whether the client takes
    /// its content coding.
    pub stale: Option<(Held, bool)>,
    /// If-None-Match, If-Modified-Since or Range of the client is kept from the application.
    pub is_conditional: bool,
}

/// One lookup of one request.
pub(super) struct Lookup {
    request: Request,
    /// The plan of the location that looks up.
    pub plan: &'static ActivePlan,
    pub life: Life,
    pub key: Option<Key>,
    pub began: Instant,
    /// How long Redis was waited for; `None` where it was not asked.
    pub took: Option<Duration>,
    /// The server that was asked; none where it was not known yet.
    pub server: Option<Rc<str>>,
    /// Seconds since the page was new.
    pub age: Option<u64>,
    /// Seconds for which the page stays fresh.
    pub ttl: Option<u64>,
    /// The memory of the value that is being sent.
    pub value: Option<Held>,
    /// What was found, where it may be replaced.
    pub found: Option<Box<Found>>,
    pub fate: Fate,
    /// The client has its whole response; what comes of the application's body is dropped.
    pub client_is_answered: bool,
    /// Cache-Status was added.
    pub status_sent: bool,
    cancels_with_request: bool,
}

impl Lookup {
    /// Begins a lookup, which takes the place of an earlier one of this request; `None` is out of
    /// memory.
    pub fn begin<'a>(request: Request, plan: &'static ActivePlan) -> Option<&'a mut Self> {
        if let Some(earlier) = Self::of(request) {
            fill::disarm(earlier)?;
        }
        let lookup = Self {
            request,
            plan,
            life: Life::Begun,
            key: None,
            began: Instant::now(),
            took: None,
            server: None,
            age: None,
            ttl: None,
            value: None,
            found: None,
            fate: Fate::Unasked,
            client_is_answered: false,
            status_sent: false,
            cancels_with_request: false,
        };
        // SAFETY: the record lives as long as the request's pool, and so does the lookup, which
        // its handler drops. It lies outside of the pool, which nginx sizes for its own needs: a
        // pool that overflows costs more than an allocation.
        unsafe {
            let cleanup = ngx_pool_cleanup_add(request.pool(), 0).as_mut()?;
            let place = Box::into_raw(Box::new(lookup));
            cleanup.data = place.cast();
            cleanup.handler = Some(drop_lookup);
            Some(&mut *place)
        }
    }

    /// The latest lookup of a request, through internal redirects.
    pub fn of<'a>(request: Request) -> Option<&'a mut Self> {
        // SAFETY: the records of a pool form a list that ends with null; those with our handler
        // hold a `Lookup`.
        unsafe {
            let mut record = (*request.pool()).cleanup;
            while let Some(found) = record.as_mut() {
                if found.handler.is_some_and(|h| std::ptr::fn_addr_eq(h, DROP_LOOKUP)) {
                    let lookup = &mut *found.data.cast::<Self>();
                    if lookup.request == request {
                        return Some(lookup);
                    }
                }
                record = found.next;
            }
        }
        None
    }

    /// Keeps a value, and gives its bytes.
    ///
    /// # Safety
    /// The bytes are not used after `value` is set anew, or the request's pool is freed.
    pub unsafe fn keep<'a>(&mut self, held: Held) -> &'a [u8] {
        let (start, length) = (held.value.as_ptr(), held.value.len());
        self.value = Some(held);
        // SAFETY: the value lives until then, as the caller guarantees; nothing writes to it.
        unsafe { std::slice::from_raw_parts(start, length) }
    }

    pub fn request(&self) -> Request {
        self.request
    }

    /// Whether the application is asked to confirm the stored page.
    pub fn asks_to_confirm(&self) -> bool {
        matches!(&self.fate, Fate::Armed(armed) if armed.stale.is_some())
    }

    /// Why the answer is or is not stored, as far as it is known; `None` where nothing asked.
    pub fn store_reason(&self) -> Option<StoreReason> {
        match self.fate {
            Fate::Unasked | Fate::Invalidates(_) | Fate::Held(_) => None,
            Fate::Armed(_) | Fate::Collecting(_) => Some(StoreReason::Incomplete),
            Fate::NotStored(reason) => Some(reason),
            Fate::Queued => Some(StoreReason::Queued),
        }
    }

    pub fn reason(&self) -> Option<Reason> {
        match self.life {
            Life::Decided(reason) => Some(reason),
            Life::Begun | Life::Waiting(..) => None,
        }
    }

    /// Sees to it that ticket and hold die with the request: at once when nginx terminates it, not
    /// only when its pool is freed. `None` is out of memory.
    pub fn cancel_with_request(&mut self) -> Option<()> {
        if !self.cancels_with_request {
            // SAFETY: the record lives as long as the main request; `self` lives as long as the
            // pool that the request and its subrequests share.
            let cleanup = unsafe { ngx_http_cleanup_add(self.request.as_ptr(), 0).as_mut()? };
            cleanup.handler = Some(cancel_lookup);
            cleanup.data = std::ptr::from_mut(self).cast();
            self.cancels_with_request = true;
        }
        Some(())
    }
}

type CleanupHandler = unsafe extern "C" fn(*mut c_void);

const DROP_LOOKUP: CleanupHandler = drop_lookup;

unsafe extern "C" fn drop_lookup(data: *mut c_void) {
    // SAFETY: nginx passes what `begin` set, once.
    drop(unsafe { Box::from_raw(data.cast::<Lookup>()) });
}

unsafe extern "C" fn cancel_lookup(data: *mut c_void) {
    // SAFETY: nginx passes what `cancel_with_request` set, while the pool is alive.
    let lookup = unsafe { NonNull::new(data.cast::<Lookup>()).map(|mut found| found.as_mut()) };
    if let Some(lookup) = lookup {
        if let Fate::Held(hold) = &lookup.fate {
            hold.let_go();
        }
        if let Life::Waiting(ticket, _) = lookup.life {
            worker::cancel(lookup, ticket);
        }
    }
}
