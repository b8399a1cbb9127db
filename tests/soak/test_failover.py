"""Each fault of each kind of upstream, while visitors read and change pages: nobody gets another
page, one that is older than a change they could know of, or an error; and pages come from Redis
again within two seconds of its own recovery. The figures are those of docs/reliability.md.

SOAK=full (`make soak`) repeats each; `make test` does it once.
"""

import os
import time

import pytest
from redis.crc import key_slot
from support.cluster import Cluster
from support.dns import DnsServer, Fault
from support.outage import Outage, row
from support.ports import free_port, wait_for
from support.redis_server import RedisServer
from support.sentinel import Watched
from support.stored import key_of
from support.upstream import BREAKER, QUICK, start
from support.visitors import Site

pytestmark = pytest.mark.doors("in_place")

FULL = os.environ.get("SOAK") == "full"
PROMISE = 2
PAGES = 12
LIFETIME = 600
# What an answer may take: the budgets of a lookup and of invalidations, and a busy machine.
SLOWEST = 5
NAME = "redis.test"


@pytest.fixture
def site(origin):
    return Site(origin, pages=PAGES, lifetime=lambda _: LIFETIME, vary=None)


@pytest.fixture
def judge(store, site, figures, request):
    """Starts an nginx that asks an upstream, and lets visitors judge an outage."""

    def judge(name, block, outage, http="", prepare=lambda nginx: None, **arguments):
        nginx = start(store, f"{block} {BREAKER}", QUICK, http, workers=2, **arguments)
        prepare(nginx)
        seen = [outage.judge(nginx, site) for _ in range(5 if FULL else 1)]
        figures(name, row(seen))
        for one in seen:
            assert not one.visitors.wrong, one.visitors.wrong[:5]
            assert one.until_hits < PROMISE
            assert one.visitors.slowest < SLOWEST
        return seen[-1]

    return judge


class Servers:
    """Servers of a list, started."""

    def __init__(self, directory, count):
        self.all = [RedisServer(directory / f"server{n}").start() for n in range(count)]

    def stop(self):
        for server in self.all:
            server.stop()


@pytest.fixture
def running(tmp_path):
    """`running(thing)` starts what has `start`, and stops it in the end."""
    things = []

    def running(thing):
        things.append(thing)
        return thing.start() if hasattr(thing, "start") else thing

    yield running
    for thing in things:
        thing.stop()


def cut_off(server, how, seconds=1.0):
    """A server is lost for some seconds, by SIGKILL or SIGSTOP."""
    server.kill() if how == "killed" else server.pause()
    time.sleep(seconds)


def bring_back(server, how):
    server.start() if how == "killed" else server.resume()


HOWS = pytest.mark.parametrize("how", ["killed", "paused"])


@HOWS
def test_one_server(judge, running, tmp_path, how):
    (server,) = running(Servers(tmp_path, 1)).all
    outage = Outage(lambda: cut_off(server, how), lambda: bring_back(server, how))
    judge(f"one server, {how} for 1 s", f"server {server.url};", outage)


@HOWS
def test_one_of_several(judge, running, tmp_path, how):
    servers = running(Servers(tmp_path, 3)).all
    lost = servers[1]
    outage = Outage(lambda: cut_off(lost, how), lambda: bring_back(lost, how))
    block = "".join(f"server {server.url};" for server in servers)
    seen = judge(f"three servers, one {how} for 1 s", block, outage)
    assert seen.during.hits, "the others go on"


@HOWS
def test_a_backup(judge, running, tmp_path, how):
    """It has nothing yet: until its pages are stored, the application answers."""
    server, backup = running(Servers(tmp_path, 2)).all
    outage = Outage(
        lambda: cut_off(server, how, 0), afterwards=lambda: bring_back(server, how)
    )
    judge(f"a server and a backup, the server {how}",
          f"server {server.url}; server {backup.url} backup;", outage)  # fmt: skip


@HOWS
def test_a_replica(judge, running, tmp_path, how):
    watched = running(Watched(tmp_path, sentinels=0))
    primary, *replicas = watched.servers
    lost = replicas[0]
    outage = Outage(
        lambda: cut_off(lost, how, 0),
        afterwards=lambda: (bring_back(lost, how), watched.wait_replicas()),
        grace=1.0,
    )
    block = f"server {primary.url}; read replica;"
    block += "".join(f"server {replica.url} replica;" for replica in replicas)
    judge(f"a primary and two replicas, a replica {how}", block, outage)


@HOWS
def test_a_primary_with_replicas(judge, running, tmp_path, how):
    """Its replicas are not read meanwhile: they would not know what is invalidated."""
    watched = running(Watched(tmp_path, sentinels=0))
    primary, *replicas = watched.servers

    def recovered():
        bring_back(primary, how)
        watched.wait_replicas()

    block = f"server {primary.url}; read replica;"
    block += "".join(f"server {replica.url} replica;" for replica in replicas)
    outage = Outage(lambda: cut_off(primary, how), recovered, grace=1.0)
    judge(f"a primary and two replicas, the primary {how} for 1 s", block, outage)


@pytest.mark.parametrize("how", ["killed", "paused", "told"])
def test_sentinel(judge, running, tmp_path, how):
    watched = running(Watched(tmp_path))
    lost = []

    def fault():
        lost[:] = [watched.primary]
        watched.fail_over() if how == "told" else cut_off(lost[0], how, 0)

    def recovered():
        if how != "told":
            watched.wait_primary(lost[0])

    def afterwards():
        if how != "told":
            bring_back(lost[0], how)
        watched.wait_replicas()

    what = "SENTINEL FAILOVER" if how == "told" else f"the primary {how}"
    judge(f"Sentinel, {what}", f"{watched.directive} db 1;",
          Outage(fault, recovered, afterwards, watched.wait_handed_on))  # fmt: skip


def test_sentinels_are_lost(judge, running, tmp_path):
    """Two of three, and then the primary: nobody can fail it over until they are back."""
    watched = running(Watched(tmp_path))
    lost = []

    def fault():
        lost[:] = [watched.primary]
        for sentinel in watched.sentinels[:2]:
            sentinel.kill()
        cut_off(lost[0], "killed")

    def recovered():
        for sentinel in watched.sentinels[:2]:
            sentinel.start()
        watched.wait_primary(lost[0], 60)

    def afterwards():
        bring_back(lost[0], "killed")
        watched.wait_replicas()

    outage = Outage(fault, recovered, afterwards, watched.wait_handed_on)
    judge("Sentinel, two Sentinels and the primary killed", f"{watched.directive} db 1;", outage)


def whole(cluster, node):
    def is_ok():
        with cluster.connect(node) as client:
            return client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"

    wait_for(is_ok, "the cluster", 20)


@pytest.mark.parametrize("how", ["killed", "paused", "told"])
def test_cluster(judge, running, tmp_path, how):
    cluster = running(Cluster(tmp_path, replicas=1))
    lost = []

    def fault():
        lost[:] = [cluster.owner(0)]
        lost.append(cluster.replica_of(lost[0]))
        cluster.fail_over(lost[1]) if how == "told" else cut_off(lost[0], how, 0)

    def recovered():
        cluster.wait_primary(lost[1])
        whole(cluster, lost[1])

    def afterwards():
        if how != "told":
            bring_back(lost[0], how)
        cluster.wait_whole()

    what = "CLUSTER FAILOVER" if how == "told" else f"a primary {how}"
    judge(f"Cluster, {what}", f"cluster; server {cluster.url};",
          Outage(fault, recovered, afterwards, cluster.wait_handed_on))  # fmt: skip


def test_resharding(judge, running, tmp_path):
    """Two hundred slots, and those of all pages, to one node and on to another."""
    cluster = running(Cluster(tmp_path))
    slots = list(range(200))

    def prepare(nginx):
        pages = [key_slot(key_of(nginx, f"/{n}").encode()) for n in range(PAGES)]
        slots.extend(pages)

    def fault():
        for target in cluster.primaries[1:]:
            cluster.move(slots, target)

    seen = judge("Cluster, slots resharded", f"cluster; server {cluster.url};",
                 Outage(fault), prepare=prepare)  # fmt: skip
    assert seen.during.hits > 0.8 * seen.during.reads


@pytest.fixture
def dns(running):
    return running(DnsServer())


@pytest.fixture
def named(running, tmp_path, dns):
    """Two servers on one port of two addresses; the name is that of the first."""
    port = free_port()
    servers = [RedisServer(tmp_path / host, host=host, port=port) for host in ADDRESSES]
    dns.records[NAME] = ADDRESSES[:1]
    return [running(server) for server in servers]


ADDRESSES = ["127.0.0.1", "127.0.0.2"]


@pytest.fixture
def by_name(judge, named, dns, hosts):
    def by_name(name, outage):
        return judge(name, f"server redis://{NAME}:{named[0].port}/1;", outage, dns.directive,
                     environment=hosts({NAME: ADDRESSES[:1]}))  # fmt: skip

    return by_name


@pytest.mark.parametrize("fault", list(Fault))
def test_a_name_server_fails(by_name, dns, fault):
    def begin():
        dns.fault = fault
        time.sleep(4)

    def end():
        dns.fault = None

    seen = by_name(f"a name, the name server: {fault.value}", Outage(begin, afterwards=end))
    assert seen.during.hits > 0.8 * seen.during.reads


def test_a_name_moves(by_name, dns, named):
    """The server dies, and five seconds later the name has another address; the answer before it
    holds for its TTL."""
    old, new = named

    def recovered():
        dns.records[NAME] = [new.host]
        time.sleep(dns.ttl)

    def afterwards():
        old.start()

    by_name("a name, its server killed, then another address",
            Outage(lambda: cut_off(old, "killed", 5), recovered, afterwards))  # fmt: skip
