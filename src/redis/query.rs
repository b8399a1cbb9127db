//! What is asked of a server, and who waits for the reply.

use crate::parking::Ticket;

/// Who waits for a reply, and the largest value it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its place in the lot.
    pub ticket: Ticket,
    /// Its `redis_cache_max_size`.
    pub max_size: usize,
}

/// How a query came to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By what we know of the servers.
    Direct,
    /// Another server said that it is here (MOVED).
    Moved,
    /// Another server said that it is here for this once (ASK).
    Asking,
}

/// A lookup of one key, for one waiter or for several that asked in the same turn; or a command
/// that writes, for one.
#[derive(Debug)]
pub struct Query {
    /// The key.
    pub key: Vec<u8>,
    pub(super) hash: u64,
    first: Waiter,
    pub(super) more: Vec<Waiter>,
    /// The command that writes; a lookup is a GET.
    pub(super) write: Option<Vec<u8>>,
    /// How it came to this server.
    pub route: Route,
    /// It was in flight on a connection that broke.
    pub retried: bool,
}

impl Query {
    /// A lookup of `key`, whose hash is `hash`; or a command that writes it.
    pub fn new(key: &[u8], hash: u64, first: Waiter, write: Option<Vec<u8>>) -> Self {
        let (key, more) = (key.to_vec(), Vec::new());
        Self { key, hash, first, more, write, route: Route::Direct, retried: false }
    }

    /// The hash of its key.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it writes. Such a command is sent once: nobody knows whether one in flight on a
    /// connection that breaks was carried out.
    pub fn writes(&self) -> bool {
        self.write.is_some()
    }

    /// Who asked first.
    pub fn first(&self) -> Waiter {
        self.first
    }

    /// Who asked for the same key in the same turn.
    pub fn others(&self) -> &[Waiter] {
        &self.more
    }

    /// Everybody who waits.
    pub fn waiters(&self) -> impl Iterator<Item = Waiter> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// The largest value that any of them takes.
    pub fn max_size(&self) -> usize {
        self.waiters().map(|waiter| waiter.max_size).max().unwrap_or(0)
    }
}
