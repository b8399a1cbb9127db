//! What becomes of the application's answer, and what the request was prepared with for that.

use std::rc::Rc;

use super::collect::Collecting;
use super::hold::Hold;
use crate::engine::memory::Held;
use crate::entry::Page;
use crate::reason::StoreReason;

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
    /// The stored page that the application is asked to confirm.
    pub stale: Option<StalePage>,
    /// If-None-Match, If-Modified-Since or Range of the client is kept from the application.
    pub is_conditional: bool,
}

/// A stored page that the application may confirm, with the memory that it lies in.
pub(in crate::nginx) struct Confirmable<'a> {
    pub page: Page<'a>,
    pub stale: StalePage,
}

/// That memory, while the application is asked.
pub(in crate::nginx) struct StalePage {
    pub held: Held,
    /// The client itself takes its content coding.
    pub coding_accepted: bool,
}
