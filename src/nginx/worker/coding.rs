//! Pages that are coded on their way to Redis: what takes long is done by nginx's threads.

use std::collections::VecDeque;
use std::time::Instant;

use super::{flights, system, writer};
use crate::coder;
use crate::engine::Level;
use crate::engine::memory::Share;
use crate::flight::{Landing, Leader};
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
    leader: Option<Leader>,
    share: Share,
}

impl Waiting {
    fn is_late(&self) -> bool {
        self.uncoded.write.is_late(self.began.elapsed())
    }

    fn hand_over(self, main: &MainConf) {
        if self.is_late() {
            system::say(Level::Debug, "a page took too long to be coded, and is not written");
            return self.give_up(main);
        }
        // A failure is in the log; nobody waits for this write.
        let Self { uncoded, plan, leader, share, .. } = self;
        _ = writer::hand_over(main, plan, (uncoded.write, leader), share);
    }

    fn give_up(self, main: &MainConf) {
        if let Some(leader) = self.leader {
            flights::end(main, leader, Landing::Lost);
        }
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
    let (plan, began, leader) = (lookup.active(), lookup.began(), lookup.take_lead());
    let waiting = Waiting { uncoded, plan, began, leader, share };
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
        let next = if queue.is_busy { None } else { queue.waiting.pop_front() };
        queue.is_busy |= next.is_some();
        next
    });
    let Some(next) = next else { return };
    if next.is_late() {
        next.hand_over(main);
        return turn_over(main);
    }
    let Waiting { uncoded, plan, began, leader, share } = next;
    let done = move |uncoded| {
        Waiting { uncoded, plan, began, leader, share }.hand_over(main);
        turn_over(main);
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

/// A page was coded: it is the next one's turn.
fn turn_over(main: &'static MainConf) {
    super::with(main, |worker| {
        worker.codings.is_busy = false;
        Some(())
    });
    go_on(main);
}
