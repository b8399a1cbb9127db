use std::time::{Duration, Instant};

use super::*;
use crate::fault::Fault;
use crate::parking::Lot;
use crate::reason::Reason;
use crate::redis::reader::Admit;

struct Bench {
    link: Link,
    lot: Lot<&'static str, ()>,
}

impl Bench {
    fn new() -> Self {
        let mut link = Link::default();
        link.connecting();
        link.connected(&Greeting::default(), true);
        link.wrote(link.to_write().len());
        link.space().extend_from_slice(b"+OK\r\n");
        assert!(matches!(link.next(|_, _| Admit::Take), Ok(Some(Event::Ready(_)))));
        Self { link, lot: Lot::default() }
    }

    fn ask(&mut self, key: &[u8], who: &'static str) -> Ticket {
        let ticket = self.lot.park(who, Instant::now(), Duration::from_secs(1));
        let hash = u64::from(key[0]);
        self.link.enqueue(key, hash, Waiter { ticket, max_size: 100 });
        ticket
    }

    fn write(&mut self, key: &[u8], who: &'static str, command: &[u8]) -> Ticket {
        let ticket = self.lot.park(who, Instant::now(), Duration::from_secs(1));
        let waiter = Waiter { ticket, max_size: 0 };
        let command = Command::Write(command.to_vec());
        self.link.enqueue_query(Query::new(key, u64::from(key[0]), waiter, command));
        ticket
    }

    fn pump(&mut self) -> Vec<u8> {
        self.link.pump(|ticket| self.lot.holds(ticket));
        let out = self.link.to_write().to_vec();
        self.link.wrote(out.len());
        out
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Option<Event>, Fault> {
        self.link.space().extend_from_slice(bytes);
        self.link.next(|_, _| Admit::Take)
    }
}

fn key_of(event: Result<Option<Event>, Fault>) -> Vec<u8> {
    match event {
        Ok(Some(Event::Reply(query, _))) => query.key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lookups_of_a_turn_leave_together_and_share() {
    let mut bench = Bench::new();
    for (key, who) in [(b"a", "1"), (b"b", "2"), (b"a", "3")] {
        bench.ask(key, who);
    }
    assert_eq!(bench.pump(), b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
    // One that was sent is not shared any more.
    bench.ask(b"a", "4");
    assert_eq!(bench.pump(), b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    let Ok(Some(Event::Reply(query, Frame::Nil))) = bench.read(b"_\r\n") else { panic!() };
    assert_eq!(query.waiters().count(), 2);
    assert_eq!(key_of(bench.read(b"$1\r\nx\r\n")), b"b");
    assert_eq!(key_of(bench.read(b"$1\r\ny\r\n")), b"a");
    assert!(bench.link.is_idle());
}

#[test]
fn a_late_reply_stays_with_its_own_lookup() {
    let mut bench = Bench::new();
    let gone = bench.ask(b"gone", "1");
    bench.pump();
    bench.lot.cancel(gone);
    bench.ask(b"here", "2");
    bench.pump();
    let Ok(Some(Event::Reply(query, frame))) = bench.read(b"$4\r\nlate\r\n") else { panic!() };
    assert_eq!((query.key.as_slice(), frame), (&b"gone"[..], Frame::Value("late".into())));
    assert!(!query.waiters().any(|waiter| bench.lot.holds(waiter.ticket)));
    assert_eq!(key_of(bench.read(b"$4\r\nmine\r\n")), b"here");
}

#[test]
fn a_lookup_that_nobody_waits_for_is_not_sent() {
    let mut bench = Bench::new();
    let gone = bench.ask(b"gone", "1");
    bench.lot.cancel(gone);
    assert!(bench.pump().is_empty() && bench.link.is_idle());
}

#[test]
fn a_broken_connection_is_retried_once() {
    let mut bench = Bench::new();
    for key in [b"a", b"b"] {
        bench.ask(key, "w");
    }
    bench.pump();
    let remains = bench.link.end(false);
    assert_eq!((remains.retry.len(), remains.lost.len()), (2, 0));
    bench.ask(b"c", "w");
    bench.link.retry(remains.retry);
    bench.link.phase = Phase::Ready;
    let sent = bench.pump();
    assert!(sent.starts_with(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n") && sent.ends_with(b"$1\r\nc\r\n"));
    let remains = bench.link.end(false);
    assert_eq!((remains.retry.len(), remains.lost.len()), (1, 2));
}

#[test]
fn sharing_survives_a_retry() {
    let mut bench = Bench::new();
    bench.ask(b"a", "1");
    bench.pump();
    bench.ask(b"b", "2");
    let remains = bench.link.end(false);
    bench.link.retry(remains.retry);
    bench.ask(b"b", "3");
    bench.link.phase = Phase::Ready;
    let sent = bench.pump();
    assert_eq!(sent.windows(3).filter(|window| window == b"GET").count(), 2);
}

#[test]
fn what_nobody_asked_for_is_a_fault() {
    assert!(matches!(
        Bench::new().read(b"$1\r\nx\r\n"),
        Err(Fault { reason: Reason::Protocol, .. })
    ));
    let push = b">2\r\n+a\r\n+b\r\n";
    assert!(
        matches!(Bench::new().read(push), Ok(Some(Event::Push(message))) if message == push[..])
    );
    let mut bench = Bench::new();
    bench.ask(b"a", "1");
    bench.pump();
    assert!(matches!(bench.read(b":1\r\n"), Err(Fault { reason: Reason::Protocol, .. })));
    assert_eq!(bench.link.end(true).lost.len(), 1);
}

#[test]
fn a_value_beyond_every_limit_is_skipped() {
    let mut bench = Bench::new();
    bench.ask(b"large", "1");
    bench.ask(b"b", "2");
    bench.pump();
    let large = [b"$200\r\n".to_vec(), vec![b'x'; 200], b"\r\n_\r\n".to_vec()].concat();
    bench.link.space().extend_from_slice(&large);
    let next = bench.link.next(
        |query, size| {
            if size > query.max_size() { Admit::Skip } else { Admit::Take }
        },
    );
    let Ok(Some(Event::Reply(_, frame))) = next else { panic!() };
    assert_eq!(frame, Frame::Skipped(200));
    assert_eq!(key_of(bench.read(b"")), b"b");
}

#[test]
fn a_lookup_behind_a_write_does_not_share_one_before_it() {
    let mut bench = Bench::new();
    bench.ask(b"a", "1");
    bench.write(b"a", "2", b"WRITE ");
    bench.ask(b"a", "3");
    bench.ask(b"a", "4");
    let get = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    assert_eq!(bench.pump(), format!("{get}WRITE {get}").into_bytes());
    assert_eq!(key_of(bench.read(b"$3\r\nold\r\n")), b"a");
    let Ok(Some(Event::Reply(query, Frame::Other(_)))) = bench.read(b"+OK\r\n") else { panic!() };
    assert!(query.writes());
    let Ok(Some(Event::Reply(query, _))) = bench.read(b"$3\r\nnew\r\n") else { panic!() };
    assert_eq!(query.waiters().count(), 2);
}

#[test]
fn a_write_is_never_sent_again() {
    let mut bench = Bench::new();
    bench.ask(b"a", "1");
    bench.write(b"b", "2", b"WRITE ");
    bench.pump();
    let remains = bench.link.end(false);
    assert_eq!((remains.retry.len(), remains.lost.len()), (1, 1));
    assert!(remains.lost[0].writes());
}

#[test]
fn a_write_that_nobody_waits_for_any_more_is_not_sent() {
    let mut bench = Bench::new();
    let ticket = bench.write(b"a", "1", b"WRITE ");
    bench.lot.cancel(ticket);
    assert!(bench.pump().is_empty());
}

#[test]
fn a_string_is_no_reply_to_a_write() {
    let mut bench = Bench::new();
    bench.write(b"a", "1", b"WRITE ");
    bench.pump();
    assert!(matches!(bench.read(b"$1\r\nx\r\n"), Err(Fault { reason: Reason::Protocol, .. })));
}

#[test]
fn an_errand_goes_before_the_lookups_and_is_answered_in_its_turn() {
    let mut bench = Bench::new();
    bench.ask(b"a", "1");
    for task in [Task::Slots, Task::Slots, Task::Subscribe] {
        bench.link.run(Errand::new(task, ""));
    }
    let slots = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
    let get = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    let subscribe = Errand::new(Task::Subscribe, "").command;
    assert_eq!(bench.pump(), [&slots[..], &subscribe, get].concat());
    let event = bench.read(b"*0\r\n$1\r\nx\r\n");
    assert!(
        matches!(event, Ok(Some(Event::Errand(Task::Slots, Frame::Other(reply)))) if reply == b"*0\r\n"[..])
    );
    assert_eq!(key_of(bench.read(b"")), b"a");
    assert!(bench.link.is_idle());
}

#[test]
fn a_server_of_resp2_is_not_subscribed_to() {
    let mut link = Link::default();
    link.connected(&Greeting::default(), true);
    link.wrote(link.to_write().len());
    link.space().extend_from_slice(b"-ERR unknown command 'HELLO'\r\n");
    assert!(matches!(link.next(|_, _| Admit::Take), Ok(None)));
    link.wrote(link.to_write().len());
    link.space().extend_from_slice(b"+PONG\r\n");
    assert!(matches!(link.next(|_, _| Admit::Take), Ok(Some(Event::Ready(_)))));
    link.run(Errand::new(Task::Subscribe, ""));
    link.pump(|_| true);
    assert!(link.to_write().is_empty() && link.is_idle());
}

#[test]
fn a_query_that_asks_says_so_and_keeps_its_command() {
    let mut bench = Bench::new();
    bench.link.redirects = true;
    bench.write(b"k", "1", b"SET");
    assert_eq!(bench.pump(), b"SET");
    let Ok(Some(Event::Reply(mut query, Frame::Error(code, _)))) = bench.read(b"-ASK 1 h:1\r\n")
    else {
        panic!()
    };
    assert_eq!(code, "ASK");
    query.route = Route::Asking;
    bench.link.enqueue_query(query);
    assert_eq!(bench.pump(), b"*1\r\n$6\r\nASKING\r\nSET");
    assert_eq!(key_of(bench.read(b"+OK\r\n+OK\r\n")), b"k");
}

#[test]
fn an_invalidation_is_owed_until_it_is_carried_out() {
    let mut bench = Bench::new();
    let ticket = bench.lot.park("1", Instant::now(), Duration::from_secs(1));
    let waiter = Waiter { ticket, max_size: 0 };
    let query = |command| Query::new(b"k", 1, waiter, command);
    bench.link.enqueue_query(query(Command::Invalidate(b"SET gone".to_vec())));
    bench.lot.cancel(ticket);
    assert_eq!(bench.pump(), b"SET gone", "though nobody waits");
    let remains = bench.link.end(false);
    assert!(remains.lost.is_empty() && !bench.link.owes());
    bench.link.owe(remains.retry);
    assert!(bench.link.owes() && bench.link.is_idle());

    bench.ask(b"k", "2");
    bench.link.connected(&Greeting::default(), true);
    bench.link.wrote(bench.link.to_write().len());
    assert!(matches!(bench.read(b"+OK\r\n"), Ok(Some(Event::Ready(_)))));
    let out = bench.pump();
    assert!(out.starts_with(b"SET gone*2\r\n$3\r\nGET"), "{}", out.escape_ascii());
    assert!(!bench.link.owes());
}

#[test]
fn what_is_owed_is_tried_by_one() {
    let mut bench = Bench::new();
    let waiter = Waiter { ticket: Ticket::NOBODY, max_size: 0 };
    let owed = |key: &[u8]| Query::new(key, 1, waiter, Command::Invalidate(key.to_vec()));
    bench.pump();
    bench.link.owe(vec![owed(b"a"), owed(b"b"), owed(b"c")]);
    assert_eq!(bench.pump(), b"", "nothing was said of paying");
    bench.link.pay(false);
    assert_eq!(bench.pump(), b"a");
    bench.link.pay(true);
    assert_eq!(bench.pump(), b"bc");
}
