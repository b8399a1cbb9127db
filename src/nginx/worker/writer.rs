//! Writes on their way to Redis. They wait in the lot like lookups, within the same time budget,
//! but belong to no request: a client that leaves takes none of them back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::{NGX_LOG_WARN, ngx_cycle};

use super::backend::Call;
use super::parked::Parked;
use super::{Worker, flights, system};
use crate::config::Io;
use crate::engine::Level;
use crate::engine::desk::Found;
use crate::engine::memory::{Memory, Share};
use crate::fault::Fault;
use crate::flight::{Landing, Leader};
use crate::nginx::conf::{ActivePlan, MainConf};
use crate::nginx::http::hold;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::NAME;
use crate::reason::{Reason, StoreReason};
use crate::redis::query::Command;
use crate::redis::write::{Next, Write, Written};
use crate::warnings::details;

/// The lookup whose answer waits for a write, for as long as its request lives.
pub(in crate::nginx) type Holder = Rc<Cell<Option<Lookup>>>;

/// One write that waits for a reply.
pub(in crate::nginx) struct Job {
    write: Write,
    pub plan: &'static ActivePlan,
    began: Instant,
    holder: Option<Holder>,
    /// Who fetched the page, and for whom others wait.
    leader: Option<Leader>,
    /// The server that was asked last.
    pub server: Option<Rc<str>>,
    /// What a step failed with last.
    fault: Option<Fault>,
    _share: Option<Share>,
}

/// What became of an invalidation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::nginx) enum Outcome {
    /// The pages are gone.
    Gone,
    /// Redis could not be asked, and will be.
    Late,
    /// They are there as before.
    Failed,
}

/// What the error log says of a write that failed.
struct Failure {
    what: &'static str,
    is_late: bool,
    endpoint: usize,
    server: Option<Rc<str>>,
    reason: Reason,
    cause: Option<Rc<str>>,
}

impl Job {
    fn failure(&self, reason: Reason) -> Failure {
        let is_late = self.is_carried_out_late() && !reason.is_final();
        let what = match (self.is_carried_out_late(), reason.is_final()) {
            (true, false) => "an invalidation is late",
            (true, true) => "an invalidation was dropped",
            (false, _) => "a write was dropped",
        };
        let fault = self.fault.as_ref().filter(|fault| fault.reason == reason);
        let cause = fault.and_then(|fault| fault.cause.clone());
        let (endpoint, server) = (self.plan.endpoint, self.server.clone());
        Failure { what, is_late, endpoint, server, reason, cause }
    }

    /// Whether it is carried out later if it cannot be now.
    fn is_carried_out_late(&self) -> bool {
        self.holder.is_some() && self.plan.plan.io == Io::Event
    }
}

/// A share of the memory of the endpoint that `lookup` asks.
pub(in crate::nginx) fn share(lookup: Lookup) -> Option<Share> {
    super::with_memory(lookup, Memory::share)
}

/// Hands a page over, to be kept for `ttl` milliseconds.
pub(in crate::nginx) fn fill(
    lookup: Lookup,
    write: Write,
    ttl: i64,
    share: Share,
) -> Result<(), StoreReason> {
    let main = lookup.request().main_conf().ok_or(StoreReason::Internal)?;
    admit(lookup, &write, ttl)?;
    hand_over(main, lookup.active(), (write, lookup.take_lead()), share)
}

/// Whether the page does not have too many variants yet; this one counts from now on.
pub(in crate::nginx) fn admit(lookup: Lookup, write: &Write, ttl: i64) -> Result<(), StoreReason> {
    let main = lookup.request().main_conf().ok_or(StoreReason::Internal)?;
    let ttl = Duration::from_millis(u64::try_from(ttl).unwrap_or(0));
    let is_one_too_many = |(page, key): (&[u8], &[u8])| {
        super::with(main, |worker| Some(worker.variants.admit(page, key, ttl, Instant::now())))
            == Some(false)
    };
    match write.variant_keys().is_some_and(is_one_too_many) {
        true => Err(StoreReason::Variants),
        false => Ok(()),
    }
}

/// Hands a page over that was admitted; its request may be gone.
pub(super) fn hand_over(
    main: &MainConf,
    plan: &'static ActivePlan,
    (write, leader): (Write, Option<Leader>),
    share: Share,
) -> Result<(), StoreReason> {
    let job = Job {
        write,
        plan,
        began: Instant::now(),
        holder: None,
        leader,
        server: None,
        fault: None,
        _share: Some(share),
    };
    send(main, job).map_err(|reason| {
        if let Some(leader) = leader {
            flights::end(main, leader, Landing::Lost);
        }
        match reason {
            Reason::Overload => StoreReason::Overload,
            _ => StoreReason::Fault,
        }
    })
}

/// Hands tombstones over; [`hold::release`] is called for `holder` when they are written, or
/// could not be.
pub(in crate::nginx) fn invalidate(
    lookup: Lookup,
    write: Write,
    holder: &Holder,
) -> Result<(), Reason> {
    let main = lookup.request().main_conf().ok_or(Reason::Internal)?;
    let job = Job {
        write,
        plan: lookup.active(),
        began: Instant::now(),
        holder: Some(Rc::clone(holder)),
        leader: None,
        server: None,
        fault: None,
        _share: None,
    };
    send(main, job)
}

fn send(main: &MainConf, job: Job) -> Result<(), Reason> {
    send_next(main, Box::new(job)).map_err(|failure| {
        warn(main, &failure);
        failure.reason
    })
}

/// Sends the next command of a write that can be sent.
fn send_next(main: &MainConf, mut job: Box<Job>) -> Result<(), Failure> {
    loop {
        let lost = job.failure(Reason::Internal);
        let sent = super::with(main, |worker| Some(worker.send(job))).ok_or(lost)?;
        let (back, fault) = match sent {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        job = back;
        let reason = fault.reason;
        job.fault = Some(fault);
        super::with(main, |worker| worker.note_if_late(&job));
        match job.write.on_reply(Written::Fault(reason)) {
            Next::Send => {}
            Next::Failed(reason) => return Err(job.failure(reason)),
            Next::Done | Next::Raced => return Ok(()),
        }
    }
}

/// Goes on with a write whose answer is there.
pub(in crate::nginx) fn resume(main: &MainConf, mut job: Box<Job>, found: &Found) {
    if let Found::Fault(fault) = found {
        job.fault = Some(fault.clone());
        super::with(main, |worker| worker.note_if_late(&job));
    }
    let next = job.write.on_reply(match found {
        Found::Done => Written::Done,
        Found::Nil => Written::Refused,
        Found::Fault(fault) => Written::Fault(fault.reason),
        Found::Held(_) => Written::Fault(Reason::Protocol),
    });
    let (holder, leader) = (job.holder.clone(), job.leader);
    let server = job.server.as_deref().unwrap_or("its server");
    system::say(Level::Debug, &format!("a write to {server}: {next:?}"));
    let failure = match next {
        Next::Send => match send_next(main, job) {
            Ok(()) => return,
            Err(failure) => Some(failure),
        },
        Next::Failed(reason) => Some(job.failure(reason)),
        Next::Done | Next::Raced => None,
    };
    if let Some(leader) = leader {
        let landing = if failure.is_none() { Landing::Stored } else { Landing::Lost };
        flights::end(main, leader, landing);
    }
    let outcome = match &failure {
        None => Outcome::Gone,
        Some(failure) if failure.is_late => Outcome::Late,
        Some(_) => Outcome::Failed,
    };
    if let Some(failure) = failure {
        warn(main, &failure);
    }
    if let Some(lookup) = holder.and_then(|holder| holder.take()) {
        // SAFETY: the holder is emptied when its request is destroyed.
        unsafe { hold::release(lookup, outcome) };
    }
}

/// Logs a write that failed, once an interval and reason.
fn warn(main: &MainConf, failure: &Failure) {
    let Failure { what, endpoint, server, reason, cause, .. } = failure;
    let upstream = main.endpoints.get(*endpoint).map_or("", |endpoint| &endpoint.name);
    let name = server.as_deref().unwrap_or(upstream);
    let admitted =
        super::with(main, |worker| worker.write_warnings.admit(name, *reason, Instant::now()));
    let Some(kept_back) = admitted else { return };
    let details = details(name, cause.as_deref(), kept_back);
    let sentence = reason.sentence();
    // SAFETY: the cycle is set while a worker runs. The request of a write may be gone.
    let log = unsafe { (*ngx_cycle).log };
    ngx::ngx_log_error!(NGX_LOG_WARN, log, "{NAME}: {what}: {reason}: {sentence} ({details})");
}

impl Worker {
    /// The next step of a write has failed, for its request.
    fn note_if_late(&mut self, job: &Job) -> Option<()> {
        if job.is_carried_out_late() {
            let key = job.write.key()?;
            let upstream = &self.backends.get(job.plan.endpoint)?.upstream;
            upstream.is_late(key, job.write.purpose(), &mut self.desk);
        }
        Some(())
    }

    /// Has an invalidation carried out that its request does not wait for.
    fn carry_out_late(&mut self, job: &Job, key: &[u8], command: Vec<u8>) {
        let Some(backend) = self.backends.get_mut(job.plan.endpoint) else { return };
        if job.is_carried_out_late() {
            let (upstream, mut turn) = backend.turn(&mut self.desk, Instant::now());
            upstream.carry_out(key, job.write.purpose(), command, &mut turn);
            self.settle();
        }
    }

    /// Parks a write and sends its next command.
    fn send(&mut self, mut job: Box<Job>) -> Result<(), (Box<Job>, Fault)> {
        let (active, began, now) = (job.plan, job.began, Instant::now());
        let Some((key, command)) =
            job.write.command().map(|(key, command)| (key.to_vec(), command))
        else {
            return Err((job, Reason::Internal.into()));
        };
        let purpose = job.write.purpose();
        let (server, way) =
            self.admit(active, (began, now), |upstream, turn| upstream.route(&key, purpose, turn));
        job.server = server;
        let way = match way {
            Ok(way) => way,
            Err(fault) => {
                self.carry_out_late(&job, &key, command);
                return Err((job, fault));
            }
        };
        let command = match job.write.invalidates() {
            true => Command::Invalidate(command),
            false => Command::Write(command),
        };
        let call = Call { active, began, now, key: &key, max_size: 0, command };
        self.park_and_ask(Parked::Write(job), call, way);
        Ok(())
    }
}
