//! Who waits for an answer of Redis: a parked request, or a write.

use std::rc::Rc;

use super::writer;
use super::writer::Job;
use crate::engine;
use crate::engine::desk::Found;
use crate::nginx::conf::MainConf;
use crate::nginx::http::handler;
use crate::nginx::http::lookup::Lookup;

/// Who waits for an answer.
pub(in crate::nginx) enum Parked {
    /// A request, which is alive as long as it is in the lot.
    Lookup(Lookup),
    /// A request that waits for another one to fetch its page.
    Fill(Lookup),
    /// A write.
    Write(Box<Job>),
}

impl Parked {
    /// The index of the endpoint.
    pub fn endpoint(&self) -> usize {
        match self {
            Self::Lookup(lookup) | Self::Fill(lookup) => lookup.active().endpoint,
            Self::Write(job) => job.plan.endpoint,
        }
    }

    /// Goes on with what waited.
    ///
    /// # Safety
    /// It has just left the lot.
    pub unsafe fn resume(self, main: &MainConf, found: Found) {
        match self {
            // SAFETY: a lookup in the lot is that of a live request.
            Self::Lookup(lookup) | Self::Fill(lookup) => unsafe { handler::resume(lookup, found) },
            Self::Write(job) => writer::resume(main, job, &found),
        }
    }
}

impl engine::Parked for Parked {
    fn is_asked_of(&mut self, server: &Rc<str>) {
        let server = Some(Rc::clone(server));
        match self {
            Self::Lookup(lookup) => lookup.set_server(server),
            Self::Fill(_) => {}
            Self::Write(job) => job.server = server,
        }
    }
}
