//! Invalidations that a server was not there for, or that no server is known for. They are carried
//! out before anything else when there is one, so that no page is served that was invalidated
//! meanwhile.

use std::collections::VecDeque;

use super::query::{Query, Route};

/// How many invalidations are kept, and how many bytes of them.
const MOST: usize = 1000;
const MOST_BYTES: usize = 1024 * 1024;

/// The invalidations that a connection, or an upstream, has yet to carry out.
#[derive(Debug, Default)]
pub struct Owed {
    queries: VecDeque<Query>,
    bytes: usize,
}

impl Owed {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Keeps an invalidation; others are not kept. One of the same key takes the place of the
    /// earlier one; the oldest make room.
    pub fn keep(&mut self, mut query: Query) {
        if !query.invalidates() {
            return;
        }
        query.route = Route::Direct;
        if let Some(at) = self.queries.iter().position(|kept| kept.key == query.key) {
            self.queries.remove(at).inspect(|old| self.bytes -= old.size());
        }
        self.bytes += query.size();
        self.queries.push_back(query);
        while self.queries.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.queries.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// All that are kept, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Query> {
        self.queries.iter()
    }

    /// Those that `may_go`, the oldest first.
    pub fn take_if(&mut self, may_go: impl Fn(&Query) -> bool) -> Vec<Query> {
        if self.queries.iter().any(&may_go) {
            let (taken, kept) = self.take(MOST).into_iter().partition(may_go);
            self.queries = VecDeque::from(kept);
            self.bytes = self.queries.iter().map(Query::size).sum();
            return taken;
        }
        Vec::new()
    }

    /// So many of them, the oldest first.
    pub fn take(&mut self, count: usize) -> Vec<Query> {
        let count = count.min(self.queries.len());
        let taken: Vec<Query> = self.queries.drain(..count).collect();
        self.bytes -= taken.iter().map(Query::size).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parking::Ticket;
    use crate::redis::query::{Command, Waiter};

    fn query(key: &str, command: Command) -> Query {
        let waiter = Waiter { ticket: Ticket::NOBODY, max_size: 0 };
        Query::new(key.as_bytes(), 0, waiter, command)
    }

    fn invalidation(key: &str, size: usize) -> Query {
        query(key, Command::Invalidate(vec![b'x'; size]))
    }

    #[test]
    fn invalidations_alone_and_one_a_key() {
        let mut owed = Owed::default();
        owed.keep(query("a", Command::Get));
        owed.keep(query("a", Command::Write(vec![])));
        assert!(owed.is_empty());
        for key in ["a", "b", "a"] {
            owed.keep(invalidation(key, 10));
        }
        let keys: Vec<_> = owed.take(MOST).into_iter().map(|query| query.key).collect();
        assert_eq!(keys, [b"b", b"a"]);
        assert!(owed.is_empty() && owed.bytes == 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut owed = Owed::default();
        (0..MOST + 5).for_each(|n| owed.keep(invalidation(&n.to_string(), 1)));
        assert_eq!(owed.queries.len(), MOST);
        assert_eq!(owed.queries[0].key, b"5");
        owed.keep(invalidation("large", MOST_BYTES - 5));
        assert_eq!(owed.take(MOST).len(), 1);
        owed.keep(invalidation("larger", MOST_BYTES));
        assert!(owed.is_empty() && owed.bytes == 0);
    }
}
