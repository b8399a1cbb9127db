//! Requests of our own that fetch stale pages anew: nobody waits for them, and nobody's leaving ends them.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use crate::nginx::conf::MainConf;
use crate::nginx::http::flight::page_of;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::io::inner::Inner;
use crate::nginx::sys::request::Request;
use crate::refresh::{Busy, Refreshes};

/// Those of a worker.
#[derive(Default)]
pub(super) struct Background {
    pages: Refreshes,
    /// By the numbers of their connections.
    running: HashMap<usize, Running>,
}

struct Running {
    page: u64,
    /// It was looked up under the same key.
    has_reached: bool,
    _client: Inner,
}

impl Background {
    /// Drops the clients of all.
    pub fn clear(&mut self) {
        self.running.clear();
    }
}

/// Why a page is not fetched.
pub(in crate::nginx) enum Refusal {
    /// Another request has it fetched, or will.
    Busy,
    /// It cannot be done.
    Failed,
}

/// Sends `text`, the request for the page of `lookup` without its visitor, as if from `peer`.
pub(in crate::nginx) fn begin(lookup: Lookup, peer: &[u8], text: &[u8]) -> Result<(), Refusal> {
    let main = lookup.request().main_conf().ok_or(Refusal::Failed)?;
    let limit = lookup.plan().fetch.background_limit;
    let page = page_of(lookup, lookup.key_bytes());
    let begun = super::with(main, |worker| {
        Some(worker.background.pages.begin(page, limit, Instant::now()))
    });
    match begun {
        Some(Ok(())) => {}
        Some(Err(Busy::Page | Busy::Limit)) => return Err(Refusal::Busy),
        Some(Err(Busy::OutOfReach)) | None => return Err(Refusal::Failed),
    }
    let on_end = |number| -> Rc<dyn Fn()> { Rc::new(move || end(main, number)) };
    // nginx runs here, so that nothing of the worker may be borrowed.
    let sent = Inner::send(lookup.request(), peer, text, on_end);
    let kept = super::with(main, |worker| {
        let background = &mut worker.background;
        match sent {
            Some((number, client)) => {
                background
                    .running
                    .insert(number, Running { page, has_reached: false, _client: client });
                main.refreshing.set(background.running.len());
                Some(())
            }
            None => {
                background.pages.end(page, false, Instant::now());
                None
            }
        }
    });
    kept.ok_or(Refusal::Failed)
}

fn end(main: &MainConf, number: usize) {
    let ended = super::with(main, |worker| {
        let running = worker.background.running.remove(&number)?;
        main.refreshing.set(worker.background.running.len());
        worker.background.pages.end(running.page, running.has_reached, Instant::now());
        Some(running)
    });
    drop(ended);
}

/// Whether a request is one of these.
pub(in crate::nginx) fn is_refresh(request: Request) -> bool {
    if !any(request) {
        return false;
    }
    let Some(main) = request.main_conf() else { return false };
    let found = super::with(main, |worker| {
        Some(worker.background.running.contains_key(&number_of(request)?))
    });
    request.is_main() && found == Some(true)
}

/// A refresh has come to the page that it is for: what comes of it now is the application's affair.
pub(in crate::nginx) fn reached(lookup: Lookup) {
    let Some(main) = lookup.request().main_conf() else { return };
    let page = page_of(lookup, lookup.key_bytes());
    super::with(main, |worker| {
        let running = worker.background.running.get_mut(&number_of(lookup.request())?)?;
        running.has_reached |= running.page == page;
        Some(())
    });
}

/// The number of the connection of a request.
fn number_of(request: Request) -> Option<usize> {
    // SAFETY: a live request has a connection.
    usize::try_from(unsafe { (*request.connection()).number }).ok()
}

/// Whether any runs, so that one may be among the requests.
pub(in crate::nginx) fn any(request: Request) -> bool {
    request.main_conf().is_some_and(|main| main.refreshing.get() > 0)
}
