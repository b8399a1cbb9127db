"""Slots that move: MOVED and ASK are followed once, within the same request, for lookups, stores
and invalidations; nothing is lost in the middle of a reshard."""

import time

import pytest
from redis.crc import key_slot
from support.cluster import Cluster, Move
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.stored import fresh_line, key_of, page
from support.upstream import asked, start, stored

pytestmark = pytest.mark.doors("in_place")

PROMISE = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def nginx(store, cluster, origin):
    origin.answer = lambda asked: Answer(b"app " + asked.target.encode(), headers=FRESH)
    nginx = start(store, f"cluster; server {cluster.url};")
    wait_for(lambda: nginx.get("/ready").cache[0] == "hit", "the map", PROMISE)
    return nginx


@pytest.fixture
def move(nginx, cluster):
    """`move(target)`: the slot of that page on its way to another node."""
    moves = []

    def move(target):
        slot = key_slot(key_of(nginx, target).encode())
        source = cluster.owner(slot)
        moves.append(Move(cluster, slot, next(n for n in cluster.primaries if n is not source)))
        moves[-1].begin()
        return moves[-1]

    yield move
    for one in moves:
        if cluster.owner(one.slot) is one.source:
            one.abort()


def lay(cluster, nginx, target, value=None):
    cluster.set(key_of(nginx, target), value or stored(f"stored {target}"))


def errors(node, word):
    """How often a node has answered with an error of this name."""
    with node.client() as client:
        return client.info("errorstats").get(f"errorstat_{word}", {"count": 0})["count"]


def gone(value):
    return b"gone=" in (value or b"")


def test_a_slot_that_has_moved(nginx, cluster):
    lay(cluster, nginx, "/p")
    assert nginx.get("/p").body == b"stored /p"
    slot = key_slot(key_of(nginx, "/p").encode())
    source = cluster.owner(slot)
    target = next(node for node in cluster.primaries if node is not source)
    before = errors(source, "MOVED")
    cluster.move([slot], target)
    # The very first request follows; the map is mended behind it.
    response = nginx.get("/p")
    assert response.body == b"stored /p" and asked(response) == target.port
    time.sleep(1)
    after = errors(source, "MOVED")
    assert after > before
    for _ in range(20):
        assert asked(nginx.get("/p")) == target.port
    assert errors(source, "MOVED") == after


def test_a_store_and_an_invalidation_after_a_move(nginx, cluster):
    for n, what in enumerate(["store", "invalidation"]):
        target = f"/after-{n}"
        slot = key_slot(key_of(nginx, target).encode())
        source = cluster.owner(slot)
        if what == "invalidation":
            lay(cluster, nginx, target)
        cluster.move([slot], next(node for node in cluster.primaries if node is not source))
        if what == "store":
            assert nginx.get(target).body == b"app " + target.encode()
            wait_for(lambda t=target: nginx.get(t).cache == ("hit", "fresh"), "a hit", 1)
        else:
            assert nginx.request("POST", target, body=b"x").status == 200
            assert gone(cluster.get(key_of(nginx, target)))
    assert not [line for line in nginx.warnings() if "dropped" in line]


def test_lookups_in_the_middle_of_a_move(nginx, cluster, move):
    """Of two pages of one slot one has been carried over, the other not yet."""
    one, two = "/{mid}1", "/{mid}2"
    for target in (one, two):
        lay(cluster, nginx, target)
    moving = move(one)
    for _ in range(10):
        assert nginx.get(one).body == b"stored " + one.encode()
    moving.keys([key_of(nginx, one)])
    before = errors(moving.source, "ASK")
    for _ in range(10):
        response = nginx.get(one)
        assert response.body == b"stored " + one.encode()
        assert asked(response) == moving.target.port
        response = nginx.get(two)
        assert response.body == b"stored " + two.encode()
        assert asked(response) == moving.source.port
    # ASK is followed for this query alone; the map says the source until the slot has moved.
    assert errors(moving.source, "ASK") >= before + 10
    assert errors(moving.target, "MOVED") == 0 or "moved:" not in nginx.error_log()
    moving.keys()
    moving.finish()
    for target in (one, two):
        assert nginx.get(target).body == b"stored " + target.encode()


@pytest.mark.parametrize("over", ["nothing", "stale", "tombstone"])
@pytest.mark.parametrize("carried", [True, False])
def test_a_store_in_the_middle_of_a_move(nginx, cluster, move, over, carried):
    target = f"/store-{over}-{carried}"
    values = {"stale": page("old", line=fresh_line(1000, age=9)),
              "tombstone": page(b"", line=f'v=1, gone="{"a" * 32}"')}  # fmt: skip
    if over != "nothing":
        lay(cluster, nginx, target, values[over])
    moving = move(target)
    if carried:
        moving.keys()
    assert nginx.get(target).body == b"app " + target.encode()
    wait_for(lambda: nginx.get(target).cache == ("hit", "fresh"), "a hit", 1)
    where = moving.target if carried or over == "nothing" else moving.source
    assert b"app /store" in moving.here(where, key_of(nginx, target))
    moving.keys()
    moving.finish()
    assert nginx.get(target).cache == ("hit", "fresh")
    assert not [line for line in nginx.warnings() if "dropped" in line]


@pytest.mark.parametrize("carried", [True, False])
def test_an_invalidation_in_the_middle_of_a_move(nginx, cluster, move, carried):
    target = f"/post-{carried}"
    lay(cluster, nginx, target)
    moving = move(target)
    if carried:
        moving.keys()
    assert nginx.request("POST", target, body=b"x").status == 200
    where = moving.target if carried else moving.source
    assert gone(moving.here(where, key_of(nginx, target)))
    assert nginx.get(target).body == b"app " + target.encode()
    moving.keys()
    moving.finish()
    assert nginx.get(target).body == b"app " + target.encode()


def test_a_variant_in_the_middle_of_a_move(nginx, cluster, move, origin):
    headers = [*FRESH, ("Vary", "X-Kind")]
    origin.answer = lambda asked: Answer(
        f"{asked.target} {asked.header('X-Kind')}".encode(), headers=headers
    )
    target = "/varies"
    for kind in "ab":
        nginx.get(target, {"X-Kind": kind})
        time.sleep(0.1)
    variants = cluster.keys(key_of(nginx, target) + "|*")
    assert len(variants) == 2
    for key in [key_of(nginx, target), *variants]:
        name = key if isinstance(key, bytes) else key.encode()
        slot = key_slot(name)
        source = cluster.owner(slot)
        moving = Move(cluster, slot, next(n for n in cluster.primaries if n is not source))
        moving.begin()
        moving.keys()
        for kind in "ab":
            response = nginx.get(target, {"X-Kind": kind})
            assert response.body == f"{target} {kind}".encode()
            assert response.cache == ("hit", "fresh")
        moving.finish()


def test_a_move_that_is_given_up(nginx, cluster, move):
    lay(cluster, nginx, "/back")
    moving = move("/back")
    moving.keys()
    assert nginx.get("/back").body == b"stored /back"
    moving.abort()
    response = nginx.get("/back")
    assert response.body == b"stored /back" and asked(response) == moving.source.port


def test_a_range_of_slots_back_and_forth(nginx, cluster):
    targets = [f"/range{n}" for n in range(40)]
    for target in targets:
        lay(cluster, nginx, target)
    slots = [key_slot(key_of(nginx, target).encode()) for target in targets]
    for target_node in (cluster.primaries[0], cluster.primaries[2]):
        for target, slot in zip(targets, slots, strict=True):
            cluster.move([slot], target_node)
            assert nginx.get(target).body == b"stored " + target.encode()
        time.sleep(0.5)
        for target in targets:
            response = nginx.get(target)
            assert response.body == b"stored " + target.encode()
            assert asked(response) == target_node.port
