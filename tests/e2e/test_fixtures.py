"""The Sentinels and the Cluster that other tests fail over do what those tests take for granted."""

import pytest
import redis
from redis.crc import key_slot
from support.cluster import Cluster, Move
from support.sentinel import Watched


@pytest.fixture(params=[None, "pass word"])
def password(request):
    return request.param


@pytest.fixture
def watched(tmp_path, password):
    watched = Watched(tmp_path / "watched", password=password, sentinel_password=password)
    try:
        yield watched.start()
    finally:
        watched.stop()


@pytest.fixture
def cluster(tmp_path, password):
    cluster = Cluster(tmp_path / "cluster", replicas=1, password=password)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def test_sentinels_fail_over_when_told_and_when_the_primary_is_lost(watched):
    first = watched.primary
    second = watched.fail_over()
    assert second is not first
    watched.wait_replicas()
    watched.set("k", "v")
    for server in watched.replicas:
        watched.wait_for_key(server, "k")
        with watched.connect(server) as client, pytest.raises(redis.ReadOnlyError):
            client.set("k", "w")
    second.kill()
    third = watched.wait_primary(second)
    second.start()
    watched.wait_replicas()
    assert watched.primary is third


def test_a_slot_on_its_way_answers_ask(cluster):
    source = cluster.owner_of("{t}1")
    target = next(node for node in cluster.primaries if node is not source)
    for key in ["{t}1", "{t}2"]:
        cluster.set(key, "v")
    move = Move(cluster, key_slot(b"{t}1"), target)
    move.begin()
    move.keys(["{t}1"])
    with cluster.connect(source) as client:
        with pytest.raises(redis.exceptions.AskError):
            client.get("{t}1")
        assert client.get("{t}2") == b"v"
        with pytest.raises(redis.exceptions.TryAgainError):
            client.mget("{t}1", "{t}2")
    with cluster.connect(target) as client, pytest.raises(redis.exceptions.MovedError):
        client.get("{t}1")
    assert move.here(target, "{t}1") == b"v"
    move.keys()
    move.finish()
    assert cluster.owner_of("{t}1") is target and cluster.get("{t}2") == b"v"


def test_a_node_fails_over_when_told_and_when_it_is_lost(cluster):
    first = cluster.owner(0)
    second = cluster.replica_of(first)
    cluster.fail_over(second)
    cluster.wait_whole()
    assert cluster.owner(0) is second
    second.kill()
    cluster.wait_primary(first)
    second.start()
    cluster.wait_whole()
    assert cluster.owner(0, asked=second) is first
