//! Memory of values: what `redis_cache_buffers` bounds, received or being sent.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

/// The memory of one endpoint in one worker.
pub(super) struct Memory {
    used: Rc<Cell<usize>>,
    limit: usize,
}

impl Memory {
    pub fn new(limit: usize) -> Self {
        Self { used: Rc::default(), limit }
    }

    pub fn is_used_up(&self) -> bool {
        self.used.get() >= self.limit
    }

    pub fn has_room_for(&self, size: usize) -> bool {
        self.used.get().saturating_add(size) <= self.limit
    }

    /// Counts a value for as long as the result or one of its clones lives.
    pub fn hold(&self, value: Bytes) -> Held {
        let size = value.len();
        self.used.set(self.used.get().saturating_add(size));
        Held { value, _share: Rc::new(Share { size, used: Rc::clone(&self.used) }) }
    }
}

struct Share {
    size: usize,
    used: Rc<Cell<usize>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.set(self.used.get().saturating_sub(self.size));
    }
}

/// A value that counts. Several requests may share one.
#[derive(Clone)]
pub(super) struct Held {
    pub value: Bytes,
    _share: Rc<Share>,
}
