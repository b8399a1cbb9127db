//! What is written to Redis, and in which steps, without I/O: a page, a marker and the variant
//! behind it, tombstones.
//!
//! A fill writes only over what its own lookup saw, so that it never undoes an invalidation that
//! came in between: over nothing with `SET ... NX`, over a value with a script that compares
//! before it writes. A user that may not run scripts gets a plain SET in its place.

use std::collections::VecDeque;
use std::time::Duration;

use super::command::encode;
use super::topology::Purpose;
use crate::reason::Reason;

/// How many bytes of a value are compared: its beginning, with the `Redis-Cache` line.
const COMPARED: usize = 1024;

/// How long a tombstone stays, in milliseconds.
const TOMBSTONE_TTL: i64 = 60_000;

/// How long after its lookup a page may be written over nothing: a tombstone that came in between
/// is there for longer.
pub const LATEST: Duration = Duration::from_secs(50);

/// Writes over a value if it still begins as told and has that length. A value that is written
/// over itself is a marker that another variant needs: it only lives on, never less long.
const SCRIPT: &[u8] = b"\
if redis.call('STRLEN', KEYS[1]) ~= tonumber(ARGV[2]) \
or redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return false end \
if ARGV[3] ~= ARGV[1] then return redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end \
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end \
return redis.status_reply('OK')";

/// What a lookup saw under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// A value: its beginning and its length.
    Value(Vec<u8>, usize),
}

impl Seen {
    /// As seen in a reply.
    pub fn value(value: &[u8]) -> Self {
        Self::Value(value.get(..COMPARED).unwrap_or(value).to_vec(), value.len())
    }
}

/// When a value may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Guard {
    /// While the key holds this.
    Holds(Seen),
    /// Whatever the key holds.
    Always,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    key: Vec<u8>,
    guard: Guard,
    value: Vec<u8>,
    ttl: i64,
    purpose: Purpose,
}

impl Step {
    fn new(key: Vec<u8>, guard: Guard, value: Vec<u8>, ttl: i64) -> Self {
        Self { key, guard, value, ttl, purpose: Purpose::Write }
    }
}

/// Something to be written, in one or more steps.
#[derive(Clone, Debug)]
pub struct Write {
    steps: VecDeque<Step>,
    without_scripts: bool,
    /// Why a step failed that others follow all the same.
    failed: Option<Reason>,
}

/// A reply of Redis to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was done.
    Done,
    /// Its guard did not hold.
    Refused,
    /// It failed.
    Fault(Reason),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// [`Write::command`] has another command.
    Send,
    /// Everything is written.
    Done,
    /// Somebody else wrote in the meantime; what is there stays.
    Raced,
    /// It failed; what was not written yet is dropped.
    Failed(Reason),
}

impl Write {
    /// A page under its key, for `ttl` milliseconds.
    pub fn page(key: Vec<u8>, seen: Seen, value: Vec<u8>, ttl: i64) -> Self {
        Self::of([Step::new(key, Guard::Holds(seen), value, ttl)])
    }

    /// A variant and, before it, the marker under the first key: written where it is new, else
    /// kept as long as the variant.
    pub fn variant(
        (first_key, first_seen, marker): (Vec<u8>, Seen, Vec<u8>),
        (key, seen, value): (Vec<u8>, Seen, Vec<u8>),
        ttl: i64,
    ) -> Self {
        let guard = Guard::Holds(first_seen);
        let marker = Step::new(first_key, guard, marker, ttl);
        Self::of([marker, Step::new(key, Guard::Holds(seen), value, ttl)])
    }

    /// `tombstone` in the place of the pages under `keys`, on so many backup servers too.
    pub fn tombstones(keys: Vec<Vec<u8>>, tombstone: &[u8], backups: usize) -> Self {
        let backups = (0..backups).map(Purpose::InvalidateBackup);
        let purposes: Vec<Purpose> = std::iter::once(Purpose::Invalidate).chain(backups).collect();
        let step = |key: Vec<u8>, purpose: &Purpose| Step {
            purpose: *purpose,
            ..Step::new(key, Guard::Always, tombstone.to_vec(), TOMBSTONE_TTL)
        };
        Self::of(
            keys.into_iter().flat_map(|key| purposes.iter().map(move |p| step(key.clone(), p))),
        )
    }

    fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), without_scripts: false, failed: None }
    }

    /// Whether so long after its lookup it could undo an invalidation: it would be written over nothing,
    /// where a tombstone may have been.
    pub fn is_late(&self, age: Duration) -> bool {
        let over_nothing = |step: &Step| step.guard == Guard::Holds(Seen::Nothing);
        age >= LATEST && self.steps.front().is_some_and(over_nothing)
    }

    /// The page, where it is one that is written.
    pub fn page_mut(&mut self) -> Option<&mut Vec<u8>> {
        self.steps.back_mut().map(|step| &mut step.value)
    }

    /// Whether it invalidates.
    pub fn invalidates(&self) -> bool {
        self.steps.front().is_some_and(|step| step.guard == Guard::Always)
    }

    /// What the server of the next command is chosen for.
    pub fn purpose(&self) -> Purpose {
        self.steps.front().map_or(Purpose::Write, |step| step.purpose)
    }

    /// The key of the page and that of its variant, where it is a variant that is written.
    pub fn variant_keys(&self) -> Option<(&[u8], &[u8])> {
        match (self.steps.front()?, self.steps.get(1)?) {
            (Step { guard: Guard::Always, .. }, _) => None,
            (page, variant) => Some((&page.key, &variant.key)),
        }
    }

    /// The key that the next command is about.
    pub fn key(&self) -> Option<&[u8]> {
        Some(&self.steps.front()?.key)
    }

    /// The next command, and the key that it is about.
    pub fn command(&self) -> Option<(&[u8], Vec<u8>)> {
        let step = self.steps.front()?;
        let (key, value, ttl) = (&step.key, &step.value, step.ttl.to_string());
        let ttl = ttl.as_bytes();
        let mut out = Vec::with_capacity(value.len() + key.len() + 1024);
        match &step.guard {
            Guard::Holds(Seen::Nothing) => {
                encode(&mut out, &[b"SET", key, value, b"PX", ttl, b"NX"]);
            }
            Guard::Holds(Seen::Value(start, length)) if !self.without_scripts => {
                let length = length.to_string();
                let length = length.as_bytes();
                encode(&mut out, &[b"EVAL", SCRIPT, b"1", key, start, length, value, ttl]);
            }
            Guard::Holds(Seen::Value(..)) | Guard::Always => {
                encode(&mut out, &[b"SET", key, value, b"PX", ttl]);
            }
        }
        Some((key, out))
    }

    /// Takes the reply to the last command in.
    pub fn on_reply(&mut self, reply: Written) -> Next {
        let scripted =
            matches!(self.steps.front(), Some(Step { guard: Guard::Holds(Seen::Value(..)), .. }));
        match reply {
            Written::Fault(Reason::NoPerm) if scripted && !self.without_scripts => {
                self.without_scripts = true;
                Next::Send
            }
            Written::Fault(reason)
                if self.steps.front().is_some_and(|step| step.guard == Guard::Always) =>
            {
                self.failed.get_or_insert(reason);
                self.go_on()
            }
            Written::Fault(reason) => Next::Failed(reason),
            Written::Refused => Next::Raced,
            Written::Done => self.go_on(),
        }
    }

    fn go_on(&mut self) -> Next {
        self.steps.pop_front();
        match (self.steps.is_empty(), self.failed) {
            (false, _) => Next::Send,
            (true, Some(reason)) => Next::Failed(reason),
            (true, None) => Next::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(write: &Write) -> Vec<Vec<u8>> {
        let (_, command) = write.command().unwrap();
        let value = redis::parse_redis_value(&command).unwrap();
        redis::from_redis_value(value).unwrap()
    }

    fn page(seen: Seen) -> Write {
        Write::page(b"k".to_vec(), seen, b"page".to_vec(), 5000)
    }

    #[test]
    fn over_nothing() {
        let mut write = page(Seen::Nothing);
        assert_eq!(words(&write), [&b"SET"[..], b"k", b"page", b"PX", b"5000", b"NX"]);
        assert_eq!(write.on_reply(Written::Refused), Next::Raced);
        assert_eq!(page(Seen::Nothing).on_reply(Written::Done), Next::Done);
        let denied = Written::Fault(Reason::NoPerm);
        assert_eq!(page(Seen::Nothing).on_reply(denied), Next::Failed(Reason::NoPerm));
    }

    #[test]
    fn over_a_value_with_a_script_or_without() {
        let mut write = page(Seen::value(&[b'x'; 2000]));
        let found = words(&write);
        assert_eq!(
            (&found[0][..], &found[1][..], &found[3][..]),
            (&b"EVAL"[..], SCRIPT, &b"k"[..])
        );
        assert_eq!(found[4..], [&[b'x'; 1024][..], b"2000", b"page", b"5000"]);
        let busy = Written::Fault(Reason::ErrorReply);
        assert_eq!(write.clone().on_reply(busy), Next::Failed(Reason::ErrorReply));
        assert_eq!(write.on_reply(Written::Fault(Reason::NoPerm)), Next::Send);
        assert_eq!(words(&write), [&b"SET"[..], b"k", b"page", b"PX", b"5000"]);
        assert_eq!(write.on_reply(Written::Fault(Reason::NoPerm)), Next::Failed(Reason::NoPerm));
    }

    #[test]
    fn what_comes_late_is_written_over_a_value_alone() {
        let early = LATEST - Duration::from_millis(1);
        assert!(page(Seen::Nothing).is_late(LATEST) && !page(Seen::Nothing).is_late(early));
        assert!(!page(Seen::value(b"x")).is_late(LATEST));
        let variant = |first| {
            let marker = (b"k".to_vec(), first, b"marker".to_vec());
            Write::variant(marker, (b"v".to_vec(), Seen::Nothing, b"page".to_vec()), 7)
        };
        assert!(variant(Seen::Nothing).is_late(LATEST));
        assert!(!variant(Seen::value(b"marker")).is_late(LATEST));
    }

    #[test]
    fn a_marker_comes_before_its_variant() {
        let marker = (b"k".to_vec(), Seen::Nothing, b"marker".to_vec());
        let variant = (b"k|g|h".to_vec(), Seen::Nothing, b"page".to_vec());
        let mut write = Write::variant(marker, variant, 7);
        assert_eq!(write.variant_keys(), Some((&b"k"[..], &b"k|g|h"[..])));
        assert_eq!(words(&write)[1..3], [&b"k"[..], b"marker"]);
        assert_eq!(write.on_reply(Written::Done), Next::Send);
        assert_eq!(words(&write)[1..3], [&b"k|g|h"[..], b"page"]);
        assert_eq!(write.on_reply(Written::Done), Next::Done);
        assert!(write.command().is_none());
    }

    #[test]
    fn a_tombstone_is_written_over_anything() {
        let mut write = Write::tombstones(vec![b"a".to_vec(), b"b".to_vec()], b"gone", 0);
        assert_eq!(write.variant_keys(), None);
        assert_eq!(words(&write), [&b"SET"[..], b"a", b"gone", b"PX", b"60000"]);
        assert_eq!(write.on_reply(Written::Done), Next::Send);
        assert_eq!(words(&write)[1], b"b");
        assert_eq!(write.on_reply(Written::Fault(Reason::Timeout)), Next::Failed(Reason::Timeout));
    }

    #[test]
    fn one_tombstone_that_fails_holds_no_other_up() {
        let mut write = Write::tombstones(vec![b"a".to_vec(), b"b".to_vec()], b"gone", 1);
        let mut purposes = Vec::new();
        let mut reply = |write: &mut Write, reply| {
            purposes.push((words(write)[1].clone(), write.purpose()));
            write.on_reply(reply)
        };
        assert_eq!(reply(&mut write, Written::Fault(Reason::Refused)), Next::Send);
        assert_eq!(reply(&mut write, Written::Done), Next::Send);
        assert_eq!(reply(&mut write, Written::Done), Next::Send);
        let failed = reply(&mut write, Written::Fault(Reason::Timeout));
        assert_eq!(failed, Next::Failed(Reason::Refused));
        let both = [Purpose::Invalidate, Purpose::InvalidateBackup(0)];
        let wanted =
            [b"a", b"b"].into_iter().flat_map(|k| both.map(|purpose| (k.to_vec(), purpose)));
        assert_eq!(purposes, wanted.collect::<Vec<_>>());
    }
}
