use super::*;
use crate::redis::endpoint::Endpoint;

const UNKNOWN: Line<'static> = Line::Error("ERR", "unknown command `HELLO`");

const FINE: Line<'static> = Line::Fine(b"+OK\r\n");

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

fn reason(next: Next) -> Reason {
    match next {
        Next::Fail(fault) => fault.reason,
        other => panic!("{other:?}"),
    }
}

fn greeting(url: &str) -> Greeting {
    Greeting { login: Endpoint::parse(url).unwrap().login, ..Greeting::default() }
}

#[test]
fn resp3_in_one_write() {
    let greeting = greeting("redis://u:p@h/2");
    let (mut handshake, out) = Handshake::start(&greeting, true);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n")
    );
    assert!(text.ends_with("*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"));
    assert_eq!(handshake.on_reply(FINE), Next::Read);
    assert_eq!(handshake.on_reply(FINE), Next::Ready);
}

#[test]
fn a_failed_select_or_login_is_the_end() {
    let greeting = greeting("redis://:p@h/99");
    let mut handshake = Handshake::start(&greeting, true).0;
    assert_eq!(handshake.on_reply(FINE), Next::Read);
    let out_of_range = Line::Error("ERR", "DB index is out of range");
    assert_eq!(reason(handshake.on_reply(out_of_range)), Reason::ErrorReply);

    let mut handshake = Handshake::start(&greeting, true).0;
    let wrong = Line::Error("WRONGPASS", "invalid username-password pair");
    assert_eq!(reason(handshake.on_reply(wrong)), Reason::NoAuth);
    let mut handshake = Handshake::start(&greeting, true).0;
    let loading = Line::Error("LOADING", "Redis is loading the dataset in memory");
    assert_eq!(reason(handshake.on_reply(loading)), Reason::Loading);
}

#[test]
fn a_server_without_hello() {
    let with_all = greeting("redis://:p@h/2");
    let mut handshake = Handshake::start(&with_all, true).0;
    assert_eq!(handshake.on_reply(UNKNOWN), Next::Read);
    let Next::Write(out) = handshake.on_reply(Line::Error("NOAUTH", "")) else { panic!() };
    assert_eq!(out, b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
    assert_eq!(handshake.on_reply(FINE), Next::Read);
    assert_eq!(handshake.on_reply(FINE), Next::Ready);

    let plain = greeting("redis://h");
    let mut handshake = Handshake::start(&plain, true).0;
    assert_eq!(handshake.on_reply(UNKNOWN), Next::Write(PING.to_vec()));
    assert_eq!(handshake.on_reply(Line::Fine(b"+PONG\r\n")), Next::Ready);
    let secret = greeting("redis://:p@h");
    let mut handshake = Handshake::start(&secret, true).0;
    assert!(matches!(handshake.on_reply(UNKNOWN), Next::Write(_)));
    let unset = Line::Error("ERR", "Client sent AUTH, but no password is set");
    assert_eq!(reason(handshake.on_reply(unset)), Reason::NoAuth);
}

#[test]
fn a_server_that_hides_what_it_knows_is_logged_in_to() {
    let mut handshake = Handshake::start(&greeting("redis://:p@h"), true).0;
    let hides = Line::Error("NOAUTH", "Authentication required.");
    assert!(matches!(handshake.on_reply(hides), Next::Write(_)));
    assert_eq!(handshake.on_reply(FINE), Next::Ready);
    let mut handshake = Handshake::start(&greeting("redis://h"), true).0;
    assert_eq!(reason(handshake.on_reply(hides)), Reason::NoAuth);
}

#[test]
fn a_replica_is_not_the_primary_that_is_wanted() {
    let hello = |role: &str| {
        format!("%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n${}\r\n{role}\r\n", role.len())
    };
    let wants = Greeting { wants_primary: true, ..Greeting::default() };
    for (greeting, role, wanted) in [
        (&wants, "replica", Next::Fail(Reason::ReadOnly.into())),
        (&wants, "master", Next::Ready),
        (&Greeting::default(), "replica", Next::Ready),
    ] {
        let mut handshake = Handshake::start(greeting, true).0;
        assert_eq!(handshake.on_reply(Line::Fine(hello(role).as_bytes())), wanted, "{role}");
        assert!(handshake.speaks_resp3());
    }
}

#[test]
fn readonly_stands_behind_the_others() {
    let replica = Greeting { readonly: true, ..greeting("redis://h/2") };
    let (mut handshake, out) = Handshake::start(&replica, true);
    assert!(out.ends_with(b"$1\r\n2\r\n*1\r\n$8\r\nREADONLY\r\n"));
    assert_eq!(handshake.on_reply(UNKNOWN), Next::Read);
    assert_eq!(handshake.on_reply(FINE), Next::Read);
    let Next::Write(out) = handshake.on_reply(FINE) else { panic!() };
    assert!(out.ends_with(b"READONLY\r\n") && out.starts_with(b"*2\r\n$6\r\nSELECT"));
    assert_eq!(handshake.on_reply(FINE), Next::Read);
    assert_eq!(handshake.on_reply(FINE), Next::Ready);
    assert!(!handshake.speaks_resp3());
}

#[test]
fn every_refusal_of_hello_is_followed_by_the_rest_without_it() {
    for (code, text) in [
        ("ERR", "unknown command 'HELLO', with args beginning with: '3' 'AUTH' "),
        ("ERR", "unknown command"),
        ("ERR", "unsupported command `hello`"),
        ("unsupported", "command 'HELLO'"),
        ("ERR", "handle request, command 'HELLO' is not allowed"),
        ("invalid", "request"),
        ("NOPROTO", "unsupported protocol version"),
        ("NOPERM", "User default has no permissions to run the 'hello' command"),
        ("NOAUTH", "Authentication required."),
    ] {
        let mut handshake = Handshake::start(&greeting("redis://:p@h"), true).0;
        let next = handshake.on_reply(Line::Error(code, text));
        assert_eq!(next, Next::Write(b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n".to_vec()), "{code} {text}");
        assert_eq!(handshake.on_reply(FINE), Next::Ready);
    }
    for code in ["WRONGPASS", "LOADING", "MASTERDOWN", "BUSY", "READONLY", "MISCONF", "TRYAGAIN"] {
        let mut handshake = Handshake::start(&greeting("redis://:p@h"), true).0;
        assert!(matches!(handshake.on_reply(Line::Error(code, "x")), Next::Fail(_)), "{code}");
    }
}

#[test]
fn without_hello_from_the_beginning() {
    let begin = |url| Handshake::start(&greeting(url), false).1;
    assert_eq!(begin("redis://h"), PING);
    assert_eq!(begin("redis://h/2"), b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
    // The user that connections have without a name: servers before Redis 6 know none.
    assert_eq!(begin("redis://default:p@h"), b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n");
    assert_eq!(begin("redis://u:p@h"), b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
    let no_right = Line::Error("NOPERM", "this user has no permissions to run 'ping'");
    let mut handshake = Handshake::start(&greeting("redis://h"), false).0;
    assert_eq!(handshake.on_reply(no_right), Next::Ready);
    let mut handshake = Handshake::start(&greeting("redis://h"), false).0;
    assert_eq!(reason(handshake.on_reply(Line::Error("NOAUTH", "x"))), Reason::NoAuth);
}

#[test]
fn what_the_end_of_a_connection_means() {
    let ended = |handshake: &Handshake, reason: Reason| handshake.ended(reason.into());
    let mut handshake = Handshake::start(&greeting("redis://:p@h/2"), true).0;
    let cause = |fault: Fault| fault.cause.as_deref().map(ToOwned::to_owned);
    let closed = ended(&handshake, Reason::Closed);
    assert_eq!(cause(closed).as_deref(), Some("no reply to HELLO, SELECT 2"));
    assert_eq!(ended(&handshake, Reason::Protocol), Reason::Protocol.into());
    handshake.on_reply(UNKNOWN);
    handshake.on_reply(Line::Error("NOAUTH", ""));
    let closed = ended(&handshake, Reason::Closed);
    assert_eq!(cause(closed).as_deref(), Some("no reply to AUTH, SELECT 2"));

    let mut handshake = Handshake::start(&greeting("redis://h"), true).0;
    handshake.on_reply(Line::Error("ERR", "max number of clients reached"));
    for reason in [Reason::Closed, Reason::Timeout] {
        let fault = ended(&handshake, reason);
        assert_eq!(fault.reason, Reason::ErrorReply);
        assert_eq!(cause(fault).as_deref(), Some("ERR max number of clients reached"));
    }
}

#[test]
fn a_password_is_never_part_of_a_cause() {
    let echoes = Line::Error("ERR", "invalid password w0rd: 'w0rd', 'AUTH w0rd'");
    let mut handshake = Handshake::start(&greeting("redis://:w0rd@h"), false).0;
    let Next::Fail(fault) = handshake.on_reply(echoes) else { panic!() };
    assert_eq!(fault.reason, Reason::NoAuth);
    assert_eq!(fault.cause.as_deref(), Some("ERR invalid password ...: ..., ..."));
    let mut handshake = Handshake::start(&greeting("redis://:w0rd@h"), true).0;
    handshake.on_reply(echoes);
    assert!(!format!("{:?}", handshake.refusal()).contains("w0rd"));
}
