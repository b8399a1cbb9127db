use std::time::Duration;

use super::fake::{Bench, HELLO, TIMEOUT, address, listed};
use crate::reason::Reason;
use crate::redis::upstream::{Duty, Servers};

const A_WHILE: Duration = Duration::from_secs(2);

fn one() -> Bench {
    Bench::new(listed(&[(1, Duty::Primary)]), |_| {})
}

/// One whose connection is ready.
fn ready() -> Bench {
    let mut bench = one();
    bench.ask(0, "first").unwrap();
    bench.says(&bench.last(), HELLO);
    bench.says(&bench.last(), "$1\r\nx\r\n");
    assert_eq!(bench.found(), [(0, "x".to_owned())]);
    bench.last().heard();
    bench
}

fn found(who: u32, what: &str) -> Vec<(u32, String)> {
    vec![(who, what.to_owned())]
}

#[test]
fn a_key_is_asked_for_behind_the_handshake_alone() {
    let mut bench = one();
    bench.ask(7, "k").unwrap();
    let wire = bench.last();
    assert!(wire.heard().contains("HELLO") && !wire.heard().contains("GET"));
    bench.says(&wire, HELLO);
    assert_eq!(wire.heard(), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    bench.says(&wire, "$5\r\nhe");
    assert!(bench.found().is_empty());
    bench.says(&wire, "llo\r\n");
    assert_eq!(bench.found(), found(7, "hello"));
}

#[test]
fn a_server_that_does_not_listen_is_left_alone_for_a_moment() {
    let mut bench = one();
    bench.system.refused.borrow_mut().insert(1);
    bench.ask(1, "k").unwrap();
    assert_eq!(bench.found(), found(1, "refused"));
    assert_eq!(bench.ask(2, "k"), Err(Reason::Refused));
    bench.system.refused.borrow_mut().clear();
    bench.wait(A_WHILE);
    bench.ask(3, "k").unwrap();
    bench.says(&bench.last(), HELLO);
    bench.says(&bench.last(), "_\r\n");
    assert_eq!(bench.found(), found(3, "nil"));
}

#[test]
fn the_next_address_of_a_server_is_tried_at_once() {
    let mut bench = Bench::new(listed(&[(1, Duty::Primary)]), |world| {
        world.more.borrow_mut().insert(address(1).to_string(), vec![2, 3]);
        world.refused.borrow_mut().extend([1, 2]);
    });
    bench.ask(1, "k").unwrap();
    assert_eq!(bench.last().port, 3);
    bench.says(&bench.last(), HELLO);
    bench.says(&bench.last(), "$1\r\ny\r\n");
    assert_eq!(bench.found(), found(1, "y"));
}

#[test]
fn a_lookup_in_flight_is_asked_once_more_on_a_new_connection() {
    let mut bench = ready();
    for (opened, answer) in [(2, None), (2, Some("closed"))] {
        if opened == 2 && answer.is_none() {
            bench.ask(1, "k").unwrap();
        }
        let wire = bench.last();
        bench.ends(&wire);
        match answer {
            None => {
                assert!(wire.is_closed.get() && bench.wires().len() == opened);
                bench.says(&bench.last(), HELLO);
                assert!(bench.last().heard().ends_with("GET\r\n$1\r\nk\r\n"));
            }
            Some(reason) => assert_eq!(bench.found(), found(1, reason)),
        }
    }
}

#[test]
fn silence_ends_a_connection_after_the_longest_budget_of_those_who_wait() {
    let mut bench = ready();
    bench.ask_within(1, "a", TIMEOUT * 5).unwrap();
    assert_eq!(bench.last().watched.get(), Some(TIMEOUT * 5));
    bench.ask(2, "b").unwrap();
    bench.wait(TIMEOUT * 2);
    bench.is_silent(&bench.last());
    assert_eq!(bench.last().watched.get(), Some(TIMEOUT * 3), "others in flight cut it short");
    assert!(bench.found().is_empty());
    bench.wait(TIMEOUT * 3);
    bench.is_silent(&bench.last());
    let reasons: Vec<_> = bench.found().into_iter().map(|(_, what)| what).collect();
    assert_eq!(reasons, ["timeout", "timeout"]);
    assert!(bench.last().is_closed.get());
}

#[test]
fn the_breaker_opens_after_faults_and_a_sign_of_life_closes_it() {
    let mut bench = ready();
    for who in 1..=3 {
        bench.ask(who, "k").unwrap();
        bench.says(&bench.last(), "-LOADING x\r\n");
        assert_eq!(bench.found(), found(who, "loading"));
    }
    assert_eq!(bench.ask(4, "k"), Err(Reason::Breaker));
    bench.wait(A_WHILE);
    assert!(bench.last().heard().ends_with("PING\r\n"));
    bench.says(&bench.last(), "+PONG\r\n");
    bench.ask(5, "k").unwrap();
    bench.says(&bench.last(), "$1\r\nz\r\n");
    assert_eq!(bench.found(), found(5, "z"));
}

#[test]
fn a_value_that_is_too_large_is_read_over() {
    let mut bench = ready();
    bench.ask(1, "k").unwrap();
    bench.ask(2, "other").unwrap();
    let large = format!("$2000\r\n{}\r\n", "x".repeat(2000));
    bench.says(&bench.last(), &large);
    bench.says(&bench.last(), "$1\r\ny\r\n");
    let answers = bench.found();
    assert_eq!(answers, [found(1, "too_large"), found(2, "y")].concat());
    assert_eq!(bench.ask(3, "k"), Err(Reason::TooLarge));
}

#[test]
fn a_server_without_hello_is_spoken_to_in_resp2() {
    let mut bench = one();
    bench.ask(1, "k").unwrap();
    bench.says(&bench.last(), "-ERR unknown command 'HELLO'\r\n");
    bench.says(&bench.last(), "+PONG\r\n");
    bench.says(&bench.last(), "$-1\r\n");
    assert_eq!(bench.found(), found(1, "nil"));
    assert_eq!(bench.wires().len(), 1);
    assert!(bench.system.said.borrow()[0].contains("does not take HELLO"));
}

#[test]
fn a_close_in_answer_to_hello_is_tried_without_it() {
    let mut bench = one();
    bench.ask(1, "k").unwrap();
    bench.ends(&bench.last());
    assert_eq!(bench.wires().len(), 2);
    assert!(!bench.last().heard().contains("HELLO"));
    bench.says(&bench.last(), "+PONG\r\n");
    bench.says(&bench.last(), "$1\r\ny\r\n");
    assert_eq!(bench.found(), found(1, "y"));
}

#[test]
fn an_invalidation_is_carried_out_when_the_server_is_back() {
    let mut bench = ready();
    bench.system.refused.borrow_mut().insert(1);
    bench.ends(&bench.last());
    bench.invalidate("k");
    bench.wait(A_WHILE);
    assert_eq!(bench.wires().len(), 1);
    bench.system.refused.borrow_mut().clear();
    bench.wait(A_WHILE);
    bench.says(&bench.last(), HELLO);
    assert!(bench.last().heard().ends_with("SET k"));
    // Refused for the moment, it is said again.
    bench.says(&bench.last(), "-LOADING x\r\n");
    bench.wait(A_WHILE);
    assert!(bench.last().heard().ends_with("PING\r\n"));
    bench.says(&bench.last(), "+PONG\r\n");
    bench.wait(A_WHILE);
    assert_eq!(bench.last().heard(), "SET k");
    bench.says(&bench.last(), "+OK\r\n");
    bench.wait(A_WHILE);
    assert_eq!(bench.last().heard(), "");
}

/// A cluster of two, the slots of which the first server tells.
fn cluster() -> Bench {
    let mut bench = Bench::new(Servers::Cluster(vec![address(7000)]), |_| {});
    bench.wait(Duration::ZERO);
    let seed = bench.last();
    bench.says(&seed, HELLO);
    assert!(seed.heard().ends_with("CLUSTER\r\n$5\r\nSLOTS\r\n"));
    bench.ask(1, "k").unwrap();
    let node = |port: u16| format!("*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$1\r\nn\r\n");
    let slots = |from: u16, to: u16, port| format!("*3\r\n:{from}\r\n:{to}\r\n{}", node(port));
    let map = format!("*2\r\n{}{}", slots(0, 8191, 7000), slots(8192, 16383, 7001));
    bench.says(&seed, &map);
    bench
}

/// The connection to a server, introduced if it was not.
fn to(bench: &mut Bench, port: u16) -> std::rc::Rc<super::fake::Wire> {
    let wire = bench.wires().into_iter().rev().find(|wire| wire.port == port).unwrap();
    let heard = wire.heard();
    if heard.contains("HELLO") {
        bench.says(&wire, HELLO);
    }
    wire
}

#[test]
fn a_lookup_waits_until_the_slots_are_known_and_follows_one_redirection() {
    let mut bench = cluster();
    // CRC16("k") is slot 7629, of the first server.
    let first = to(&mut bench, 7000);
    bench.says(&first, "-MOVED 7629 127.0.0.1:7001\r\n");
    let second = to(&mut bench, 7001);
    bench.says(&second, "-MOVED 7629 127.0.0.1:7000\r\n");
    assert_eq!(bench.found(), found(1, "moved"));
}

#[test]
fn ask_is_for_once() {
    let mut bench = cluster();
    let first = to(&mut bench, 7000);
    bench.says(&first, "-ASK 7629 127.0.0.1:7001\r\n");
    let second = to(&mut bench, 7001);
    assert!(second.heard().starts_with("*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET"));
    bench.says(&second, "+OK\r\n");
    bench.says(&second, "$1\r\ny\r\n");
    assert_eq!(bench.found(), found(1, "y"));
    bench.ask(2, "k").unwrap();
    assert!(first.heard().ends_with("GET\r\n$1\r\nk\r\n"));
}

#[test]
fn a_backup_is_asked_while_the_primary_is_out() {
    let servers = listed(&[(1, Duty::Primary), (2, Duty::Backup)]);
    let mut bench = Bench::new(servers, |world| {
        world.refused.borrow_mut().insert(1);
    });
    bench.ask(1, "k").unwrap();
    assert_eq!(bench.found(), found(1, "refused"));
    bench.ask(2, "k").unwrap();
    assert_eq!(bench.last().port, 2);
    bench.says(&bench.last(), HELLO);
    bench.says(&bench.last(), "$1\r\nb\r\n");
    assert_eq!(bench.found(), found(2, "b"));
}
