"""Replicas, Sentinel and Cluster of each server in short, as a user with the documented rights.
tests/e2e/ has all rules with this machine's own Redis."""

import pytest
from redis.crc import key_slot
from support.cluster import Cluster
from support.documented import SECRET, acl
from support.load import Load
from support.origin import Answer
from support.ports import wait_for
from support.sentinel import Watched
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.doors("in_place")

CACHED = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]
QUICK = "breaker fails=3 timeout=100ms;"
# The module promises two seconds; the machine may be busy.
SOON = 6


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "watched")
    try:
        yield watched.start()
    finally:
        watched.stop()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster", replicas=1)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def start(store, tmp_path, origin):
    """An nginx that stores in an upstream, which it asks as the documented user."""
    (tmp_path / "password").write_text(SECRET)
    origin.answer = lambda asked: Answer(f"app GET {asked.target}".encode(), headers=CACHED)

    def start(block):
        login = f"username nginx; password_file {tmp_path}/password; {QUICK}"
        return store(target="pages", http=f"redis_cache_upstream pages {{ {block} {login} }}")

    return start


def allow(servers, *rules):
    for server in servers:
        with server.client() as client:
            for words in rules:
                client.execute_command(*words)


def denied(servers):
    """What the servers refused the user."""
    found = []
    for server in servers:
        with server.client() as client:
            found += [(entry["reason"], entry["object"]) for entry in client.acl_log()]
    return found


def gets(server) -> int:
    with server.client() as client:
        return client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]


def fill(nginx, put):
    for n in range(10):
        put(key_of(nginx, f"/{n}"), page(f"stored /{n}", line=fresh_line()))


def stores(nginx, target):
    """A page is stored, found, invalidated."""
    assert nginx.get(target).cache[0] != "hit"
    wait_for(lambda: nginx.get(target).cache == ("hit", "fresh"), "a hit", SOON, 0.05)
    assert nginx.request("POST", target, body=b"x").status == 200
    wait_for(lambda: nginx.get(target).cache[1] == "gone", "a tombstone", SOON)


def test_replicas(watched, start):
    """pages from replicas, stored on the primary"""
    allow(watched.servers, acl("+set"), acl("+info"))
    primary, *replicas = watched.servers
    listed = [f"server redis://127.0.0.1:{primary.port}/1;"]
    listed += [f"server redis://127.0.0.1:{replica.port}/1 replica;" for replica in replicas]
    nginx = start(" ".join([*listed, "read replica;"]))
    fill(nginx, primary.set)
    with Load(nginx, threads=4) as load:
        wait_for(lambda: sum(map(gets, replicas)) > 50, "pages from replicas", SOON)
    assert load.application == 0 and not load.wrong
    stores(nginx, "/p")
    for replica in replicas:
        replica.kill()
    wait_for(lambda: nginx.get("/1").body == b"stored /1", "a page of the primary", SOON)
    assert denied([primary]) == []


def test_sentinels(kind, watched, start, tmp_path):
    """Sentinel: a failover under load, a user at the sentinels"""
    allow(watched.servers, acl("+set"), acl("+info"))
    login = ""
    if not kind.is_redis_6:
        allow(watched.sentinels, acl("+subscribe"))
        login = f"sentinel_username nginx; sentinel_password_file {tmp_path}/password;"
    nginx = start(f"{watched.directive} db 1; {login} read replica;")
    fill(nginx, watched.primary.set)
    stores(nginx, "/p")
    watched.wait_handed_on()
    with Load(nginx, threads=4) as load:
        wait_for(lambda: load.stored > 50, "hits")
        primary = watched.fail_over()
        known = load.stored
        wait_for(lambda: load.stored > known + 50, "hits", SOON)
    assert not load.wrong
    wait_for(lambda: f"the primary is 127.0.0.1:{primary.port}" in nginx.error_log(), "it", SOON)
    stores(nginx, "/q")
    assert denied(watched.servers) == []
    assert kind.is_redis_6 or denied(watched.sentinels) == []


def test_a_cluster(cluster, start):
    """Cluster: MOVED, ASK, a slot that moves and a failover under load"""
    allow(cluster.nodes, acl("+set"), acl("+cluster|slots"), acl("+readonly"))
    seeds = " ".join(f"server redis://127.0.0.1:{node.port};" for node in cluster.nodes[:2])
    nginx = start(f"cluster; {seeds} read replica;")
    fill(nginx, cluster.set)
    for n in range(5):
        stores(nginx, f"/p{n}")
    with Load(nginx, threads=4) as load:
        wait_for(lambda: load.stored > 50, "hits")
        reshard(cluster, key_of(nginx, "/1"))
        cluster.fail_over(cluster.replicas[0])
        known = load.stored
        wait_for(lambda: load.stored > known + 100, "hits", SOON)
    assert not load.wrong
    with Load(nginx, threads=2, each=50) as load:
        pass
    assert (load.stored, load.wrong) == (100, [])
    assert denied(cluster.nodes) == []


def reshard(cluster, key):
    """The slot of a key goes to another primary."""
    source = cluster.owner_of(key)
    cluster.move([key_slot(key.encode())], next(n for n in cluster.primaries if n is not source))
