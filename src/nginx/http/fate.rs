//! What becomes of the application's answer, and what the request was prepared with for that.

use std::rc::Rc;

use super::collect::Collecting;
use super::flight;
use super::hold::Hold;
use super::lookup::Lookup;
use crate::engine::memory::Held;
use crate::entry::Page;
use crate::nginx::sys::NAME;
use crate::nginx::worker;
use crate::policy::Form;
use crate::reason::{Reason, StoreReason};

/// What becomes of the application's answer.
pub(in crate::nginx) enum Fate {
    /// Nothing is kept, and nothing asked for it.
    Unasked,
    /// It may be stored, should its header say so.
    Armed(Box<Armed>),
    /// Its body is being collected.
    Collecting(Box<Collecting>),
    /// It went to Redis, or is not stored: why.
    Settled(StoreReason),
    /// Should it be a success, the pages under these keys are no longer good.
    Invalidates(Vec<Vec<u8>>),
    /// It waits for the invalidation.
    Held(Rc<Hold>),
}

/// A request whose answer may be stored.
pub(in crate::nginx) struct Armed {
    /// When the application was asked, in milliseconds since 1970.
    pub asked: i64,
    /// The application is asked to confirm the page that [`Lookup::take_stale`] has.
    pub asks_to_confirm: bool,
    /// If-None-Match, If-Modified-Since or Range of the client is kept from the application.
    pub is_conditional: bool,
}

/// A stored page that the application may confirm, or that may be sent if it fails, with the memory that
/// it lies in.
pub(in crate::nginx) struct Confirmable<'a> {
    pub page: Page<'a>,
    pub stale: StalePage,
}

/// That memory, while the application is asked, and why the page does not answer by itself.
pub(in crate::nginx) struct StalePage {
    pub reason: Reason,
    pub held: Held,
    /// In which form the client gets it.
    pub form: Form,
}

impl Lookup {
    /// Sets what becomes of the application's answer, and gives what was to become of it before.
    pub fn set_fate(self, fate: Fate) -> Fate {
        self.fate().replace(fate)
    }

    /// The one door by which it is known what became of storing the answer.
    pub fn settle(self, reason: StoreReason) {
        let request = self.request();
        ngx::ngx_log_debug_http!(request, "{NAME}: store: {reason}");
        if reason != StoreReason::Queued {
            self.end_flight(flight::landing_of(reason));
        }
        if reason == StoreReason::LengthUnknown {
            worker::advise(self, reason);
        }
        self.set_fate(Fate::Settled(reason));
    }

    /// Runs `work` on what becomes of the answer; it calls nothing of nginx.
    pub fn with_fate<T>(self, work: impl FnOnce(&mut Fate) -> T) -> T {
        work(&mut self.fate().borrow_mut())
    }

    /// Whether the answer may be stored.
    pub fn is_armed(self) -> bool {
        self.with_fate(|fate| matches!(fate, Fate::Armed(_)))
    }

    /// Whether the application is asked to confirm the stored page.
    pub fn asks_to_confirm(self) -> bool {
        self.with_fate(|fate| matches!(fate, Fate::Armed(armed) if armed.asks_to_confirm))
    }

    /// Why the answer is or is not stored, as far as it is known; `None` where nothing asked.
    pub fn store_reason(self) -> Option<StoreReason> {
        self.with_fate(|fate| match fate {
            Fate::Unasked | Fate::Invalidates(_) | Fate::Held(_) => None,
            Fate::Armed(_) | Fate::Collecting(_) => Some(StoreReason::Incomplete),
            Fate::Settled(reason) => Some(*reason),
        })
    }
}
