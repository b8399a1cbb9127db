//! One endpoint in a worker, and the one way by which a lookup or a write comes to it.

use std::rc::Rc;
use std::time::Instant;

use super::Worker;
use super::parked::Parked;
use super::system::{Nginx, say};
use crate::config::Io;
use crate::engine::client::Wanted;
use crate::engine::desk::{Desk, Found};
use crate::engine::memory::Memory;
use crate::engine::upstream::{Admitted, Refusal, Upstream};
use crate::engine::{Events, Level, Turn};
use crate::fault::Fault;
use crate::nginx::conf::ActivePlan;
use crate::parking::Ticket;
use crate::reason::Reason;
use crate::redis::Reply;
use crate::redis::blocking::{Pool, PoolSettings};
use crate::redis::query::{Command, Waiter};

/// One endpoint in this worker.
pub(super) struct Backend {
    system: Nginx,
    pool: Pool,
    pub upstream: Upstream<Nginx>,
    /// How many wait for it.
    pub waiting: usize,
    pub memory: Memory,
}

/// What is asked for somebody who waits.
pub(super) struct Call<'a> {
    pub active: &'static ActivePlan,
    pub began: Instant,
    pub now: Instant,
    pub key: &'a [u8],
    pub max_size: usize,
    pub command: Command,
}

/// How it is asked.
pub(super) enum Way {
    /// By the event engine.
    Event(Admitted),
    /// By a query that holds the worker.
    Blocking,
}

impl Backend {
    pub fn new(system: Nginx, at: usize) -> Self {
        let Nginx { main, conf } = system;
        let settings = &conf.connections;
        let server = settings.upstream.only_server();
        Self {
            system,
            pool: Pool::new(PoolSettings {
                name: conf.name.clone(),
                notice: |sentence| say(Level::Notice, sentence),
                login: settings.upstream.login.clone(),
                addresses: server.map(|server| conf.addresses_of(server)).unwrap_or_default(),
                connections: settings.connections,
                connect_timeout: settings.connect_timeout,
                breaker: settings.breaker,
            }),
            upstream: Upstream::new(system, at, main.pending(at)),
            waiting: 0,
            memory: Memory::new(settings.buffers),
        }
    }

    /// The upstream, and what it works with in a turn that began at `now`.
    pub fn turn<'a>(
        &'a mut self,
        desk: &'a mut Desk<Nginx>,
        now: Instant,
    ) -> (&'a mut Upstream<Nginx>, Turn<'a, Nginx>) {
        let Self { system, upstream, memory, .. } = self;
        (upstream, Turn { system, now, desk, memory })
    }

    /// Asks, and waits for the answer.
    fn block(&mut self, call: Call<'_>) -> Found {
        let left = (call.began + call.active.plan.timeout).saturating_duration_since(call.now);
        let reply = match call.command {
            Command::Get => self.pool.get(call.key, left, call.max_size),
            Command::Write(command) | Command::Invalidate(command) => {
                self.pool.write(command, left)
            }
        };
        match reply {
            Reply::Value(value) if self.memory.has_room_for(value.len()) => {
                Found::Held(self.memory.hold(value))
            }
            Reply::Value(_) => Found::Fault(Reason::Overload.into()),
            Reply::Nil => Found::Nil,
            Reply::Done => Found::Done,
            Reply::Fault(fault) => Found::Fault(fault),
        }
    }
}

impl Worker {
    /// Whether anything may be asked now, and how, as far as the event engine is to `choose`; and of
    /// which server it is.
    pub(super) fn admit(
        &mut self,
        active: &ActivePlan,
        (began, now): (Instant, Instant),
        choose: impl FnOnce(&mut Upstream<Nginx>, &mut Turn<'_, Nginx>) -> Result<Admitted, Refusal>,
    ) -> (Option<Rc<str>>, Result<Way, Fault>) {
        let plan = &active.plan;
        let Some(backend) = self.backends.get_mut(active.endpoint) else {
            return (None, Err(Reason::Internal.into()));
        };
        if backend.waiting >= plan.connections.queue {
            return (None, Err(Reason::Overload.into()));
        }
        if now >= began + plan.timeout {
            return (None, Err(Reason::Timeout.into()));
        }
        if plan.io == Io::Blocking {
            return (None, Ok(Way::Blocking));
        }
        let (upstream, mut turn) = backend.turn(&mut self.desk, now);
        let (server, way) = match choose(upstream, &mut turn) {
            Ok(admitted) => (admitted.server(), Ok(Way::Event(admitted))),
            Err(refusal) => (refusal.server, Err(refusal.fault)),
        };
        (server.and_then(|server| upstream.name_of(server)), way)
    }

    /// Parks who waits, and asks. The answer is given out at the end of this turn, at the earliest.
    pub(super) fn park_and_ask(&mut self, parked: Parked, call: Call<'_>, way: Way) -> Ticket {
        let (began, timeout) = (call.began, call.active.plan.timeout);
        let ticket = self.desk.lot.park(parked, began, timeout);
        let now = call.now;
        if let Some(backend) = self.backends.get_mut(call.active.endpoint) {
            backend.waiting += 1;
            match way {
                Way::Event(admitted) => {
                    let waiter = Waiter { ticket, max_size: call.max_size };
                    let wanted = Wanted { key: call.key, waiter, timeout, command: call.command };
                    let (upstream, mut turn) = backend.turn(&mut self.desk, now);
                    upstream.ask(admitted, wanted, &mut turn);
                }
                Way::Blocking => {
                    let found = backend.block(call);
                    self.desk.deposit(ticket, found);
                }
            }
        }
        self.settle();
        self.desk.events.wait_until(began + timeout, now);
        ticket
    }
}
