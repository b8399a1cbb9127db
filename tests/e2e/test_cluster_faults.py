"""Nodes of a Cluster that fail: pages of the others go on, the application answers for the rest,
and hits come back with the Cluster."""

import re
import time

import pytest
from redis.crc import key_slot
from support.cluster import Cluster
from support.load import Load
from support.ports import wait_for
from support.stored import key_of
from support.upstream import QUICK, asked, start, stored

PROMISE = 2
# What a lookup may cost by nginx's own clock: its budget of half a second, and what a busy machine
# adds to that.
SLACK = 1.0


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster", replicas=1)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def nginx(serve, cluster):
    return begin(serve, cluster)


def begin(serve, cluster, more="", location=QUICK):
    """Pages for /0 to /9 as support.load expects them, on primaries and replicas."""
    nginx = start(serve, f"cluster; server {cluster.url}; {more}", location)
    lay(cluster, nginx)
    wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
    return nginx


def lay(cluster, nginx):
    for n in range(10):
        key = key_of(nginx, f"/{n}")
        cluster.set(key, stored(f"stored /{n}"))
        with cluster.connect(cluster.owner_of(key)) as client:
            client.wait(1, 2000)


def whole(nginx, targets=None):
    with nginx.client() as client:
        return all(client.get(f"/{n}").body == b"stored /%d" % n for n in targets or range(10))


def judged(load):
    assert not load.wrong, load.wrong[:5]
    times = [float(re.search(r" t=(\S*)", line)[1] or 0) for line in load.nginx.access_log()]
    assert load.stored and max(times) < SLACK, max(times)


def misses(nginx):
    return [line for line in nginx.access_log() if " s=HIT " not in line]


def owned(cluster, nginx, node):
    keys = {n: key_of(nginx, f"/{n}") for n in range(10)}
    return [n for n, key in keys.items() if cluster.owner_of(key) is node]


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("seed", [True, False])
def test_a_primary_is_lost(nginx, cluster, fault, seed):
    """The seed is a node as any other: the map is asked of those that live."""
    node = cluster.nodes[0] if seed else cluster.nodes[1]
    replica = cluster.replica_of(node)
    with Load(nginx, threads=4) as load:
        time.sleep(0.3)
        getattr(node, fault)()
        cluster.wait_primary(replica)
        wait_for(lambda: cluster_ok(cluster, replica), "the cluster", 10)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
        load.wait_under_way()
        known = len(misses(nginx))
        time.sleep(0.5)
        assert not misses(nginx)[known:]
        node.start() if fault == "kill" else node.resume()
        cluster.wait_whole()
        time.sleep(0.5)
    judged(load)
    assert whole(nginx)


def cluster_ok(cluster, node):
    with cluster.connect(node) as client:
        return client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


def test_pages_of_other_nodes_go_on(serve, tmp_path):
    cluster = Cluster(tmp_path / "loose", options=("--cluster-require-full-coverage", "no"))
    try:
        nginx = begin(serve, cluster.start())
        lost = cluster.nodes[1]
        others = [n for n in range(10) if n not in owned(cluster, nginx, lost)]
        lost.kill()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert whole(nginx, others)
            for n in range(10):
                assert nginx.get(f"/{n}").body in (b"stored /%d" % n, b"app GET /%d" % n)
        lost.start()
        lay_again = [n for n in range(10) if n not in others]
        wait_for(lambda: cluster_ok(cluster, lost), "the node", 20)
        for n in lay_again:
            cluster.set(key_of(nginx, f"/{n}"), stored(f"stored /{n}"))
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
    finally:
        cluster.stop()


@pytest.mark.parametrize("how", ["", "FORCE", "TAKEOVER"])
def test_a_failover_that_is_told(nginx, cluster, how):
    with Load(nginx, threads=4) as load:
        for node in list(cluster.primaries):
            time.sleep(0.2)
            replica = cluster.replica_of(node)
            cluster.fail_over(replica, how)
            wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
        cluster.wait_whole()
    judged(load)
    for n in range(10):
        assert asked(nginx.get(f"/{n}")) in {node.port for node in cluster.replicas}


def test_a_failover_and_back(nginx, cluster):
    first = cluster.nodes[0]
    second = cluster.replica_of(first)
    for _ in range(2):
        cluster.fail_over(second)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
        cluster.wait_whole()
        cluster.fail_over(first)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
        cluster.wait_whole()
    assert {asked(nginx.get(f"/{n}")) for n in range(10)} <= cluster.ports()


def test_a_replica_is_lost(serve, cluster):
    nginx = begin(serve, cluster, "read replica;")
    with Load(nginx, threads=4) as load:
        for replica in cluster.replicas:
            replica.kill()
            time.sleep(0.2)
        wait_for(lambda: whole(nginx), "hits of all keys", 4)
        assert {asked(nginx.get(f"/{n}")) for n in range(10)} <= cluster.ports()
        for replica in cluster.replicas:
            replica.start()
        cluster.wait_whole()
        ports = {replica.port for replica in cluster.replicas}
        wait_for(lambda: {asked(nginx.get(f"/{n}")) for n in range(10)} <= ports, "replicas", 10)
    judged(load)


def test_a_primary_is_lost_while_replicas_are_read(serve, cluster):
    nginx = begin(serve, cluster, "read replica;")
    node = cluster.nodes[1]
    replica = cluster.replica_of(node)
    with Load(nginx, threads=4) as load:
        time.sleep(0.3)
        node.kill()
        cluster.wait_primary(replica)
        wait_for(lambda: cluster_ok(cluster, replica), "the cluster", 10)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
    judged(load)


def test_all_nodes_are_started_anew(nginx, cluster):
    with Load(nginx, threads=4) as load:
        time.sleep(0.2)
        for node in cluster.nodes:
            node.kill()
        wait_for(lambda: load.application > 50, "the application's pages")
        for node in cluster.nodes:
            node.start()
        cluster.wait_whole(30)
        lay(cluster, nginx)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
    judged(load)


def test_a_slot_that_no_node_serves(serve, tmp_path):
    """All nodes answer CLUSTERDOWN until it is served again."""
    cluster = Cluster(tmp_path / "three")
    try:
        nginx = begin(serve, cluster.start())
        key = key_of(nginx, "/0").encode()
        owner, slot = cluster.owner_of(key), key_slot(key)
        for node in [owner, *(node for node in cluster.nodes if node is not owner)]:
            with node.client() as client:
                client.execute_command("CLUSTER DELSLOTS", slot)
        wait_for(lambda: not cluster_ok(cluster, owner), "the cluster to be down", 10)
        wait_for(lambda: nginx.get("/1").body == b"app GET /1", "the application's page", 3)
        for _ in range(20):
            for n in range(10):
                assert nginx.get(f"/{n}").body == b"app GET /%d" % n
            time.sleep(0.02)
        with owner.client() as client:
            client.execute_command("CLUSTER ADDSLOTS", slot)
        for node in cluster.nodes:
            wait_for(lambda node=node: cluster_ok(cluster, node), "the cluster", 10)
        wait_for(lambda: whole(nginx, range(1, 10)), "hits", PROMISE)
    finally:
        cluster.stop()


def test_reloads_while_nodes_fail_over(nginx, cluster):
    with Load(nginx, threads=2, keepalive=False) as load:
        for node in list(cluster.primaries[:2]):
            cluster.fail_over(cluster.replica_of(node))
            nginx.reload()
            time.sleep(0.5)
        wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
    judged(load)
    wait_for(lambda: len(nginx.workers()) == 1, "the old workers to end", 10)


def test_nodes_are_added_and_removed(serve, tmp_path):
    """A node that joins later is found out by nginx alone."""
    # Else a primary whose last slot is taken becomes a replica of who took it.
    options = ("--cluster-allow-replica-migration", "no")
    cluster = Cluster(tmp_path / "three", options=options)
    extra = Cluster(tmp_path / "extra", nodes=1, options=options)
    try:
        nginx = begin(serve, cluster.start())
        new = extra.nodes[0]
        (new.directory / "nodes.conf").unlink()
        new.start()
        bus = extra.buses[new.port]
        with cluster.nodes[0].client() as client:
            client.execute_command("CLUSTER MEET", "127.0.0.1", new.port, bus)
        cluster.adopt(new)
        slots = [key_slot(key_of(nginx, f"/{n}").encode()) for n in range(10)]
        with Load(nginx, threads=2) as load:
            cluster.move(slots, new)
            wait_for(lambda: whole(nginx), "hits of all keys", PROMISE)
            assert {asked(nginx.get(f"/{n}")) for n in range(10)} == {new.port}
            cluster.move(slots, cluster.primaries[0])
            time.sleep(1)
            new.kill()
            time.sleep(1)
            assert whole(nginx)
        assert not load.wrong and not load.application, (load.wrong[:3], load.application)
    finally:
        cluster.stop()
        extra.stop()
