use super::*;
use crate::reason::Reason;
use crate::redis::errand::Task;
use crate::redis::upstream::Server;
use redis::Value;

const UP: fn(ServerId) -> bool = |_| false;

fn address(port: u16) -> Address {
    Address::tcp("127.0.0.1", port)
}

fn topology(servers: Servers, read: ReadFrom, now: Instant) -> Topology {
    let name = Some("pages".into());
    let upstream = Upstream { name, servers, read, login: Login::default(), tls: false };
    Topology::new(&upstream, true, now)
}

fn listed(servers: &[(u16, Duty)], read: ReadFrom, now: Instant) -> Topology {
    let server =
        |(port, duty): &(u16, Duty)| Server { address: address(*port), duty: *duty, weight: 1 };
    topology(Servers::Listed(servers.iter().map(server).collect()), read, now)
}

fn cluster(now: Instant) -> Topology {
    topology(Servers::Cluster(vec![address(7000), address(7001)]), ReadFrom::Primary, now)
}

fn sentinels(read: ReadFrom, now: Instant) -> Topology {
    let sentinels = vec![address(26379), address(26380)];
    let servers = Servers::Sentinel { master: "m".into(), sentinels, login: Login::default() };
    topology(servers, read, now)
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn fields(pairs: &[(&str, &str)]) -> Value {
    Value::Map(pairs.iter().map(|(name, value)| (bulk(name), bulk(value))).collect())
}

fn master(port: u16, epoch: u64) -> Value {
    fields(&[
        ("ip", "127.0.0.1"),
        ("port", &port.to_string()),
        ("config-epoch", &epoch.to_string()),
    ])
}

fn slots(ranges: &[(i64, i64, u16)]) -> Value {
    let range = |(first, last, port): &(i64, i64, u16)| {
        let server = Value::Array(vec![bulk("127.0.0.1"), Value::Int(i64::from(*port))]);
        Value::Array(vec![Value::Int(*first), Value::Int(*last), server])
    };
    Value::Array(ranges.iter().map(range).collect())
}

fn tasks(topology: &mut Topology, now: Instant) -> Vec<(ServerId, Task)> {
    topology.due(now, UP).into_iter().map(|(id, errand)| (id, errand.task)).collect()
}

fn port_of(topology: &Topology, choice: Choice) -> Option<u16> {
    match choice {
        Choice::Server(id) => match &topology.server(id)?.address {
            Address::Tcp(_, port) => Some(*port),
            Address::Unix(_) => None,
        },
        _ => None,
    }
}

#[test]
fn a_backup_is_asked_while_the_primary_is_out() {
    let now = Instant::now();
    let topology = listed(&[(1, Duty::Primary), (2, Duty::Backup)], ReadFrom::Primary, now);
    let ask = |purpose, out: &[ServerId]| {
        let choice = topology.choose(b"k", purpose, now, |id| out.contains(&id));
        port_of(&topology, choice)
    };
    assert_eq!(ask(Purpose::Read, &[]), Some(1));
    assert_eq!(ask(Purpose::Read, &[0]), Some(2));
    assert_eq!(ask(Purpose::Write, &[0]), Some(2));
    assert_eq!(ask(Purpose::Invalidate, &[0]), Some(1), "it is owed to the primary");
    assert_eq!(ask(Purpose::InvalidateBackup(0), &[1]), Some(2));
    assert_eq!(ask(Purpose::InvalidateBackup(1), &[]), None);
    assert_eq!(ask(Purpose::Read, &[0, 1]), Some(1));
}

fn replication(topology: &mut Topology, id: ServerId, info: &str, now: Instant) {
    let reply = Ok(bulk(&format!("{info}\r\nmaster_replid:a\r\n")));
    topology.on_reply(id, Task::Replication, reply, now);
}

#[test]
fn a_replica_is_read_while_it_keeps_up() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut topology = listed(&[(1, Duty::Primary), (2, Duty::Replica)], ReadFrom::Replica, start);
    let read =
        |topology: &Topology, now| port_of(topology, topology.choose(b"k", Purpose::Read, now, UP));
    let replica = |link: &str, offset: u64| {
        format!(
            "role:slave\r\nmaster_link_status:{link}\r\nmaster_sync_in_progress:0\r\n\
             slave_repl_offset:{offset}"
        )
    };
    let primary = |offset: u64| format!("role:master\r\nmaster_repl_offset:{offset}");
    let mut now = start;
    for (was, has, link, wanted) in [
        (100, 100, "up", 1),
        (200, 150, "up", 2),
        (300, 150, "up", 1),
        (300, 300, "up", 2),
        (300, 300, "down", 1),
    ] {
        assert_eq!(tasks(&mut topology, now), [(0, Task::Replication), (1, Task::Replication)]);
        replication(&mut topology, 0, &primary(was), now);
        replication(&mut topology, 1, &replica(link, has), now);
        assert_eq!(read(&topology, now), Some(wanted), "{was} {has} {link}");
        now += second;
    }
    replication(&mut topology, 1, &replica("up", 300), now);
    assert_eq!(read(&topology, now), Some(2));
    assert_eq!(port_of(&topology, topology.choose(b"k", Purpose::Write, now, UP)), Some(1));
    assert_eq!(read(&topology, now + second * 4), Some(1));
    topology.trouble(1, now);
    assert_eq!(read(&topology, now), Some(1));
}

#[test]
fn the_nearest_has_the_shortest_round_trip() {
    let now = Instant::now();
    let mut topology = listed(&[(1, Duty::Primary), (2, Duty::Replica)], ReadFrom::Nearest, now);
    let millis = Duration::from_millis;
    for round in 0..2 {
        let now = now + Duration::from_secs(1) * round;
        tasks(&mut topology, now);
        replication(&mut topology, 0, "role:master\r\nmaster_repl_offset:1", now + millis(9));
        let replica = "role:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:1";
        replication(&mut topology, 1, replica, now + millis(2));
    }
    let now = now + Duration::from_secs(1);
    assert_eq!(port_of(&topology, topology.choose(b"k", Purpose::Read, now, UP)), Some(2));
}

#[test]
fn sentinels_are_asked_in_turn_and_followed() {
    let mut now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    assert_eq!(topology.choose(b"k", Purpose::Read, now, UP), Choice::Later);
    assert_eq!(tasks(&mut topology, now), [(0, Task::Primary), (0, Task::Subscribe)]);
    assert_eq!(tasks(&mut topology, now), []);
    topology.trouble(0, now);
    assert_eq!(tasks(&mut topology, now), [(1, Task::Primary), (1, Task::Subscribe)]);
    let news = topology.on_reply(1, Task::Primary, Ok(master(7000, 5)), now);
    assert_eq!(news, News::Primary(address(7000)));
    let choice = topology.choose(b"k", Purpose::Write, now, UP);
    assert_eq!(port_of(&topology, choice), Some(7000));
    let Choice::Server(first) = choice else { panic!() };
    assert!(topology.greeting(first).wants_primary && !topology.greeting(0).wants_primary);
    // An older story is not believed, and the next one is asked at once.
    topology.on_reply(1, Task::Primary, Ok(master(6000, 4)), now);
    assert_eq!(port_of(&topology, topology.choose(b"k", Purpose::Read, now, UP)), Some(7000));
    assert_eq!(tasks(&mut topology, now), [(0, Task::Primary), (0, Task::Subscribe)]);
    topology.on_reply(0, Task::Primary, Ok(master(7000, 5)), now);
    assert_eq!(tasks(&mut topology, now), []);
    // A primary that is lost is asked for again, of another sentinel.
    now += Duration::from_millis(150);
    topology.trouble(first, now);
    assert_eq!(tasks(&mut topology, now), [(1, Task::Primary)]);
    topology.on_reply(1, Task::Primary, Ok(master(7001, 6)), now);
    assert_eq!(port_of(&topology, topology.choose(b"k", Purpose::Read, now, UP)), Some(7001));
    assert_eq!(topology.servers().count(), 3, "the old primary is forgotten");
}

#[test]
fn an_older_story_is_believed_when_all_tell_it() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    topology.on_reply(0, Task::Primary, Ok(master(7001, 6)), now);
    let primary = |topology: &Topology| {
        port_of(topology, topology.choose(b"k", Purpose::Read, now, |_| true))
    };
    for (id, port, epoch, wanted) in
        [(0, 7000, 1, 7001), (1, 7001, 6, 7001), (0, 7000, 1, 7001), (1, 7000, 1, 7000)]
    {
        topology.on_reply(id, Task::Primary, Ok(master(port, epoch)), now);
        assert_eq!(primary(&topology), Some(wanted), "{id} {epoch}");
    }
}

#[test]
fn one_sentinel_that_is_left_is_not_all() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    topology.on_reply(0, Task::Primary, Ok(master(7001, 6)), now);
    topology.trouble(0, now);
    for _ in 0..5 {
        topology.on_reply(1, Task::Primary, Ok(master(7000, 5)), now);
        let choice = topology.choose(b"k", Purpose::Read, now, UP);
        assert_eq!(port_of(&topology, choice), Some(7001));
    }
}

#[test]
fn a_sentinel_that_leads_a_failover_is_not_believed_before_its_end() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    let leading = |port: u16, epoch: &str| {
        let flags = "master,failover_in_progress";
        let port = port.to_string();
        fields(&[("ip", "127.0.0.1"), ("port", &port), ("config-epoch", epoch), ("flags", flags)])
    };
    topology.on_reply(0, Task::Primary, Ok(leading(7000, "2")), now);
    assert_eq!(topology.choose(b"k", Purpose::Read, now, UP), Choice::Later);
    let mut tell = |id, reply, wanted| {
        topology.on_reply(id, Task::Primary, Ok(reply), now);
        let choice = topology.choose(b"k", Purpose::Read, now, UP);
        assert_eq!(port_of(&topology, choice), Some(wanted));
    };
    tell(1, master(7001, 2), 7001);
    for _ in 0..5 {
        tell(0, leading(7000, "2"), 7001);
    }
    tell(0, master(7001, 2), 7001);
    // Others of the same epoch: one sentinel alone is not believed.
    tell(0, master(7000, 2), 7001);
    tell(1, master(7000, 2), 7000);
}

#[test]
fn a_sentinel_that_names_a_replica_is_behind() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    tasks(&mut topology, now);
    topology.on_reply(0, Task::Primary, Ok(master(7000, 1)), now);
    let Choice::Server(named) = topology.choose(b"k", Purpose::Write, now, UP) else { panic!() };
    let later = now + Duration::from_millis(150);
    topology.trouble(named, later);
    assert_eq!(tasks(&mut topology, later)[0], (1, Task::Primary));
}

#[test]
fn hope_ends_when_every_sentinel_has_failed() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Primary, now);
    for id in [0, 1] {
        assert_eq!(topology.choose(b"k", Purpose::Read, now, UP), Choice::Later);
        assert_eq!(tasks(&mut topology, now)[0], (id, Task::Primary));
        let none = Err(Reason::ErrorReply);
        let news = topology.on_reply(id, Task::Primary, none, now);
        assert_eq!(news, News::Useless(Reason::ErrorReply));
    }
    assert_eq!(topology.choose(b"k", Purpose::Read, now, UP), Choice::Nowhere);
    assert_eq!(tasks(&mut topology, now), []);
    assert_eq!(tasks(&mut topology, now + Duration::from_millis(500))[0], (0, Task::Primary));
}

#[test]
fn a_sentinel_that_is_silent_is_left() {
    let now = Instant::now();
    let mut topology = sentinels(ReadFrom::Replica, now);
    tasks(&mut topology, now);
    let later = now + Duration::from_secs(1);
    let asked = tasks(&mut topology, later);
    assert_eq!(asked, [(1, Task::Primary), (1, Task::Replicas), (1, Task::Subscribe)]);
}

#[test]
fn a_cluster_is_asked_for_its_slots() {
    let now = Instant::now();
    let mut topology = cluster(now);
    assert_eq!(topology.choose(b"foo", Purpose::Read, now, UP), Choice::Later);
    assert_eq!(tasks(&mut topology, now), [(0, Task::Slots)]);
    let map = slots(&[(0, 8191, 7000), (8192, 16383, 7002)]);
    assert_eq!(topology.on_reply(0, Task::Slots, Ok(map.clone()), now), News::Slots(2, 16384));
    // CRC16 of foo is 12182, of bar 5061.
    let ask = |topology: &Topology, key: &[u8]| {
        port_of(topology, topology.choose(key, Purpose::Read, now, UP))
    };
    assert_eq!((ask(&topology, b"foo"), ask(&topology, b"bar")), (Some(7002), Some(7000)));
    assert_eq!(topology.on_reply(0, Task::Slots, Ok(map), now), News::Nothing);

    assert!(topology.moved(12182, &address(7003), now).is_some());
    assert_eq!(ask(&topology, b"foo"), Some(7003));
    let soon = now + Duration::from_millis(100);
    assert_eq!(tasks(&mut topology, soon), [(1, Task::Slots)]);

    // A map that is behind does not make it forget where it was pointed to.
    let hole = slots(&[(0, 8191, 7000)]);
    assert_eq!(topology.on_reply(0, Task::Slots, Ok(hole.clone()), soon), News::Slots(1, 8192));
    assert_eq!(topology.servers().count(), 3);
    topology.on_reply(0, Task::Slots, Ok(hole), soon + Duration::from_secs(10));
    assert_eq!(topology.servers().count(), 2);
    assert_eq!(topology.choose(b"foo", Purpose::Read, soon, UP), Choice::Nowhere);
    // What is amiss is asked about again soon.
    assert_eq!(tasks(&mut topology, soon + Duration::from_millis(500)).len(), 1);
}

#[test]
fn replies_that_make_no_map_are_useless() {
    let now = Instant::now();
    for reply in
        [Value::Nil, Value::Array(vec![]), slots(&[(0, 99_999, 7000)]), slots(&[(0, 1, 0)])]
    {
        let mut topology = cluster(now);
        tasks(&mut topology, now);
        assert!(matches!(topology.on_reply(0, Task::Slots, Ok(reply), now), News::Useless(_)));
        assert_eq!(tasks(&mut topology, now), [(1, Task::Slots)]);
    }
}

#[test]
fn a_map_cannot_name_servers_without_end() {
    let now = Instant::now();
    let mut topology = cluster(now);
    tasks(&mut topology, now);
    let many: Vec<_> = (0..4000).map(|n: u16| (i64::from(n), i64::from(n), 10_000 + n)).collect();
    let news = topology.on_reply(0, Task::Slots, Ok(slots(&many)), now);
    assert!(matches!(news, News::Useless(_)));
    assert!(topology.servers().count() <= MAX_SERVERS);
}
