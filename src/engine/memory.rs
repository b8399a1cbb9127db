//! Memory of values: what `redis_cache_buffers` bounds, received, being sent, or being collected.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

/// The memory of one endpoint in one worker.
#[derive(Debug)]
pub struct Memory {
    used: Rc<Cell<usize>>,
    limit: usize,
}

impl Memory {
    /// Memory for so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Rc::default(), limit }
    }

    /// Whether nothing more may be asked for.
    pub fn is_used_up(&self) -> bool {
        self.used.get() >= self.limit
    }

    /// How many bytes may be taken in.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.used.get())
    }

    /// Whether so many bytes may be taken in.
    pub fn has_room_for(&self, size: usize) -> bool {
        size <= self.room()
    }

    /// Counts a value for as long as the result or one of its clones lives.
    pub fn hold(&self, value: Bytes) -> Held {
        let mut share = self.share();
        share.add(value.len());
        Held { value, _share: Rc::new(share) }
    }

    /// A share that is empty yet.
    pub fn share(&self) -> Share {
        Share { size: 0, used: Rc::clone(&self.used), limit: self.limit }
    }
}

/// Bytes that count for as long as it lives.
#[derive(Debug)]
pub struct Share {
    size: usize,
    used: Rc<Cell<usize>>,
    limit: usize,
}

impl Share {
    fn add(&mut self, more: usize) {
        self.size = self.size.saturating_add(more);
        self.used.set(self.used.get().saturating_add(more));
    }

    /// Counts `more` bytes, if there is room for them: in half of the memory, so that answers which
    /// are collected leave room for those that are looked up.
    pub fn grow(&mut self, more: usize) -> bool {
        let fits = self.used.get().saturating_add(more) <= self.limit / 2;
        if fits {
            self.add(more);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.set(self.used.get().saturating_sub(self.size));
    }
}

/// A value that counts. Several requests may share one.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its bytes.
    pub value: Bytes,
    _share: Rc<Share>,
}
