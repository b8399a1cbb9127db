//! Finding out which servers there are, and which replicas keep up.

use std::time::{Duration, Instant};

use redis::Value;

use super::replication::{self, Report};
use super::slots::SLOTS;
use super::{Part, ServerId, Shard, Topology, Way, sentinel};
use crate::reason::Reason;
use crate::redis::endpoint::Address;
use crate::redis::errand::{Errand, Task};

/// How often it is asked while all is well, and while something is amiss.
pub(super) const CLUSTER_PERIOD: Duration = Duration::from_secs(30);
const SENTINEL_PERIOD: Duration = Duration::from_secs(1);
const AMISS_PERIOD: Duration = Duration::from_millis(500);

/// The least time between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a server stays known that another one pointed to, and the map has not heard of.
const POINTED: Duration = Duration::from_secs(10);

/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often servers are asked how far replication has got.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// The state of the questions to sentinels or to a cluster.
#[derive(Debug)]
pub struct Discovery {
    due: Instant,
    last: Option<Instant>,
    asked: Option<(ServerId, Instant)>,
    /// Counts the questions: each goes to another server than the one before, so that one that is
    /// behind is found out.
    turn: usize,
    failures: usize,
    hopeful: bool,
    /// Sentinels that tell of another primary by themselves.
    subscribed: Vec<ServerId>,
    /// Sentinels that have told what is older than what is known, since one told otherwise.
    older: Vec<ServerId>,
    /// Sentinels that have not answered.
    silent: Vec<ServerId>,
    /// Whether the last answer about the primary was not believed.
    doubted: bool,
}

impl Discovery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            last: None,
            asked: None,
            turn: 0,
            failures: 0,
            hopeful: true,
            subscribed: Vec::new(),
            older: Vec::new(),
            silent: Vec::new(),
            doubted: false,
        }
    }

    /// Whether an answer may still come before anybody was asked in vain.
    pub(super) fn is_hopeful(&self) -> bool {
        self.hopeful
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| (last + PAUSE).max(now));
        self.due = self.due.min(soonest);
    }

    pub(super) fn succeeded(&mut self, now: Instant, period: Duration) {
        self.asked = None;
        self.failures = 0;
        self.hopeful = false;
        self.due = now + period;
    }

    fn fell_silent(&mut self, id: ServerId) {
        if !self.silent.contains(&id) {
            self.silent.push(id);
        }
    }

    /// Takes in that a sentinel has answered, and whether that is older than what is known. Returns
    /// whether all `sentinels` that answer say so, and they are most of them.
    fn all_are_older(&mut self, sentinels: &[ServerId], id: ServerId, is_older: bool) -> bool {
        self.silent.retain(|silent| *silent != id);
        if !is_older {
            self.older.clear();
        } else if !self.older.contains(&id) {
            self.older.push(id);
        }
        let says_so = |id: &ServerId| self.older.contains(id) || self.silent.contains(id);
        sentinels.iter().all(says_so) && self.older.len() * 2 > sentinels.len()
    }

    /// The next server is asked at once, after a pause when all have been.
    fn failed(&mut self, now: Instant, sources: usize) {
        if let Some((id, _)) = self.asked.take() {
            self.fell_silent(id);
        }
        self.failures += 1;
        self.due = now;
        if self.failures >= sources {
            self.failures = 0;
            self.hopeful = false;
            self.due = now + AMISS_PERIOD;
        }
    }
}

/// What an answer changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing that anybody needs to hear of.
    Nothing,
    /// There is another primary.
    Primary(Address),
    /// There are so many servers for so many slots.
    Slots(usize, usize),
    /// The answer was of no use.
    Useless(Reason),
}

impl Topology {
    /// The errands to be run now.
    pub fn due(
        &mut self,
        now: Instant,
        is_out: impl Fn(ServerId) -> bool,
    ) -> Vec<(ServerId, Errand)> {
        let mut tasks = Vec::new();
        if self.next_watch.is_some_and(|next| next <= now) {
            self.next_watch = Some(now + WATCH_PERIOD);
            tasks.extend(self.watch(now).into_iter().map(|id| (id, Task::Replication)));
        }
        tasks.extend(self.discover(now, is_out));
        let master = match &self.way {
            Way::Sentinel { master, .. } => master.as_str(),
            _ => "",
        };
        tasks.into_iter().map(|(id, task)| (id, Errand::new(task, master))).collect()
    }

    /// Begins a round of questions how far replication has got.
    fn watch(&mut self, now: Instant) -> Vec<ServerId> {
        let mut asked = Vec::new();
        for (id, known) in self.known.iter_mut().enumerate() {
            let Some(known) = known else { continue };
            if matches!(known.part, Part::Primary | Part::Replica) {
                known.watch.required.clone_from(&known.watch.position);
                known.watch.asked = Some(now);
                asked.push(id);
            }
        }
        asked
    }

    fn discover(
        &mut self,
        now: Instant,
        is_out: impl Fn(ServerId) -> bool,
    ) -> Vec<(ServerId, Task)> {
        if matches!(self.way, Way::Listed) {
            return Vec::new();
        }
        if self.discovery.asked.is_some_and(|(_, since)| now >= since + PATIENCE) {
            let sources = self.sources().count();
            self.discovery.failed(now, sources);
        }
        if self.is_amiss(&is_out) {
            let soon = self.discovery.last.map_or(now, |last| last + AMISS_PERIOD);
            self.discovery.due = self.discovery.due.min(soon);
        }
        if self.discovery.asked.is_some() || now < self.discovery.due {
            return Vec::new();
        }
        let Some(id) = self.next_source(is_out) else { return Vec::new() };
        self.discovery.asked = Some((id, now));
        self.discovery.last = Some(now);
        self.discovery.turn = self.discovery.turn.wrapping_add(1);
        if self.is_cluster() {
            return vec![(id, Task::Slots)];
        }
        let mut tasks = vec![(id, Task::Primary)];
        if self.next_watch.is_some() {
            tasks.push((id, Task::Replicas));
        }
        if !self.discovery.subscribed.contains(&id) {
            self.discovery.subscribed.push(id);
            tasks.push((id, Task::Subscribe));
        }
        tasks
    }

    /// Who may be asked about the servers.
    fn sources(&self) -> impl Iterator<Item = ServerId> {
        let sentinels = matches!(self.way, Way::Sentinel { .. });
        self.servers()
            .filter(move |(_, known)| (known.part == Part::Sentinel) == sentinels)
            .map(|(id, _)| id)
    }

    fn next_source(&self, is_out: impl Fn(ServerId) -> bool) -> Option<ServerId> {
        let all: Vec<ServerId> = self.sources().collect();
        let turn = self.discovery.turn.checked_rem(all.len())?;
        let in_turn = || all.iter().cycle().skip(turn).take(all.len()).copied();
        in_turn().find(|id| !is_out(*id)).or_else(|| in_turn().next())
    }

    /// Whether a primary is out, or a slot has none.
    fn is_amiss(&self, is_out: impl Fn(ServerId) -> bool) -> bool {
        let uncovered = match &self.way {
            Way::Cluster { covered, .. } => *covered < usize::from(SLOTS),
            _ => self.shards.is_empty(),
        };
        uncovered || self.shards.iter().any(|shard| is_out(shard.primary))
    }

    /// A connection to a server failed, or it said that it is not what it was held for.
    pub fn trouble(&mut self, id: ServerId, now: Instant) {
        self.discovery.subscribed.retain(|subscribed| *subscribed != id);
        if self.discovery.asked.is_some_and(|(asked, _)| asked == id) {
            let sources = self.sources().count();
            self.discovery.failed(now, sources);
        }
        self.discovery.fell_silent(id);
        if let Some(Some(known)) = self.known.get_mut(id) {
            known.watch.keeps_up = false;
            known.watch.heard = None;
            if known.part != Part::Sentinel {
                self.discovery.hurry(now);
            }
        }
    }

    /// Asks again soon.
    pub fn hurry(&mut self, now: Instant) {
        self.discovery.hurry(now);
    }

    /// Takes in the reply to an errand.
    pub fn on_reply(
        &mut self,
        id: ServerId,
        task: Task,
        reply: Result<Value, Reason>,
        now: Instant,
    ) -> News {
        let taken = match (task, reply) {
            (Task::Ping | Task::Subscribe, _) => return News::Nothing,
            (Task::Replication, reply) => {
                return self
                    .take_replication(id, reply, now)
                    .map_or_else(News::Useless, |()| News::Nothing);
            }
            (_, Err(reason)) => Err(reason),
            (Task::Slots, Ok(reply)) => self.take_slots(id, &reply, now),
            (Task::Primary, Ok(reply)) => self.take_primary(id, &reply, now),
            (Task::Replicas, Ok(reply)) => self.take_replicas(&reply, now),
        };
        taken.unwrap_or_else(|reason| {
            let sources = self.sources().count();
            self.discovery.failed(now, sources);
            News::Useless(reason)
        })
    }

    fn take_replication(
        &mut self,
        id: ServerId,
        reply: Result<Value, Reason>,
        now: Instant,
    ) -> Result<(), Reason> {
        let shard = self.shards.iter().find(|shard| shard.replicas.contains(&id));
        let required = shard.and_then(|shard| self.server(shard.primary)?.watch.required.clone());
        let Some(Some(known)) = self.known.get_mut(id) else { return Ok(()) };
        let (part, watch) = (known.part, &mut known.watch);
        watch.keeps_up = false;
        let report = reply.map(|reply| replication::report(&reply))?.ok_or(Reason::Protocol)?;
        watch.heard = Some(now);
        if let Some(asked) = watch.asked.take() {
            let took = now.saturating_duration_since(asked);
            watch.round_trip =
                Some(watch.round_trip.map_or(took, |before| (before * 3 + took) / 4));
        }
        match (report, part) {
            (Report::Primary(position), Part::Primary) => watch.position = Some(position),
            (Report::Replica { position, linked }, Part::Replica) => {
                watch.keeps_up = linked && required.is_some_and(|r| position.has_reached(&r));
            }
            _ => self.discovery.hurry(now),
        }
        Ok(())
    }

    /// A higher epoch is believed. Another primary in the same or a lower one is when all
    /// sentinels agree on it, as after they were set up anew.
    fn take_primary(&mut self, id: ServerId, reply: &Value, now: Instant) -> Result<News, Reason> {
        let found = sentinel::primary(reply).ok_or(Reason::Topology)?;
        self.discovery.asked = None;
        let before = self.shards.first().map(|shard| shard.primary);
        let sentinels: Vec<ServerId> = self.sources().collect();
        let known = before.and_then(|id| self.server(id)).map(|known| known.address.clone());
        let Way::Sentinel { epoch, .. } = &mut self.way else { return Ok(News::Nothing) };
        let is_other = known.as_ref().is_some_and(|known| *known != found.address);
        self.discovery.doubted = found.failing_over;
        if !self.discovery.doubted {
            let is_older = found.epoch < *epoch || (found.epoch == *epoch && is_other);
            let all = self.discovery.all_are_older(&sentinels, id, is_older);
            self.discovery.doubted = is_older && !all;
        }
        if self.discovery.doubted {
            self.discovery.failed(now, sentinels.len());
            return Ok(News::Nothing);
        }
        self.discovery.succeeded(now, SENTINEL_PERIOD);
        self.discovery.older.clear();
        *epoch = found.epoch;
        let id = self.find_or_add(&found.address, Part::Primary).ok_or(Reason::Topology)?;
        if before == Some(id) {
            return Ok(News::Nothing);
        }
        self.shards = vec![Shard { primary: id, replicas: Vec::new() }];
        self.forget_others(now);
        Ok(News::Primary(found.address))
    }

    fn take_replicas(&mut self, reply: &Value, now: Instant) -> Result<News, Reason> {
        let found = sentinel::replicas(reply).ok_or(Reason::Topology)?;
        if self.discovery.doubted {
            return Ok(News::Nothing);
        }
        let replicas: Vec<ServerId> =
            found.iter().filter_map(|address| self.find_or_add(address, Part::Replica)).collect();
        if let Some(shard) = self.shards.first_mut() {
            shard.replicas = replicas.into_iter().filter(|id| *id != shard.primary).collect();
        }
        self.forget_others(now);
        Ok(News::Nothing)
    }

    /// What servers are follows from the shards; those without a part are forgotten, unless the
    /// configuration names them.
    pub(super) fn forget_others(&mut self, now: Instant) {
        for (id, place) in self.known.iter_mut().enumerate() {
            let Some(known) = place else { continue };
            let part = if self.shards.iter().any(|shard| shard.primary == id) {
                Part::Primary
            } else if self.shards.iter().any(|shard| shard.replicas.contains(&id)) {
                Part::Replica
            } else if known.listed || known.pointed_at.is_some_and(|at| now < at + POINTED) {
                if known.part == Part::Sentinel { Part::Sentinel } else { Part::Seed }
            } else {
                *place = None;
                self.changed = true;
                continue;
            };
            if known.part != part {
                self.changed = true;
                known.part = part;
                known.watch = super::Watch::default();
            }
        }
    }
}
