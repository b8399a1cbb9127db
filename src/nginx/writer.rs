//! Writes on their way to Redis. They wait in the lot like lookups, within the same time budget,
//! but belong to no request: a client that leaves takes none of them back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ngx::ffi::{NGX_LOG_WARN, ngx_cycle};

use super::client::Wanted;
use super::conf::{ActivePlan, MainConf};
use super::context::Lookup;
use super::desk::{Found, Parked};
use super::memory::Share;
use super::upstream::Admitted;
use super::worker::{self, Worker};
use super::{NAME, hold};
use crate::config::Io;
use crate::fault::Fault;
use crate::reason::{Reason, StoreReason};
use crate::redis::Reply;
use crate::redis::query::{self, Command};
use crate::redis::write::{Next, Write, Written};
use crate::warnings::details;

/// The lookup whose answer waits for a write, for as long as its request lives.
pub(super) type Holder = Rc<Cell<Option<Lookup>>>;

/// One write that waits for a reply.
pub(super) struct Job {
    write: Write,
    pub plan: &'static ActivePlan,
    began: Instant,
    holder: Option<Holder>,
    /// The server that was asked last.
    pub server: Option<Rc<str>>,
    /// What a step failed with last.
    fault: Option<Fault>,
    _share: Option<Share>,
}

/// What the error log says of a write that failed.
struct Failure {
    what: &'static str,
    endpoint: usize,
    server: Option<Rc<str>>,
    reason: Reason,
    cause: Option<Rc<str>>,
}

impl Job {
    fn failure(&self, reason: Reason) -> Failure {
        let what = match (self.is_carried_out_late(), reason.is_final()) {
            (true, false) => "an invalidation is late",
            (true, true) => "an invalidation was dropped",
            (false, _) => "a write was dropped",
        };
        let fault = self.fault.as_ref().filter(|fault| fault.reason == reason);
        let cause = fault.and_then(|fault| fault.cause.clone());
        Failure { what, endpoint: self.plan.endpoint, server: self.server.clone(), reason, cause }
    }

    /// Whether it is carried out later if it cannot be now.
    fn is_carried_out_late(&self) -> bool {
        self.holder.is_some() && self.plan.plan.io == Io::Event
    }
}

/// A share of the memory of the endpoint that `lookup` asks.
pub(super) fn share(lookup: Lookup) -> Option<Share> {
    let main = lookup.request().main_conf()?;
    worker::with(main, |worker| Some(worker.endpoint(lookup.active())?.memory.share()))
}

/// Hands a page over, to be kept for `ttl` milliseconds.
pub(super) fn fill(
    lookup: Lookup,
    write: Write,
    ttl: i64,
    share: Share,
) -> Result<(), StoreReason> {
    let main = lookup.request().main_conf().ok_or(StoreReason::Internal)?;
    let ttl = Duration::from_millis(u64::try_from(ttl).unwrap_or(0));
    let is_one_too_many = |(page, key): (&[u8], &[u8])| {
        worker::with(main, |worker| Some(worker.variants.admit(page, key, ttl, Instant::now())))
            == Some(false)
    };
    if write.variant_keys().is_some_and(is_one_too_many) {
        return Err(StoreReason::Variants);
    }
    let job = Job {
        write,
        plan: lookup.active(),
        began: Instant::now(),
        holder: None,
        server: None,
        fault: None,
        _share: Some(share),
    };
    send(main, job).map_err(|reason| match reason {
        Reason::Overload => StoreReason::Overload,
        _ => StoreReason::Fault,
    })
}

/// Hands tombstones over; [`hold::release`] is called for `holder` when they are written, or
/// could not be.
pub(super) fn invalidate(lookup: Lookup, write: Write, holder: &Holder) -> Result<(), Reason> {
    let main = lookup.request().main_conf().ok_or(Reason::Internal)?;
    let job = Job {
        write,
        plan: lookup.active(),
        began: Instant::now(),
        holder: Some(Rc::clone(holder)),
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
        let sent = worker::with(main, |worker| Some(worker.send(job))).ok_or(lost)?;
        let (back, fault) = match sent {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        job = back;
        let reason = fault.reason;
        job.fault = Some(fault);
        worker::with(main, |worker| worker.note_if_late(&job));
        match job.write.on_reply(Written::Fault(reason)) {
            Next::Send => {}
            Next::Failed(reason) => return Err(job.failure(reason)),
            Next::Done | Next::Raced => return Ok(()),
        }
    }
}

/// Goes on with a write whose answer is there.
pub(super) fn resume(main: &MainConf, mut job: Box<Job>, found: &Found) {
    if let Found::Fault(fault) = found {
        job.fault = Some(fault.clone());
        worker::with(main, |worker| worker.note_if_late(&job));
    }
    let next = job.write.on_reply(match found {
        Found::Done => Written::Done,
        Found::Nil => Written::Refused,
        Found::Fault(fault) => Written::Fault(fault.reason),
        Found::Held(_) => Written::Fault(Reason::Protocol),
    });
    let holder = job.holder.clone();
    let failure = match next {
        Next::Send => match send_next(main, job) {
            Ok(()) => return,
            Err(failure) => Some(failure),
        },
        Next::Failed(reason) => Some(job.failure(reason)),
        Next::Done | Next::Raced => None,
    };
    if let Some(failure) = failure {
        warn(main, &failure);
    }
    if let Some(lookup) = holder.and_then(|holder| holder.take()) {
        // SAFETY: the holder is emptied when its request is destroyed.
        unsafe { hold::release(lookup) };
    }
}

/// Logs a write that failed, once an interval and reason.
fn warn(main: &MainConf, failure: &Failure) {
    let Failure { what, endpoint, server, reason, cause } = failure;
    let upstream = main.endpoints.get(*endpoint).map_or("", |endpoint| &endpoint.name);
    let name = server.as_deref().unwrap_or(upstream);
    let admitted =
        worker::with(main, |worker| worker.write_warnings.admit(name, *reason, Instant::now()));
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
            let upstream = &self.endpoints.get(job.plan.endpoint)?.upstream;
            upstream.is_late(key, job.write.purpose(), &mut self.desk);
        }
        Some(())
    }

    /// Whether a write may be sent now, and to which server; `None` where it is asked and waited for.
    fn admit(
        &mut self,
        job: &mut Job,
        key: &[u8],
        now: Instant,
    ) -> Result<Option<Admitted>, Fault> {
        let (active, plan) = (job.plan, &job.plan.plan);
        let endpoint = self.endpoints.get_mut(active.endpoint).ok_or(Reason::Internal)?;
        if endpoint.waiting >= plan.connections.queue {
            return Err(Reason::Overload.into());
        }
        if now >= job.began + plan.timeout {
            return Err(Reason::Timeout.into());
        }
        if plan.io == Io::Blocking {
            return Ok(None);
        }
        let upstream = &mut endpoint.upstream;
        let routed = upstream.route(key, job.write.purpose(), now, &mut self.desk);
        let server = match &routed {
            Ok(admitted) => admitted.server(),
            Err(refusal) => refusal.server,
        };
        job.server = server.and_then(|server| upstream.name_of(server));
        routed.map(Some).map_err(|refusal| refusal.fault)
    }

    /// Has an invalidation carried out that its request does not wait for.
    fn carry_out_late(&mut self, job: &Job, key: &[u8], command: Vec<u8>) {
        let Some(endpoint) = self.endpoints.get_mut(job.plan.endpoint) else { return };
        if job.is_carried_out_late() {
            let (purpose, desk) = (job.write.purpose(), &mut self.desk);
            endpoint.upstream.carry_out(key, purpose, command, desk, &endpoint.memory);
            self.settle();
        }
    }

    /// Parks a write and sends its next command.
    fn send(&mut self, mut job: Box<Job>) -> Result<(), (Box<Job>, Fault)> {
        let (active, began) = (job.plan, job.began);
        let plan = &active.plan;
        let now = Instant::now();
        let left = (began + plan.timeout).saturating_duration_since(now);
        let Some((key, command)) =
            job.write.command().map(|(key, command)| (key.to_vec(), command))
        else {
            return Err((job, Reason::Internal.into()));
        };
        let admitted = match self.admit(&mut job, &key, now) {
            Ok(admitted) => admitted,
            Err(fault) => {
                self.carry_out_late(&job, &key, command);
                return Err((job, fault));
            }
        };
        let Some(endpoint) = self.endpoints.get_mut(active.endpoint) else {
            return Err((job, Reason::Internal.into()));
        };
        endpoint.waiting += 1;
        let invalidates = job.write.invalidates();
        let ticket = self.desk.lot.park(Parked::Write(job), began, plan.timeout);
        match admitted {
            Some(admitted) => {
                let waiter = query::Waiter { ticket, max_size: 0 };
                let wanted = Wanted {
                    key: &key,
                    waiter,
                    timeout: plan.timeout,
                    command: match invalidates {
                        true => Command::Invalidate(command),
                        false => Command::Write(command),
                    },
                };
                endpoint.upstream.ask(admitted, wanted, &mut self.desk, &endpoint.memory);
                self.settle();
            }
            None => {
                let answer = match endpoint.pool.write(command, left) {
                    Reply::Done => Found::Done,
                    Reply::Nil => Found::Nil,
                    Reply::Fault(fault) => Found::Fault(fault),
                    Reply::Value(_) => Found::Fault(Reason::Protocol.into()),
                };
                self.desk.deposit(ticket, answer);
            }
        }
        self.desk.wait_until(began + plan.timeout, now);
        Ok(())
    }
}
