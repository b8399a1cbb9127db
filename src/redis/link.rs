//! One connection of the event engine, without I/O: what is to be written, what is in flight, and
//! whose reply has come. Replies come in the order of the commands; a reply whose waiters are all
//! gone is read and dropped, so that the stream stays in step.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use bytes::Bytes;

use super::command::encode;
use super::errand::{Errand, Task};
use super::handshake::{Greeting, Handshake};
use super::owed::Owed;
use super::query::{Command, Query, Route, Waiter};
use super::reader::{Frame, Reader};
use super::window::Window;
use crate::parking::Ticket;

/// How much memory for bytes to be written a connection keeps once they are written.
const MAX_KEPT: usize = 64 * 1024;

/// What was sent and not yet answered.
#[derive(Debug)]
enum Sent {
    Query(Query),
    Errand(Task),
    /// ASKING, in front of a query.
    Asking,
}

/// A hasher for what is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash << 8) | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What a connection is doing.
#[derive(Debug)]
enum Phase {
    /// There is none.
    Down,
    /// It is being made.
    Connecting,
    /// It is being introduced.
    Introducing(Handshake),
    /// It takes lookups.
    Ready,
}

/// What the bytes that came mean.
#[derive(Debug)]
pub enum Event {
    /// The handshake is over: lookups may be sent.
    Ready(Handshake),
    /// The reply to a lookup.
    Reply(Query, Frame),
    /// The reply to an errand.
    Errand(Task, Frame),
    /// A message that nobody asked for, as it came.
    Push(Bytes),
}

/// What is left when a connection ends.
#[derive(Debug, Default)]
pub struct Remains {
    /// In flight, not retried yet: worth another connection.
    pub retry: Vec<Query>,
    /// In flight for the second time.
    pub lost: Vec<Query>,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Link {
    phase: Phase,
    reader: Reader,
    out: Vec<u8>,
    written: usize,
    errands: VecDeque<Errand>,
    unsent: VecDeque<Query>,
    /// Hashes of keys in `unsent`, to share one GET: to the number of the lookup, which counts up
    /// from `first_unsent`.
    shared: HashMap<u64, u64, BuildHasherDefault<AsItIs>>,
    first_unsent: u64,
    in_flight: VecDeque<Sent>,
    owed: Owed,
    /// How much of that is sent next.
    pays: usize,
    window: Window,
    replies: u64,
    /// Whether commands that write are kept until they are answered, for another server.
    redirects: bool,
    resp3: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            phase: Phase::Down,
            reader: Reader::default(),
            out: Vec::new(),
            written: 0,
            errands: VecDeque::new(),
            unsent: VecDeque::new(),
            shared: HashMap::default(),
            first_unsent: 0,
            in_flight: VecDeque::new(),
            owed: Owed::default(),
            pays: 0,
            window: Window::default(),
            replies: 0,
            redirects: false,
            resp3: false,
        }
    }
}

impl Link {
    /// A link to a server of a cluster, which may say that a key is elsewhere.
    pub fn with_redirects() -> Self {
        Self { redirects: true, ..Self::default() }
    }

    /// Whether there is no connection, and none is being made.
    pub fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down)
    }

    /// Whether the connection is being made.
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting)
    }

    /// Whether anything waits to be sent.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || !self.errands.is_empty()
    }

    /// Whether lookups may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether a reply is awaited, of the handshake too.
    pub fn awaits_reply(&self) -> bool {
        !self.in_flight.is_empty() || matches!(self.phase, Phase::Introducing(_))
    }

    /// Whether anything is to be done before the connection may be closed.
    pub fn is_idle(&self) -> bool {
        !self.has_unsent() && self.in_flight.is_empty()
    }

    /// Whether a reply to a lookup ever came on this connection.
    pub fn has_proved_itself(&self) -> bool {
        self.replies > 0
    }

    /// Whether the server pushes messages between replies.
    pub fn speaks_resp3(&self) -> bool {
        self.resp3
    }

    /// The handshake that goes on.
    pub fn handshake(&self) -> Option<&Handshake> {
        match &self.phase {
            Phase::Introducing(handshake) => Some(handshake),
            _ => None,
        }
    }

    /// A connection is being made.
    pub fn connecting(&mut self) {
        self.phase = Phase::Connecting;
    }

    /// The connection is made: the handshake begins, with HELLO or without.
    pub fn connected(&mut self, greeting: &Greeting, says_hello: bool) {
        let (handshake, out) = Handshake::start(greeting, says_hello);
        self.phase = Phase::Introducing(handshake);
        self.out = out;
        self.written = 0;
    }

    /// Takes a lookup, to be sent by [`Self::pump`]; `hash` is that of the key. Waiters for one key that have not been sent
    /// yet share one command; never with one already sent, whose answer may predate a purge.
    pub fn enqueue(&mut self, key: &[u8], hash: u64, waiter: Waiter) {
        if let Some(&number) = self.shared.get(&hash) {
            let at = usize::try_from(number.wrapping_sub(self.first_unsent)).unwrap_or(usize::MAX);
            if let Some(query) = self.unsent.get_mut(at).filter(|query| query.key == key) {
                query.more.push(waiter);
                return;
            }
        }
        let number = self.first_unsent.wrapping_add(self.unsent.len() as u64);
        self.shared.insert(hash, number);
        self.unsent.push_back(Query::new(key, hash, waiter, Command::Get));
    }

    /// Takes a query as it is, to be sent behind what was asked before. It shares with no other,
    /// and no later lookup of the key shares the answer to an earlier one.
    pub fn enqueue_query(&mut self, query: Query) {
        self.shared.remove(&query.hash);
        self.unsent.push_back(query);
    }

    /// Takes an errand, to be sent before any lookup. One of its kind that waits is enough.
    pub fn run(&mut self, errand: Errand) {
        if self.errands.iter().all(|waiting| waiting.task != errand.task) {
            self.errands.push_back(errand);
        }
    }

    /// Takes up lookups whose connection broke; they go before the others.
    pub fn retry(&mut self, queries: Vec<Query>) {
        for mut query in queries.into_iter().rev() {
            query.retried = true;
            self.first_unsent = self.first_unsent.wrapping_sub(1);
            self.unsent.push_front(query);
        }
    }

    /// Moves as many lookups as the window allows into the bytes to be written; those for whom
    /// nobody `waits` any more are left out.
    pub fn pump(&mut self, waits: impl Fn(Ticket) -> bool) {
        if !self.is_ready() {
            return;
        }
        if !self.errands.is_empty() {
            self.send_errands();
        }
        self.pay_now();
        while self.in_flight.len() < self.window.allows() {
            let Some(mut query) = self.unsent.pop_front() else { break };
            if self.shared.get(&query.hash) == Some(&self.first_unsent) {
                self.shared.remove(&query.hash);
            }
            self.first_unsent = self.first_unsent.wrapping_add(1);
            if query.invalidates() || query.waiters().any(|waiter| waits(waiter.ticket)) {
                if query.route == Route::Asking {
                    encode(&mut self.out, &[b"ASKING"]);
                    self.in_flight.push_back(Sent::Asking);
                }
                match &mut query.command {
                    Command::Get => encode(&mut self.out, &[b"GET", &query.key]),
                    Command::Write(command) if !self.redirects => self.out.append(command),
                    Command::Write(command) | Command::Invalidate(command) => {
                        self.out.extend_from_slice(command);
                    }
                }
                self.in_flight.push_back(Sent::Query(query));
            }
        }
    }

    fn send_errands(&mut self) {
        for errand in self.errands.drain(..) {
            if errand.task.is_answered_by_push() && !self.resp3 {
                continue;
            }
            self.out.extend_from_slice(&errand.command);
            if !errand.task.is_answered_by_push() {
                self.in_flight.push_back(Sent::Errand(errand.task));
            }
        }
    }

    /// The bytes to be written.
    pub fn to_write(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    /// So many of them were written.
    pub fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.out.len() {
            self.out.clear();
            self.out.shrink_to(MAX_KEPT);
            self.written = 0;
        }
    }

    /// Where bytes that are read go.
    pub fn space(&mut self) -> &mut bytes::BytesMut {
        self.reader.space()
    }

    /// The connection has ended. The lookup at the head is to blame for a fault in its own reply
    /// (`head_is_lost`) and is not worth another try.
    pub fn end(&mut self, head_is_lost: bool) -> Remains {
        let mut remains = Remains::default();
        for (at, sent) in self.in_flight.drain(..).enumerate() {
            match sent {
                Sent::Query(query)
                    if query.retried || !query.may_repeat() || (head_is_lost && at == 0) =>
                {
                    remains.lost.push(query);
                }
                Sent::Query(query) => remains.retry.push(query),
                Sent::Errand(_) | Sent::Asking => {}
            }
        }
        self.errands.clear();
        self.phase = Phase::Down;
        self.reader = Reader::default();
        self.out.clear();
        self.written = 0;
        self.replies = 0;
        remains
    }

    /// Gives up everything that was not sent.
    pub fn take_unsent(&mut self) -> Vec<Query> {
        self.shared.clear();
        self.first_unsent = 0;
        self.unsent.drain(..).collect()
    }
}

mod debts;
mod replies;
#[cfg(test)]
mod tests;
