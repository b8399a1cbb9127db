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

/// What is asked.
#[derive(Debug)]
pub enum Command {
    /// The value of the key.
    Get,
    /// This command writes a page. It is sent once: nobody knows whether one in flight on a
    /// connection that breaks was carried out, and the page is of no use to anybody else.
    Write(Vec<u8>),
    /// This command invalidates a page. It is carried out, if need be late and twice, whoever
    /// waits.
    Invalidate(Vec<u8>),
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
    pub(super) command: Command,
    /// How it came to this server.
    pub route: Route,
    /// It was in flight on a connection that broke.
    pub retried: bool,
}

impl Query {
    /// A `command` about `key`, whose hash is `hash`.
    pub fn new(key: &[u8], hash: u64, first: Waiter, command: Command) -> Self {
        let (key, more) = (key.to_vec(), Vec::new());
        Self { key, hash, first, more, command, route: Route::Direct, retried: false }
    }

    /// The hash of its key.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it writes.
    pub fn writes(&self) -> bool {
        !matches!(self.command, Command::Get)
    }

    /// Whether it may be sent again when it is not known what became of it.
    pub fn may_repeat(&self) -> bool {
        !matches!(self.command, Command::Write(_))
    }

    /// Whether it has to be carried out though nobody waits for it.
    pub fn invalidates(&self) -> bool {
        matches!(self.command, Command::Invalidate(_))
    }

    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        let command = match &self.command {
            Command::Get => 0,
            Command::Write(command) | Command::Invalidate(command) => command.len(),
        };
        self.key.len() + command
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
