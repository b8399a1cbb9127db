//! Any replies to the beginning of a connection: it ends, it is ready only when every command of its
//! last write was answered, and well where that matters, and no fault shows the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::redis::endpoint::{Login, Secret};
use ngx_http_redis_cache_module::redis::handshake::{Greeting, Handshake, Line, Next};

const PASSWORD: &str = "pass-7-word";

const CODES: [&str; 9] =
    ["ERR", "NOPROTO", "NOAUTH", "NOPERM", "WRONGPASS", "LOADING", "Proxy", "MOVED", ""];

const REPLIES: [&[u8]; 4] = [
    b"+OK\r\n",
    b"%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n",
    b"%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
    b"%1\r\n$4\r\n",
];

/// The names of the commands in a write.
fn commands(write: &[u8]) -> Vec<String> {
    let lines: Vec<_> = write.split(|byte| *byte == b'\n').collect();
    let begins = |at: &usize| lines[*at].starts_with(b"*");
    let name = |at| String::from_utf8_lossy(lines[at + 2]).trim().to_owned();
    (0..lines.len()).filter(begins).map(name).collect()
}

fuzz_target!(|input: (u8, Vec<(u8, &str)>)| {
    let (settings, replies) = input;
    let has = |bit: u8| settings & (1 << bit) != 0;
    let login = Login {
        db: if has(0) { 7 } else { 0 },
        username: has(1).then(|| "user".to_owned()),
        password: has(2).then(|| Secret(PASSWORD.to_owned())),
    };
    let greeting = Greeting { login, readonly: has(3), wants_primary: has(4) };
    let (mut handshake, write) = Handshake::start(&greeting, has(5));
    let mut awaited = commands(&write);
    let mut is_first_write = true;
    assert!(!awaited.is_empty());
    for (kind, text) in replies.iter().cycle().take(if replies.is_empty() { 0 } else { 32 }) {
        let text = format!("{text} {PASSWORD}");
        let kind = usize::from(*kind);
        let line = match CODES.get(kind) {
            Some(code) => Line::Error(code, &text),
            None => Line::Fine(REPLIES[kind % REPLIES.len()]),
        };
        let is_fine = matches!(line, Line::Fine(_));
        assert!(!awaited.is_empty(), "more replies were read than asked for");
        let command = awaited.remove(0);
        let next = handshake.on_reply(line);
        if let Next::Fail(fault) = &next {
            let cause = fault.cause.as_deref().unwrap_or_default();
            assert!(!has(2) || !cause.contains(PASSWORD), "{text:?} is shown as {cause:?}");
            return;
        }
        // To what stands behind a refused HELLO anything may be said: it is all asked once more.
        let does_not_count = handshake.refusal().is_some() && is_first_write;
        assert!(is_fine || does_not_count || command == "PING");
        match next {
            Next::Read => assert!(!awaited.is_empty()),
            Next::Write(write) => {
                assert!(awaited.is_empty() && has(5) && is_first_write);
                assert!(!handshake.speaks_resp3());
                is_first_write = false;
                awaited = commands(&write);
            }
            Next::Ready => {
                assert!(awaited.is_empty() && !does_not_count);
                return;
            }
            Next::Fail(_) => {}
        }
    }
    assert!(replies.is_empty(), "it does not end");
});
