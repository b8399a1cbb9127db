"""The rights that docs/operations.md gives nginx's user: with them Redis refuses nothing, and
without any of them it refuses something."""

import time

import pytest
from redis.crc import key_slot
from support.cluster import Cluster, Move
from support.documented import SECRET, acl
from support.nginx import ROOT
from support.origin import Answer
from support.ports import wait_for
from support.sentinel import Watched
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.doors("in_place")

BREAKER = "fails=1 timeout=50ms"
# Redis 7 lets everybody say HELLO; Redis 6 asks for the right.
UNASKED = {"+hello"}


@pytest.fixture(autouse=True)
def cacheable(origin):
    def answer(asked):
        seconds = 600 if asked.header("X-Kind") == "long" else 60
        headers = {"Cache-Control": f"max-age={seconds}", "Vary": "X-Kind"}
        return Answer(b"page " + asked.target.encode(), headers=headers)

    origin.answer = answer


def rights(words) -> list[str]:
    return [word for word in words if word.startswith("+") and word not in UNASKED]


def allow(servers, *lines, without=None):
    for server in servers:
        with server.client() as client:
            for words in lines:
                client.execute_command(*(word for word in words if word != without))


def denied(*servers) -> set[str]:
    """The commands that the servers refused."""
    found = set()
    for server in servers:
        with server.client() as client:
            found |= {entry["object"].lower() for entry in client.acl_log()}
    return found


def use(nginx, redis):
    """Everything that nginx says to a single server."""
    redis.set(key_of(nginx, "/old"), page("old", line=fresh_line(1000, age=9)))
    for target in ["/new", "/old"]:
        # The marker has to live as long as the second variant.
        for kind in ["brief", "long"]:
            assert nginx.get(target, {"X-Kind": kind}).status == 200
            time.sleep(0.05)
    assert nginx.request("POST", "/old", body=b"x").status == 200
    redis.pause()
    for _ in range(2):
        # The first opens the breaker, the second has a probe sent.
        assert nginx.get("/new").status == 200
        time.sleep(0.1)
    redis.resume()
    wait_for(lambda: nginx.get("/new", {"X-Kind": "brief"}).cache[1] != "breaker", "an answer")


@pytest.fixture
def single(store, redis):
    def single(words, without=None):
        allow([redis], words, without=without)
        target = f"redis://nginx:{SECRET}@127.0.0.1:{redis.port}/1"
        nginx = store(f"redis_cache_breaker {BREAKER};", target=target)
        use(nginx, redis)
        return denied(redis)

    return single


def test_nothing_is_refused(single):
    assert single(acl("+set")) == set()


@pytest.mark.parametrize("right", rights(acl("+set")))
def test_each_right_is_needed(single, right):
    assert right[1:] in single(acl("+set"), without=right)


def test_a_user_that_reads_is_refused_writes_alone(single):
    assert single(acl("+get")) <= {"set", "eval"}


def test_the_sample_says_the_same():
    sample = (ROOT / "nginx-conf/acl.conf").read_text()
    for line in [acl("+get"), acl("+set")]:
        assert " ".join(line[3:]).replace(SECRET, "PASSWORD") in sample


def in_upstream(store, tmp_path, block):
    (tmp_path / "password").write_text(SECRET)
    login = f"username nginx; password_file {tmp_path}/password;"
    return store(target="pages", http=f"redis_cache_upstream pages {{ {block} {login} }}")


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "watched", replicas=1)
    try:
        yield watched.start()
    finally:
        watched.stop()


@pytest.mark.parametrize("without", [None, *rights(acl("+info"))])
def test_a_replica(store, watched, tmp_path, without):
    allow(watched.servers, acl("+set"), acl("+info"), without=without)
    primary, replica = (server.port for server in watched.servers)
    servers = f"server redis://127.0.0.1:{primary}/1; server redis://127.0.0.1:{replica}/1 replica;"
    nginx = in_upstream(store, tmp_path, f"{servers} read replica;")
    nginx.get("/p")
    if without:
        wait_for(lambda: without[1:] in " ".join(denied(*watched.servers)), "a refusal")
    else:
        key = key_of(nginx, "/p")
        watched.wait_for_key(watched.servers[1], key)
        wait_for(lambda: nginx.get("/p") and f":{replica}/1" in nginx.access_log()[-1], "a read")
        assert denied(*watched.servers) == set()


@pytest.mark.parametrize("without", [None, *rights(acl("+subscribe")), "&+switch-master"])
def test_sentinels(store, watched, tmp_path, without):
    allow(watched.servers, acl("+set"), acl("+info"))
    allow(watched.sentinels, acl("+subscribe"), without=without)
    login = f"sentinel_username nginx; sentinel_password_file {tmp_path}/password;"
    nginx = in_upstream(
        store, tmp_path, f"{watched.directive} db 1; {login} read replica; breaker {BREAKER};"
    )
    assert nginx.get("/p").body == b"page /p"
    if without == "+ping":
        for sentinel in watched.sentinels:
            sentinel.pause()
        # Questions that are not answered open the breaker, behind which a probe is sent.
        time.sleep(3)
        for sentinel in watched.sentinels:
            sentinel.resume()
    if without:
        word = without.strip("+&").partition("|")[0]
        wait_for(lambda: word in " ".join(denied(*watched.sentinels)), "a refusal")
    else:
        watched.fail_over()
        wait_for(lambda: nginx.error_log().count("the primary is") == 2, "the new primary")
        assert denied(*watched.sentinels, *watched.servers) == set()


def begun(cluster, key) -> Move:
    """The slot of a key, which does not exist, on its way to another primary: ASK."""
    source = cluster.owner_of(key)
    move = Move(cluster, key_slot(key.encode()), next(
        node for node in cluster.primaries if node is not source))  # fmt: skip
    move.begin()
    return move


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster", replicas=1)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


IN_A_CLUSTER = [acl("+cluster|slots"), acl("+readonly")]


@pytest.mark.parametrize("without", [None, *(r for line in IN_A_CLUSTER for r in rights(line))])
def test_a_cluster(store, cluster, tmp_path, without):
    allow(cluster.nodes, acl("+set"), *IN_A_CLUSTER, without=without)
    seeds = f"server redis://127.0.0.1:{cluster.nodes[0].port};"
    nginx = in_upstream(store, tmp_path, f"cluster; {seeds} read replica;")
    for n in range(20):
        nginx.get(f"/{n}")
    move = begun(cluster, key_of(nginx, "/moving"))
    for _ in range(3):
        assert nginx.get("/moving").status == 200
    if without:
        word = without.strip("+").partition("|")[0]
        wait_for(lambda: nginx.get("/moving") and word in " ".join(denied(*cluster.nodes)), "it")
    else:
        assert denied(*cluster.nodes) == set()
    move.abort()
