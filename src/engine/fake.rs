//! An event loop of the tests': time stands still until a test moves it on, and what a server says is
//! what a test has it say.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use socket2::SockAddr;

use super::client::Wanted;
use super::desk::{Desk, Found};
use super::memory::Memory;
use super::upstream::Upstream;
use super::{Events, Level, Parked, Place, Progress, Socket, System, TlsProgress, Turn};
use crate::config::Connections;
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::breaker::BreakerSettings;
use crate::redis::endpoint::{Address, Login};
use crate::redis::pending::Pending;
use crate::redis::query::{Command, Waiter};
use crate::redis::topology::Purpose;
use crate::redis::upstream::{Duty, ReadFrom, Server, Servers};

/// What a server answers to HELLO.
pub const HELLO: &str = "%1\r\n+server\r\n+redis\r\n";

/// The budget of lookups.
pub const TIMEOUT: Duration = Duration::from_millis(100);

/// One connection, seen from the server.
#[derive(Default)]
pub struct Wire {
    pub port: u16,
    sent: RefCell<Vec<u8>>,
    said: RefCell<VecDeque<Vec<u8>>>,
    is_ended: Cell<bool>,
    pub is_closed: Cell<bool>,
    watch_is_over: Cell<bool>,
    pub watched: Cell<Option<Duration>>,
}

impl Wire {
    /// What was sent since the last time.
    pub fn heard(&self) -> String {
        String::from_utf8(self.sent.take()).unwrap()
    }
}

pub struct FakeSocket(Rc<Wire>);

impl Socket for FakeSocket {
    fn is_connected(&self) -> bool {
        true
    }

    fn connect_failure(&self) -> Option<Fault> {
        None
    }

    fn secure(&mut self, _: &Address) -> TlsProgress {
        TlsProgress::Done
    }

    fn send(&self, bytes: &[u8]) -> Progress {
        if self.0.is_ended.get() {
            return Progress::End;
        }
        self.0.sent.borrow_mut().extend_from_slice(bytes);
        Progress::Bytes(bytes.len())
    }

    fn receive(&self, space: &mut BytesMut) -> Progress {
        let mut said = self.0.said.borrow_mut();
        match said.front_mut() {
            Some(bytes) => {
                let length = bytes.len().min(space.chunk_mut().len());
                space.put_slice(&bytes.drain(..length).collect::<Vec<_>>());
                if bytes.is_empty() {
                    said.pop_front();
                }
                Progress::Bytes(length)
            }
            None if self.0.is_ended.get() => Progress::End,
            None => Progress::Later,
        }
    }

    fn end(&self) -> Fault {
        Reason::Closed.into()
    }

    fn read_on_in_next_turn(&self) {}

    fn set_connect_timer(&self, _: Duration) {}

    fn clear_connect_timer(&self) {}

    fn connecting_timed_out(&self) -> bool {
        false
    }

    fn watch(&self, patience: Duration) {
        self.0.watched.set(Some(patience));
    }

    fn watch_is_over(&self) -> bool {
        self.0.watch_is_over.replace(false)
    }

    fn set_idle(&self, _: bool) {}

    fn is_told_to_close(&self) -> bool {
        false
    }

    fn close(self) {
        self.0.is_closed.set(true);
    }
}

#[derive(Default)]
pub struct FakeEvents;

impl Events for FakeEvents {
    fn post_resume(&mut self) {}

    fn post_flush(&mut self) {}

    fn tick_soon(&mut self) {}

    fn wait_until(&mut self, _: Instant, _: Instant) {}
}

/// Somebody who waits, and the server that was asked last.
pub struct Asker(pub u32, Option<Rc<str>>);

impl Parked for Asker {
    fn is_asked_of(&mut self, server: &Rc<str>) {
        self.1 = Some(Rc::clone(server));
    }
}

pub struct World {
    connections: Connections,
    now: Cell<Instant>,
    began: Instant,
    /// Ports on which nobody listens.
    pub refused: RefCell<HashSet<u16>>,
    /// More addresses of a server than its own.
    pub more: RefCell<HashMap<String, Vec<u16>>>,
    wires: RefCell<Vec<(Rc<Wire>, Place, usize)>>,
    pub said: RefCell<Vec<String>>,
}

#[derive(Clone)]
pub struct Fake(Rc<World>);

impl std::ops::Deref for Fake {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl System for Fake {
    type Socket = FakeSocket;
    type Owner = (Place, usize);
    type Events = FakeEvents;
    type Parked = Asker;

    fn connections(&self) -> &Connections {
        &self.connections
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn owner(&self, place: Place, connection: usize) -> (Place, usize) {
        (place, connection)
    }

    fn connect(&self, address: &SockAddr, owner: &mut (Place, usize)) -> Result<FakeSocket, Fault> {
        let port = address.as_socket().unwrap().port();
        if self.refused.borrow().contains(&port) {
            return Err(Reason::Refused.into());
        }
        let wire = Rc::new(Wire { port, ..Wire::default() });
        self.wires.borrow_mut().push((Rc::clone(&wire), owner.0, owner.1));
        Ok(FakeSocket(wire))
    }

    fn addresses_of(&self, server: &Address) -> Vec<SockAddr> {
        let address =
            |port: u16| SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
        let Address::Tcp(_, own) = server else { return Vec::new() };
        let more = self.more.borrow().get(&server.to_string()).cloned().unwrap_or_default();
        std::iter::once(*own).chain(more).map(address).collect()
    }

    fn has_resolver(&self) -> bool {
        false
    }

    fn resolve(&self, _: Place, _: &Address) -> bool {
        false
    }

    fn shared_millis(&self) -> usize {
        self.now.get().duration_since(self.began).as_millis().try_into().unwrap()
    }

    fn now(&self) -> Instant {
        self.now.get()
    }

    fn random(&self) -> u32 {
        0
    }

    fn is_exiting(&self) -> bool {
        false
    }

    fn say(&self, level: Level, sentence: &str) {
        if level != Level::Debug {
            self.said.borrow_mut().push(sentence.to_owned());
        }
    }
}

/// An upstream with everything around it.
pub struct Bench {
    pub system: Fake,
    pub upstream: Upstream<Fake>,
    desk: Desk<Fake>,
    memory: Memory,
}

pub fn address(port: u16) -> Address {
    Address::Tcp("127.0.0.1".to_owned(), port)
}

pub fn listed(servers: &[(u16, Duty)]) -> Servers {
    let server = |&(port, duty): &(u16, Duty)| Server { address: address(port), duty, weight: 1 };
    Servers::Listed(servers.iter().map(server).collect())
}

impl Bench {
    pub fn new(servers: Servers, set: impl FnOnce(&World)) -> Self {
        let began = Instant::now();
        let upstream = crate::redis::upstream::Upstream {
            name: None,
            servers,
            read: ReadFrom::Primary,
            login: Login::default(),
            tls: false,
        };
        let connections = Connections {
            upstream,
            connections: 1,
            queue: 100,
            buffers: 1 << 20,
            connect_timeout: Duration::from_millis(50),
            breaker: Some(BreakerSettings { fails: 3, timeout: Duration::from_secs(1) }),
            tls: None,
        };
        let world = World {
            connections,
            now: Cell::new(began),
            began,
            refused: RefCell::default(),
            more: RefCell::default(),
            wires: RefCell::default(),
            said: RefCell::default(),
        };
        set(&world);
        let system = Fake(Rc::new(world));
        let upstream = Upstream::new(system.clone(), 0, Pending::new(&[], 0));
        Self { system, upstream, desk: Desk::new(FakeEvents), memory: Memory::new(1 << 20) }
    }

    fn turn<T>(&mut self, work: impl FnOnce(&mut Upstream<Fake>, &mut Turn<'_, Fake>) -> T) -> T {
        let Self { system, upstream, desk, memory } = self;
        let mut turn = Turn { system, now: system.now.get(), desk, memory };
        work(upstream, &mut turn)
    }

    /// Everything that is left for the end of a turn.
    pub fn settle(&mut self) {
        loop {
            while let Some((place, report)) = self.desk.next_report() {
                self.turn(|upstream, turn| upstream.take(place.server, report, turn));
            }
            let to_flush = self.desk.take_to_flush();
            if to_flush.is_empty() {
                return;
            }
            for (place, number) in to_flush {
                self.turn(|upstream, turn| {
                    if let Some(client) = upstream.client(place.server) {
                        client.flush(number, turn);
                    }
                });
            }
        }
    }

    /// Somebody asks for a key within a budget; the fault where nobody is asked.
    pub fn ask_within(&mut self, who: u32, key: &str, timeout: Duration) -> Result<(), Reason> {
        let key = key.as_bytes();
        let admitted = self.turn(|upstream, turn| upstream.admit(key, 1000, turn));
        let admitted = admitted.map_err(|refusal| refusal.fault.reason)?;
        let ticket = self.desk.lot.park(Asker(who, None), self.system.now.get(), timeout);
        let waiter = Waiter { ticket, max_size: 1000 };
        let wanted = Wanted { key, waiter, timeout, command: Command::Get };
        self.turn(|upstream, turn| upstream.ask(admitted, wanted, turn));
        self.settle();
        Ok(())
    }

    pub fn ask(&mut self, who: u32, key: &str) -> Result<(), Reason> {
        self.ask_within(who, key, TIMEOUT)
    }

    /// An invalidation that nobody waits for.
    pub fn invalidate(&mut self, key: &str) {
        let command = format!("SET {key}").into_bytes();
        self.turn(|upstream, turn| {
            upstream.carry_out(key.as_bytes(), Purpose::Invalidate, command, turn);
        });
        self.settle();
    }

    /// Time goes on, and upstreams are looked after.
    pub fn wait(&mut self, time: Duration) {
        self.system.now.set(self.system.now.get() + time);
        self.turn(Upstream::tick);
        self.settle();
    }

    /// The sockets that were opened, in their order.
    pub fn wires(&self) -> Vec<Rc<Wire>> {
        self.system.wires.borrow().iter().map(|(wire, ..)| Rc::clone(wire)).collect()
    }

    pub fn last(&self) -> Rc<Wire> {
        self.wires().pop().unwrap()
    }

    fn on_read(&mut self, wire: &Rc<Wire>) {
        let wires = self.system.wires.borrow();
        let (_, place, number) = wires.iter().find(|(known, ..)| Rc::ptr_eq(known, wire)).unwrap();
        let (place, number) = (*place, *number);
        drop(wires);
        self.turn(|upstream, turn| {
            if let Some(client) = upstream.client(place.server) {
                client.on_read(number, turn);
            }
        });
        self.settle();
    }

    /// The server says something.
    pub fn says(&mut self, wire: &Rc<Wire>, text: &str) {
        wire.said.borrow_mut().push_back(text.as_bytes().to_vec());
        self.on_read(wire);
    }

    /// The server ends a connection.
    pub fn ends(&mut self, wire: &Rc<Wire>) {
        wire.is_ended.set(true);
        self.on_read(wire);
    }

    /// The time is over for which a connection may be silent.
    pub fn is_silent(&mut self, wire: &Rc<Wire>) {
        wire.watch_is_over.set(true);
        self.on_read(wire);
    }

    /// Who has an answer, and what it is: a value, `nil`, `done` or a reason.
    pub fn found(&mut self) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        while let Some((asker, found)) = self.desk.lot.next_ready() {
            let text = match found {
                Found::Held(held) => String::from_utf8(held.value.to_vec()).unwrap(),
                Found::Nil => "nil".to_owned(),
                Found::Done => "done".to_owned(),
                Found::Fault(fault) => fault.reason.to_string(),
            };
            all.push((asker.0, text));
        }
        all
    }
}
