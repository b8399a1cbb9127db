//! Any replies to errands, in any order: no server is chosen that is not known, none that holds no
//! pages is asked for one, and what is written goes to a server that has pages of its own.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::reason::Reason;
use ngx_http_redis_cache_module::redis::endpoint::{Address, Login};
use ngx_http_redis_cache_module::redis::errand::Task;
use ngx_http_redis_cache_module::redis::topology::{Choice, Part, Purpose, Topology};
use ngx_http_redis_cache_module::redis::upstream::{Duty, ReadFrom, Server, Servers, Upstream};
use redis::Value;

const TEXTS: [&str; 16] = [
    "ip",
    "port",
    "config-epoch",
    "flags",
    "127.0.0.1",
    "::1",
    "7000",
    "7001",
    "3",
    "s_down,x",
    "",
    "?",
    "name.example",
    "role:master\r\nmaster_replid:a\r\nmaster_repl_offset:9\r\n",
    "role:slave\r\nmaster_replid:a\r\nslave_repl_offset:9\r\nmaster_link_status:up\r\n\
     master_sync_in_progress:0\r\n",
    "failover_in_progress",
];

fn text(u: &mut Unstructured<'_>) -> arbitrary::Result<Value> {
    let which: u8 = u.arbitrary()?;
    let bytes = match TEXTS.get(usize::from(which)) {
        Some(text) => text.as_bytes(),
        None => u.arbitrary()?,
    };
    Ok(Value::BulkString(bytes.to_vec()))
}

/// Any value, no deeper than `depth`.
fn value(u: &mut Unstructured<'_>, depth: u8) -> arbitrary::Result<Value> {
    let kind = u.int_in_range(0..=if depth == 0 { 3 } else { 8 })?;
    Ok(match kind {
        0 => Value::Nil,
        1 => Value::Int(u.int_in_range(-1..=16_384)?),
        2 => Value::Int(u.arbitrary()?),
        3 => text(u)?,
        4 => Value::Map(many(u, |u| Ok((text(u)?, value(u, depth - 1)?)))?),
        // The range of slots of a server, and the fields of one, so that many come to be.
        5 => {
            let server = Value::Array(vec![text(u)?, Value::Int(u.int_in_range(0..=9)?)]);
            let (first, last) = (u.int_in_range(0..=16_384)?, u.int_in_range(0..=16_384)?);
            Value::Array(vec![Value::Int(first), Value::Int(last), server])
        }
        6 => {
            let port = u.int_in_range(1..=9)?.to_string();
            let epoch = u.int_in_range(0..=3)?.to_string();
            let pairs = [("ip", "127.0.0.1"), ("port", &port), ("config-epoch", &epoch)];
            let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            Value::Map(pairs.map(|(name, value)| (bulk(name), bulk(value))).to_vec())
        }
        _ => Value::Array(many(u, |u| value(u, depth - 1))?),
    })
}

fn many<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> arbitrary::Result<T>,
) -> arbitrary::Result<Vec<T>> {
    let count = u.int_in_range(0..=6)?;
    (0..count).map(|_| one(u)).collect()
}

fn servers(u: &mut Unstructured<'_>) -> arbitrary::Result<Servers> {
    let at = |port| Address::tcp("127.0.0.1", port);
    Ok(match u.int_in_range(0..=2)? {
        0 => {
            let duties = [Duty::Primary, Duty::Replica, Duty::Backup];
            let server = |(port, duty)| Server { address: at(port), duty, weight: 1 };
            Servers::Listed((1..).zip(duties).map(server).collect())
        }
        1 => {
            let sentinels = vec![at(26_379), at(26_380)];
            Servers::Sentinel { master: "m".into(), sentinels, login: Login::default() }
        }
        _ => Servers::Cluster(vec![at(7000), at(7001)]),
    })
}

fn look(topology: &Topology, out: u8, now: Instant) {
    let is_out = |id: usize| out & (1 << (id % 8)) != 0;
    for key in [&b"a"[..], b"{b}c", b"d"] {
        for purpose in
            [Purpose::Read, Purpose::Write, Purpose::Invalidate, Purpose::InvalidateBackup(0)]
        {
            let Choice::Server(id) = topology.choose(key, purpose, now, is_out) else { continue };
            let known = topology.server(id).expect("a server that is known");
            assert!(!matches!(known.part, Part::Sentinel | Part::Seed), "{purpose:?} {known:?}");
            assert!(purpose == Purpose::Read || topology.is_primary(id), "{purpose:?} {known:?}");
        }
    }
}

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut now = Instant::now();
    let servers = servers(u)?;
    let tasks: &[Task] = match servers {
        Servers::Listed(_) => &[Task::Replication],
        Servers::Sentinel { .. } => &[Task::Replication, Task::Primary, Task::Replicas],
        Servers::Cluster(_) => &[Task::Replication, Task::Slots],
    };
    let read = *u.choose(&[ReadFrom::Primary, ReadFrom::Replica, ReadFrom::Nearest])?;
    let upstream = Upstream { name: None, servers, read, login: Login::default(), tls: false };
    let mut topology = Topology::new(&upstream, u.arbitrary()?, now);
    while !u.is_empty() {
        let out: u8 = u.arbitrary()?;
        let id = usize::from(u.arbitrary::<u8>()?);
        match u.int_in_range(0..=3)? {
            0 => now += Duration::from_millis(u.int_in_range(0..=3000)?),
            1 => topology.trouble(id, now),
            2 => {
                for (id, errand) in topology.due(now, |id| out & (1 << (id % 8)) != 0) {
                    assert!(topology.server(id).is_some());
                    let reply = value(u, 3)?;
                    topology.on_reply(id, errand.task, Ok(reply), now);
                    look(&topology, out, now);
                }
            }
            _ => {
                let reply = if out == 0 { Err(Reason::Timeout) } else { Ok(value(u, 3)?) };
                topology.on_reply(id, *u.choose(tasks)?, reply, now);
            }
        }
        look(&topology, out, now);
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
