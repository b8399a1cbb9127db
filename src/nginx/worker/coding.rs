//! Pages that are coded on their way to Redis: what takes long is done by nginx's threads.

use std::collections::VecDeque;
use std::time::Instant;

use super::{system, writer};
use crate::coder;
use crate::engine::Level;
use crate::engine::memory::Share;
use crate::nginx::conf::{ActivePlan, MainConf};
use crate::nginx::http::lookup::Lookup;
use crate::policy::Compress;
use crate::reason::StoreReason;
use crate::redis::write::Write;

/// The longest body that holds the worker for its coding, where nginx has no threads: a few
/// milliseconds at the fastest level.
const LONGEST_WITHOUT_THREADS: usize = 1 << 20;

/// How a page is coded.
pub(in crate::nginx) struct Recipe {
    /// Its head in the coded form.
    pub head: Vec<u8>,
    pub compress: &'static Compress,
}

/// A page that is to be coded and written.
pub(in crate::nginx) struct Uncoded {
    pub write: Write,
    /// The length of its head.
    pub head: usize,
    pub recipe: Recipe,
}

impl Uncoded {
    fn body(&mut self) -> &[u8] {
        let head = self.head;
        self.write.page_mut().and_then(|page| page.get(head..)).unwrap_or_default()
    }

    /// Puts the coded form in the place of the page, if it is worth it.
    fn code(&mut self, is_urgent: bool) {
        let compress = self.recipe.compress;
        let Some(body) = compress.code(self.body(), is_urgent) else { return };
        let mut coded = std::mem::take(&mut self.recipe.head);
        coded.extend_from_slice(&body);
        if let Some(page) = self.write.page_mut() {
            *page = coded;
        }
    }
}

/// What a thread of nginx codes for a worker: one page at a time, so that workers and threads do not
/// compete for more cores than there are workers.
#[derive(Default)]
pub(super) struct Queue {
    is_busy: bool,
    waiting: VecDeque<Waiting>,
}

/// A page that waits for its turn.
struct Waiting {
    uncoded: Uncoded,
    plan: &'static ActivePlan,
    /// When its lookup began.
    began: Instant,
    share: Share,
}

impl Waiting {
    fn is_late(&self) -> bool {
        self.uncoded.write.is_late(self.began.elapsed())
    }

    fn hand_over(self, main: &MainConf) {
        if self.is_late() {
            system::say(Level::Debug, "a page took too long to be coded, and is not written");
            return;
        }
        // A failure is in the log; nobody waits for this write.
        _ = writer::hand_over(main, self.plan, self.uncoded.write, self.share);
    }
}

/// Hands a page over, coded, to be kept for `ttl` milliseconds.
pub(in crate::nginx) fn code_and_fill(
    lookup: Lookup,
    mut uncoded: Uncoded,
    ttl: i64,
    mut share: Share,
) -> Result<(), StoreReason> {
    let main = lookup.request().main_conf().ok_or(StoreReason::Internal)?;
    let Compress { coding, level, .. } = *uncoded.recipe.compress;
    let length = uncoded.body().len();
    // Where there is no room for both forms the page is stored as it is.
    if !share.grow(length) {
        return writer::fill(lookup, uncoded.write, ttl, share);
    }
    if length <= coder::quick(coding, level) {
        uncoded.code(false);
        return writer::fill(lookup, uncoded.write, ttl, share);
    }
    writer::admit(lookup, &uncoded.write, ttl)?;
    let waiting = Waiting { uncoded, plan: lookup.active(), began: lookup.began(), share };
    super::with(main, |worker| {
        worker.codings.waiting.push_back(waiting);
        Some(())
    });
    go_on(main);
    Ok(())
}

/// Has the next page coded, if none is.
fn go_on(main: &'static MainConf) {
    let next = super::with(main, |worker| {
        let queue = &mut worker.codings;
        queue.waiting.retain(|waiting| !waiting.is_late());
        let next = if queue.is_busy { None } else { queue.waiting.pop_front() };
        queue.is_busy |= next.is_some();
        next
    });
    let Some(Waiting { uncoded, plan, began, share }) = next else { return };
    let done = move |uncoded| {
        Waiting { uncoded, plan, began, share }.hand_over(main);
        super::with(main, |worker| {
            worker.codings.is_busy = false;
            Some(())
        });
        go_on(main);
    };
    let left = match main.threads {
        Some(threads) => threads.run(uncoded, |uncoded| uncoded.code(false), done),
        None => Err((uncoded, done)),
    };
    if let Err((mut uncoded, done)) = left {
        if uncoded.body().len() <= LONGEST_WITHOUT_THREADS {
            uncoded.code(true);
        }
        done(uncoded);
    }
}
