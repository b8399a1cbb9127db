//! Which servers an upstream has and which of them is asked for a key, without I/O: servers that
//! are listed, those that sentinels name, those of a cluster.
//!
//! [`Topology::choose`] answers the question of every lookup and write. What it goes by is kept
//! up by errands ([`Topology::due`]) and their replies ([`Topology::on_reply`]), by redirections of
//! a cluster, and by what becomes of connections ([`Topology::trouble`]).

mod cluster;
mod discovery;
mod replication;
mod reply;
mod sentinel;
mod slots;
mod spread;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use discovery::Discovery;
use replication::Position;

pub use discovery::News;
pub use slots::redirection;

use super::endpoint::{Address, Login};
use super::handshake::Greeting;
use super::upstream::{Duty, ReadFrom, Servers, Upstream};

/// The most servers that an upstream may have.
const MAX_SERVERS: usize = 2048;

/// How long what a replica said of itself holds.
const HEARSAY: Duration = Duration::from_secs(3);

/// The place of a server in the list of those that are known.
pub type ServerId = usize;

/// What a server is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is written to, and read.
    Primary,
    /// It has the pages of a primary.
    Replica,
    /// It is asked while a primary is out.
    Backup,
    /// It knows who the primary is.
    Sentinel,
    /// It is listed, and not known to have any slot.
    Seed,
}

/// A server that is known.
#[derive(Debug)]
pub struct Known {
    /// Where it listens.
    pub address: Address,
    /// What it is.
    pub part: Part,
    /// Whether the configuration names it: it stays known.
    listed: bool,
    /// When another server of the cluster pointed here: it stays known for a while.
    pointed_at: Option<Instant>,
    hash: u64,
    weight: u32,
    watch: Watch,
}

/// What is known of the replication of a server.
#[derive(Debug, Default)]
struct Watch {
    asked: Option<Instant>,
    heard: Option<Instant>,
    round_trip: Option<Duration>,
    /// Of a primary: how far it has come.
    position: Option<Position>,
    /// Of a primary: how far it had come a round ago, which replicas must have reached.
    required: Option<Position>,
    /// Of a replica: whether it has, and its link is up.
    keeps_up: bool,
}

/// A primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shard {
    primary: ServerId,
    replicas: Vec<ServerId>,
}

/// How the servers are known, and which of them has a key.
#[derive(Debug)]
enum Way {
    /// They are listed.
    Listed,
    /// Sentinels name them; the epoch is that of the primary.
    Sentinel { master: String, login: Login, epoch: u64 },
    /// The slots of a cluster: each the place of its shard, if it has one, and how many have.
    /// Empty before the first answer.
    Cluster { slots: Vec<Option<u16>>, covered: usize },
}

/// What a server is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be read.
    Read,
    /// To be written to.
    Write,
    /// To know of an invalidation: the primary, out or not.
    Invalidate,
    /// To know of it too: the backup with this number.
    InvalidateBackup(usize),
}

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Server(ServerId),
    /// It is being found out.
    Later,
    /// There is none.
    Nowhere,
}

/// The servers of one upstream, as one worker knows them.
#[derive(Debug)]
pub struct Topology {
    read: ReadFrom,
    login: Login,
    known: Vec<Option<Known>>,
    shards: Vec<Shard>,
    backups: Vec<ServerId>,
    way: Way,
    discovery: Discovery,
    resolves: bool,
    next_watch: Option<Instant>,
    /// Servers have come or gone, or are something else, since somebody looked.
    changed: bool,
}

impl Topology {
    /// What the configuration says; `resolves` is whether names that turn up later can be resolved.
    pub fn new(upstream: &Upstream, resolves: bool, now: Instant) -> Self {
        let way = match &upstream.servers {
            Servers::Listed(_) => Way::Listed,
            Servers::Sentinel { master, login, .. } => {
                Way::Sentinel { master: master.clone(), login: login.clone(), epoch: 0 }
            }
            Servers::Cluster(_) => Way::Cluster { slots: Vec::new(), covered: 0 },
        };
        let mut topology = Self {
            read: upstream.read,
            login: upstream.login.clone(),
            known: Vec::new(),
            shards: Vec::new(),
            backups: Vec::new(),
            way,
            discovery: Discovery::new(now),
            resolves,
            next_watch: (upstream.read != ReadFrom::Primary).then_some(now),
            changed: true,
        };
        topology.list(&upstream.servers);
        topology
    }

    fn list(&mut self, servers: &Servers) {
        let mut replicas = Vec::new();
        match servers {
            Servers::Listed(servers) => {
                for server in servers {
                    let part = match server.duty {
                        Duty::Primary => Part::Primary,
                        Duty::Replica => Part::Replica,
                        Duty::Backup => Part::Backup,
                    };
                    let id = self.push(server.address.clone(), part, server.weight, true);
                    match server.duty {
                        Duty::Primary => {
                            self.shards.push(Shard { primary: id, replicas: Vec::new() });
                        }
                        Duty::Replica => replicas.push(id),
                        Duty::Backup => self.backups.push(id),
                    }
                }
            }
            Servers::Sentinel { sentinels, .. } => {
                for address in sentinels {
                    self.push(address.clone(), Part::Sentinel, 1, true);
                }
            }
            Servers::Cluster(seeds) => {
                for address in seeds {
                    self.push(address.clone(), Part::Seed, 1, true);
                }
            }
        }
        if let Some(shard) = self.shards.first_mut() {
            shard.replicas = replicas;
        }
    }

    fn push(&mut self, address: Address, part: Part, weight: u32, listed: bool) -> ServerId {
        self.changed = true;
        let hash = spread::hash_of(address.to_string().as_bytes());
        let watch = Watch::default();
        let known = Some(Known { address, part, listed, pointed_at: None, hash, weight, watch });
        match self.known.iter().position(Option::is_none) {
            Some(free) => {
                if let Some(place) = self.known.get_mut(free) {
                    *place = known;
                }
                free
            }
            None => {
                self.known.push(known);
                self.known.len() - 1
            }
        }
    }

    /// The place of a server that holds pages, known or new; `None` where there are too many.
    fn find_or_add(&mut self, address: &Address, part: Part) -> Option<ServerId> {
        let is_it = |known: &Option<Known>| {
            known.as_ref().is_some_and(|k| k.address == *address && k.part != Part::Sentinel)
        };
        match self.known.iter().position(is_it) {
            Some(id) => Some(id),
            None if self.servers().count() >= MAX_SERVERS => None,
            None => Some(self.push(address.clone(), part, 1, false)),
        }
    }

    /// The servers that are known.
    pub fn servers(&self) -> impl Iterator<Item = (ServerId, &Known)> {
        self.known.iter().enumerate().filter_map(|(id, known)| Some((id, known.as_ref()?)))
    }

    /// Whether servers have come or gone, or are something else, since this was asked last.
    pub fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// One of them.
    pub fn server(&self, id: ServerId) -> Option<&Known> {
        self.known.get(id)?.as_ref()
    }

    /// Whether there are errands to be run from time to time.
    pub fn needs_upkeep(&self) -> bool {
        !matches!(self.way, Way::Listed) || self.servers().nth(1).is_some()
    }

    /// Whether a key may turn out to be on another server than the one that was asked.
    pub fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster { .. })
    }

    /// Whether a server has pages of its own, as things stand, and no replica's.
    pub fn is_primary(&self, id: ServerId) -> bool {
        self.server(id).is_some_and(|known| matches!(known.part, Part::Primary | Part::Backup))
    }

    /// By which invalidations a server comes to know of one.
    pub fn hears_by(&self, id: ServerId) -> Purpose {
        let backup = self.backups.iter().position(|backup| *backup == id);
        backup.map_or(Purpose::Invalidate, Purpose::InvalidateBackup)
    }

    /// What connections to a server are introduced with.
    pub fn greeting(&self, id: ServerId) -> Greeting {
        let part = self.server(id).map(|known| known.part);
        match (&self.way, part) {
            (Way::Sentinel { login, .. }, Some(Part::Sentinel)) => {
                Greeting { login: login.clone(), ..Greeting::default() }
            }
            (way, part) => Greeting {
                login: self.login.clone(),
                readonly: matches!(way, Way::Cluster { .. }) && self.read != ReadFrom::Primary,
                wants_primary: matches!(way, Way::Sentinel { .. }) && part == Some(Part::Primary),
            },
        }
    }

    /// Which server is asked for a key; `is_out` says of which ones it is known that they would
    /// not answer.
    pub fn choose(
        &self,
        key: &[u8],
        purpose: Purpose,
        now: Instant,
        is_out: impl Fn(ServerId) -> bool,
    ) -> Choice {
        let Some(shard) = self.shard_of(key) else {
            return if self.discovery.is_hopeful() { Choice::Later } else { Choice::Nowhere };
        };
        if self.known.len() == 1 {
            return Choice::Server(shard.primary);
        }
        let chosen = match purpose {
            Purpose::Invalidate => return Choice::Server(shard.primary),
            Purpose::InvalidateBackup(number) => {
                return self.backups.get(number).map_or(Choice::Nowhere, |id| Choice::Server(*id));
            }
            Purpose::Read => self.reader(shard, key, now, &is_out),
            Purpose::Write => None,
        };
        let primary = || Some(shard.primary).filter(|id| !is_out(*id));
        let chosen = chosen.or_else(primary).or_else(|| self.backup(key, &is_out));
        Choice::Server(chosen.unwrap_or(shard.primary))
    }

    fn shard_of(&self, key: &[u8]) -> Option<&Shard> {
        match &self.way {
            Way::Cluster { slots, .. } => {
                let place = *slots.get(usize::from(slots::slot_of(key)))?;
                self.shards.get(usize::from(place?))
            }
            _ if self.shards.len() > 1 => {
                let primary = self.favourite(key, self.shards.iter().map(|shard| shard.primary))?;
                self.shards.iter().find(|shard| shard.primary == primary)
            }
            _ => self.shards.first(),
        }
    }

    fn backup(&self, key: &[u8], is_out: impl Fn(ServerId) -> bool) -> Option<ServerId> {
        self.favourite(key, self.backups.iter().copied().filter(|id| !is_out(*id)))
    }

    /// The server to be read, if `read` asks for another than the primary.
    fn reader(
        &self,
        shard: &Shard,
        key: &[u8],
        now: Instant,
        is_out: impl Fn(ServerId) -> bool,
    ) -> Option<ServerId> {
        // A primary that is silent may have pages invalidated that its replicas know nothing of.
        let primary_is_there = !is_out(shard.primary) && self.was_heard(shard.primary, now);
        let is_fit = |id: &ServerId| primary_is_there && !is_out(*id) && self.keeps_up(*id, now);
        let replicas = shard.replicas.iter().copied().filter(is_fit);
        match self.read {
            ReadFrom::Primary => None,
            ReadFrom::Replica => self.favourite(key, replicas),
            ReadFrom::Nearest => std::iter::once(shard.primary)
                .filter(|id| !is_out(*id))
                .chain(replicas)
                .min_by_key(|id| {
                    self.server(*id).and_then(|known| known.watch.round_trip).unwrap_or(HEARSAY)
                }),
        }
    }

    fn keeps_up(&self, id: ServerId, now: Instant) -> bool {
        self.was_heard(id, now) && self.server(id).is_some_and(|known| known.watch.keeps_up)
    }

    fn was_heard(&self, id: ServerId, now: Instant) -> bool {
        let is_recent = |heard: Instant| now.saturating_duration_since(heard) < HEARSAY;
        self.server(id).is_some_and(|known| known.watch.heard.is_some_and(is_recent))
    }

    /// The server with the highest score for a key.
    fn favourite(&self, key: &[u8], servers: impl Iterator<Item = ServerId>) -> Option<ServerId> {
        let mut servers = servers.peekable();
        let first = servers.next()?;
        if servers.peek().is_none() {
            return Some(first);
        }
        let key = spread::hash_of(key);
        let score = |id: ServerId| {
            self.server(id).map_or(0.0, |known| spread::score(key, known.hash, known.weight))
        };
        std::iter::once(first).chain(servers).max_by(|a, b| score(*a).total_cmp(&score(*b)))
    }
}
