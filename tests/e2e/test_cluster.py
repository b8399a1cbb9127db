"""A Redis Cluster that is well: each key on its node, whatever the seeds, tags, users and roles."""

import time
from urllib.parse import unquote_to_bytes

import pytest
from redis.crc import key_slot
from support.cluster import Cluster
from support.origin import Answer
from support.pages import FRESH
from support.ports import free_port, wait_for
from support.stored import key_of
from support.upstream import BREAKER, QUICK, asked, start, stored

pytestmark = pytest.mark.usefixtures("cacheable")
PROMISE = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), replicas=1)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def other(tmp_path):
    """`other(...)` starts a Cluster of its own."""
    started = []

    def other(begin=True, **arguments):
        started.append(Cluster(tmp_path / f"other{len(started)}", **arguments))
        return started[-1].start() if begin else started[-1]

    yield other
    for one in started:
        one.stop()


def seeds(nodes, more="") -> str:
    return "cluster;" + "".join(f"server {node.url};" for node in nodes) + more


def lay(cluster, nginx, target):
    cluster.set(key_of(nginx, target), stored(f"stored {target}"))


def is_hit(nginx, target):
    response = nginx.get(target)
    assert response.status == 200
    assert response.body in (f"stored {target}".encode(), f"app {target}".encode())
    return response.body.startswith(b"stored")


def ready(nginx, target="/ready"):
    wait_for(lambda: nginx.get(target).cache[1] != "topology", "the map", PROMISE)


def test_every_key_is_asked_of_its_node(serve, cluster):
    nginx = start(serve, seeds(cluster.nodes[:1]))
    ready_key = "/0"
    lay(cluster, nginx, ready_key)
    wait_for(lambda: is_hit(nginx, ready_key), "a hit", PROMISE)
    found = set()
    for n in range(60):
        lay(cluster, nginx, f"/{n}")
        response = nginx.get(f"/{n}")
        assert response.body == f"stored /{n}".encode()
        assert asked(response) == cluster.owner_of(key_of(nginx, f"/{n}")).port
        found.add(asked(response))
    assert found == cluster.ports()
    log = nginx.error_log()
    assert "upstream pages: " in log and "servers serve 16384 slots" in log
    assert "moved" not in log


def test_the_name_of_a_node_has_database_0(serve, cluster):
    nginx = start(serve, seeds(cluster.nodes[:1]))
    lay(cluster, nginx, "/p")
    wait_for(lambda: is_hit(nginx, "/p"), "a hit", PROMISE)
    owner = cluster.owner_of(key_of(nginx, "/p"))
    assert nginx.get("/p").header("X-Server") == f"127.0.0.1:{owner.port}/0"


TAGS = [
    "/{tag}1", "/x{tag}2", "/{}3", "/{4", "/}{5", "/{{tag}}6", "/{a}{tag}7", "/a{}{b}8", "/{%7D}9",
]  # fmt: skip


@pytest.mark.parametrize("target", TAGS)
def test_hash_tags(serve, cluster, target):
    nginx = start(serve, seeds(cluster.nodes[:1]))
    lay(cluster, nginx, target)
    wait_for(lambda: is_hit(nginx, target), "a hit", PROMISE)
    assert asked(nginx.get(target)) == cluster.owner_of(key_of(nginx, target)).port
    assert "moved" not in nginx.error_log()


def test_one_tag_for_all_keys(store, cluster):
    nginx = start(store, seeds(cluster.nodes[:1]), 'redis_cache_key "{site}$uri" prefix=page:;')
    ready(nginx)
    with nginx.client() as client:
        for n in range(20):
            client.get(f"/tag{n}")
            response = client.get(f"/tag{n}")
            assert response.cache == ("hit", "fresh")
            assert asked(response) == cluster.owner(key_slot(b"page:{site}/")).port


def test_keys_of_other_bytes(serve, cluster):
    nginx = start(serve, seeds(cluster.nodes[:1]), "redis_cache_key $uri prefix=é:;")
    for target in ["/%C3%A9", "/%01", "/%20%7B%C3%A9%7D", "/%FF%7Bx%7D"]:
        key = "é:".encode() + unquote_to_bytes(target)
        cluster.set(key, stored(f"stored {target}"))
        wait_for(lambda t=target: is_hit(nginx, t), f"a hit of {target}", PROMISE)
        assert asked(nginx.get(target)) == cluster.owner_of(key).port


def test_pages_are_stored_on_their_nodes(store, cluster, origin):
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    before = len(origin.requests)
    with nginx.client() as client:
        for n in range(50):
            assert client.get(f"/s{n}").body == f"app /s{n}".encode()
            assert client.get(f"/s{n}").cache == ("hit", "fresh")
    assert len(origin.requests) == before + 50
    for n in range(50):
        assert b"app /s%d" % n in cluster.get(key_of(nginx, f"/s{n}"))


def test_invalidations(store, cluster):
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    for n in range(20):
        lay(cluster, nginx, f"/i{n}")
        assert nginx.request("POST", f"/i{n}", body=b"x").status == 200
        assert b"gone=" in cluster.get(key_of(nginx, f"/i{n}"))
        assert nginx.get(f"/i{n}").body == b"app /i%d" % n


def test_an_invalidation_of_pages_of_other_nodes(store, cluster, origin):
    """Those that Location and Content-Location name live in other slots."""
    targets = [f"/l{n}" for n in range(12)]
    origin.answer = lambda asked: Answer(
        b"app " + asked.target.encode(), 201 if asked.method == "POST" else 200,
        [*FRESH, ("Location", "/l1" + asked.target), ("Content-Location", "/l2" + asked.target)],
    )  # fmt: skip
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    for target in targets:
        for page in (target, "/l1" + target, "/l2" + target):
            lay(cluster, nginx, page)
        nginx.request("POST", target, body=b"x")
        for page in (target, "/l1" + target, "/l2" + target):
            key = key_of(nginx, page)
            wait_for(lambda key=key: b"gone=" in cluster.get(key), f"a tombstone of {page}", 1)


def test_variants_live_in_other_slots(store, cluster, origin):
    headers = [*FRESH, ("Vary", "X-Kind")]

    def answer(asked):
        return Answer(f"{asked.target} {asked.header('X-Kind')}".encode(), headers=headers)

    origin.answer = answer
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    slots = set()
    for n in range(15):
        for kind in "abc":
            for _ in range(2):
                response = nginx.get(f"/v{n}", {"X-Kind": kind})
                assert response.body == f"/v{n} {kind}".encode()
                time.sleep(0.02)
            assert response.cache == ("hit", "fresh")
            slots.add(asked(response))
        key = key_of(nginx, f"/v{n}")
        assert b"vary=" in cluster.get(key)
        variants = cluster.keys(f"{key}|*")
        assert len(variants) == 3
        assert {key_slot(name) for name in variants} != {key_slot(key.encode())}
    assert len(slots) == 3


def test_a_variant_that_is_invalidated(store, cluster, origin):
    headers = [*FRESH, ("Vary", "X-Kind")]
    number = iter(range(1000))
    origin.answer = lambda asked: Answer(b"%d" % next(number), headers=headers)
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    for n in range(10):
        first = nginx.get(f"/w{n}", {"X-Kind": "a"}).body
        wait_for(lambda n=n: nginx.get(f"/w{n}", {"X-Kind": "a"}).cache[0] == "hit", "a hit", 2)
        nginx.request("POST", f"/w{n}", body=b"x")
        assert int(nginx.get(f"/w{n}", {"X-Kind": "a"}).body) > int(first)


@pytest.mark.parametrize("before", ["refusing", "silent", "no cluster"])
def test_seeds_that_are_dead_stand_first(serve, cluster, redis, silent, before):
    port = {"refusing": free_port(), "silent": silent, "no cluster": redis.port}[before]
    block = f"cluster; server redis://127.0.0.1:{port}; server {cluster.url}; {BREAKER}"
    nginx = start(serve, block, QUICK)
    lay(cluster, nginx, "/p")
    wait_for(lambda: is_hit(nginx, "/p"), "a hit", PROMISE)
    assert all(is_hit(nginx, "/p") for _ in range(20))


def test_a_seed_that_is_no_cluster(store, redis):
    nginx = start(store, f"cluster; server redis://127.0.0.1:{redis.port};")
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert response.body == f"app /{n}".encode()
        assert response.cache[1].partition("/")[0] == "topology"
        time.sleep(0.1)
    with redis.client() as client:
        assert client.keys("*") == []


def test_no_seed_is_there_yet(store, other):
    cluster = other(begin=False, nodes=3)
    nginx = start(store, seeds(cluster.nodes))
    for n in range(3):
        response = nginx.get(f"/{n}")
        assert response.body == f"app /{n}".encode()
        assert response.cache[1].partition("/")[0] == "topology"
    assert "topology" in nginx.error_log()
    cluster.start()
    lay(cluster, nginx, "/p")
    wait_for(lambda: is_hit(nginx, "/p"), "a hit", PROMISE)


def test_a_replica_may_be_the_seed(serve, cluster):
    nginx = start(serve, seeds(cluster.replicas[:1]))
    lay(cluster, nginx, "/p")
    wait_for(lambda: is_hit(nginx, "/p"), "a hit", PROMISE)
    assert asked(nginx.get("/p")) == cluster.owner_of(key_of(nginx, "/p")).port


@pytest.mark.parametrize("read", ["replica", "nearest"])
def test_reads_from_replicas(store, cluster, read):
    nginx = start(store, seeds(cluster.nodes[:1], f"read {read};"))
    ready(nginx)
    replicas = {node.port for node in cluster.replicas}
    good = replicas if read == "replica" else replicas | cluster.ports()

    def served_by():
        with nginx.client() as client:
            return {asked(client.get(f"/r{n}")) for n in range(40)}

    wait_for(lambda: served_by() <= good, f"reads from {good}", 5)
    for n in range(20):
        target = f"/{read}{n}"
        assert nginx.get(target).body == b"app " + target.encode()
        wait_for(lambda t=target: nginx.get(t).cache == ("hit", "fresh"), "a hit", 2)
    for n in range(5):
        nginx.request("POST", f"/{read}{n}", body=b"x")
        assert b"gone=" in cluster.get(key_of(nginx, f"/{read}{n}"))
    assert "readonly" not in nginx.error_log() and "moved" not in nginx.error_log()


def test_a_password_and_a_user(store, other, tmp_path):
    cluster = other(replicas=1, password="pass word")
    cluster.add_user("nginx", ">se-cret", "~page:*", "+@all")
    (tmp_path / "password").write_text("se-cret\n")
    login = f"username nginx; password_file {tmp_path}/password;"
    nginx = start(store, seeds(cluster.nodes[:1], f"{login} read replica;"))
    ready(nginx)
    for n in range(10):
        wait_for(lambda n=n: nginx.get(f"/{n}").cache == ("hit", "fresh"), "a hit", PROMISE)
    assert "se-cret" not in nginx.error_log()


@pytest.mark.parametrize("password", [None, "wr-ong"])
def test_a_wrong_password(store, other, tmp_path, password):
    cluster = other(password="pass word")
    (tmp_path / "password").write_text("wr-ong")
    login = f"password_file {tmp_path}/password;" if password else ""
    nginx = start(store, seeds(cluster.nodes, login))
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, f"app /{n}".encode())
        assert response.cache[1].partition("/")[0] in ("noauth", "topology")
    assert "wr-ong" not in nginx.error_log()


def test_nodes_that_do_not_tell_their_host(store, other):
    """The host of a MOVED and of the map is then the one that was asked."""
    cluster = other(options=("--cluster-preferred-endpoint-type", "unknown-endpoint"))
    nginx = start(store, seeds(cluster.nodes[:1]))
    ready(nginx)
    targets = [f"/{n}" for n in range(30)]
    for target in targets:
        lay(cluster, nginx, target)
        wait_for(lambda t=target: is_hit(nginx, t), "a hit", PROMISE)
    key = key_of(nginx, "/0")
    target = next(node for node in cluster.primaries if node is not cluster.owner_of(key))
    cluster.move([key_slot(key.encode())], target)
    assert is_hit(nginx, "/0") and asked(nginx.get("/0")) == target.port


def test_two_upstreams_do_not_mix(start_nginx, cluster, other, origin):
    second = other(nodes=3)
    places = "".join(
        f"location /{name}/ {{ redis_cache {name}; proxy_pass {origin.url}; }}" for name in "xy"
    )
    blocks = f"redis_cache_upstream x {{ {seeds(cluster.nodes[:1])} }}"
    blocks += f"redis_cache_upstream y {{ {seeds(second.nodes[:1])} }}"
    nginx = start_nginx(http=blocks, server=f"add_header X-Server $redis_cache_server; {places}")
    for name, one in [("x", cluster), ("y", second)]:
        for n in range(10):
            lay(one, nginx, f"/{name}/{n}")
            wait_for(lambda t=f"/{name}/{n}": is_hit(nginx, t), "a hit", PROMISE)
            assert asked(nginx.get(f"/{name}/{n}")) in {node.port for node in one.nodes}
