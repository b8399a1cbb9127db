"""What Sentinels say and want: passwords, no such primary, an old one, nonsense."""

import time

import pytest
from support.fake_redis import bulk
from support.fake_topology import FakeSentinel, array, text
from support.ports import free_port, wait_for
from support.redis_server import RedisServer
from support.sentinel import Watched
from support.stored import key_of
from support.upstream import BREAKER, QUICK, asked, start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
LOCAL = "127.0.0.1"


@pytest.fixture
def sentinel():
    sentinel = FakeSentinel()
    yield sentinel
    sentinel.stop()


@pytest.fixture
def locked(tmp_path):
    """Servers and Sentinels that want passwords, and users of their own for nginx."""
    watched = Watched(tmp_path / "watched", password="pass word", sentinel_password="other word")
    try:
        watched.start()
        watched.add_user("nginx", ">se-cret", "~page:*", "+@all")
        watched.add_sentinel_user("watcher", ">se-cret2", "allchannels", "+@all")
        yield watched
    finally:
        watched.stop()


def reason(response):
    return response.cache[1].partition("/")[0]


def secret(tmp_path, name, value):
    (tmp_path / name).write_text(value + "\n")
    return tmp_path / name


@pytest.mark.parametrize("user", [True, False])
def test_passwords_of_both(store, locked, tmp_path, user):
    one = secret(tmp_path, "one", "se-cret" if user else "pass word")
    two = secret(tmp_path, "two", "se-cret2" if user else "other word")
    names = "username nginx; sentinel_username watcher;" if user else ""
    block = f"{locked.directive} db 1; {names} password_file {one}; sentinel_password_file {two};"
    nginx = start(store, block)
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 2)
    new = locked.fail_over()
    wait_for(lambda: asked(nginx.get("/q")) == new.port, "the new primary", 2)
    for word in ("se-cret", "pass word", "other word"):
        assert word not in nginx.error_log()


@pytest.mark.parametrize("wrong", ["none", "wrong", "of the servers"])
def test_the_password_of_the_sentinels_is_another(store, locked, tmp_path, wrong):
    one = secret(tmp_path, "one", "pass word")
    words = {"wrong": "wr-ong", "of the servers": "pass word"}
    more = ""
    if wrong != "none":
        more = f"sentinel_password_file {secret(tmp_path, 'two', words[wrong])};"
    nginx = start(store, f"{locked.directive} db 1; password_file {one}; {more}")
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, f"app /{n}".encode())
        assert reason(response) in ("topology", "noauth")
    assert "wr-ong" not in nginx.error_log() and "pass word" not in nginx.error_log()


def test_no_sentinel_knows_the_name(store, tmp_path):
    watched = Watched(tmp_path / "watched")
    try:
        watched.start()
        nginx = start(store, f"sentinel nobody {watched.addresses};")
        for n in range(5):
            response = nginx.get(f"/{n}")
            assert response.body == f"app /{n}".encode() and reason(response) == "topology"
            time.sleep(0.2)
    finally:
        watched.stop()


def test_one_sentinel_does_not_know_the_name(store, sentinel, redis):
    knows = FakeSentinel((LOCAL, redis.port))
    try:
        block = f"sentinel main {LOCAL}:{sentinel.port} {LOCAL}:{knows.port}; db 1;"
        nginx = start(store, block)
        wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 2)
        assert sentinel.questions() and asked(nginx.get("/p")) == redis.port
    finally:
        knows.stop()


@pytest.mark.parametrize("told", [True, False])
def test_a_store_that_a_replica_refuses_asks_again(store, sentinel, tmp_path, told):
    """The Sentinel has another answer by now, and need not have said so."""
    pair = Watched(tmp_path / "pair", replicas=1, sentinels=0)
    try:
        old, new = pair.start().servers
        sentinel.primary = (LOCAL, old.port)
        nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port}; db 1;")
        wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 2)
        with new.client() as client:
            client.execute_command("REPLICAOF NO ONE")
        with old.client() as client:
            client.replicaof(LOCAL, new.port)
        sentinel.primary = (LOCAL, new.port)
        if told:
            sentinel.tell("main", (LOCAL, old.port), (LOCAL, new.port))
        assert nginx.get("/new").body == b"app /new"
        wait_for(lambda: asked(nginx.get("/new")) == new.port, "the new primary to be asked", 2)
        wait_for(lambda: nginx.get("/new").cache == ("hit", "fresh"), "a hit", 2)
        assert nginx.request("POST", "/new", body=b"x").status == 200
        with new.client() as client:
            assert b"gone=" in client.get(key_of(nginx, "/new"))
    finally:
        pair.stop()


def test_an_invalidation_that_a_replica_refuses_asks_again(store, sentinel, tmp_path):
    pair = Watched(tmp_path / "pair", replicas=1, sentinels=0)
    try:
        old, new = pair.start().servers
        sentinel.primary = (LOCAL, old.port)
        nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port}; db 1;")
        wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 2)
        pair.wait_for_key(new, key_of(nginx, "/p"))
        with new.client() as client:
            client.execute_command("REPLICAOF NO ONE")
        with old.client() as client:
            client.replicaof(LOCAL, new.port)
        sentinel.primary = (LOCAL, new.port)
        nginx.request("POST", "/p", body=b"x")
        wait_for(lambda: asked(nginx.get("/q")) == new.port, "the new primary to be asked", 2)
        nginx.request("POST", "/p", body=b"x")
        with new.client() as client:
            assert b"gone=" in client.get(key_of(nginx, "/p"))
    finally:
        pair.stop()


def test_a_sentinel_that_names_a_replica_is_not_asked_without_end(store, sentinel, tmp_path):
    pair = Watched(tmp_path / "pair", replicas=1, sentinels=0)
    try:
        replica = pair.start().servers[1]
        sentinel.primary = (LOCAL, replica.port)
        nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port}; db 1;")
        end, count = time.monotonic() + 2, 0
        while time.monotonic() < end:
            assert nginx.get(f"/{count}").body == f"app /{count}".encode()
            count += 1
            time.sleep(0.01)
        assert sentinel.questions() < 40, (sentinel.questions(), count)
    finally:
        pair.stop()


def test_a_sentinel_that_is_behind_stands_first(store, sentinel, tmp_path):
    """It names a server that is a replica by now; the others know the primary."""
    watched = Watched(tmp_path / "watched")
    try:
        old = watched.start().primary
        new = watched.fail_over()
        watched.wait_replicas()
        sentinel.primary, sentinel.epoch = (LOCAL, old.port), 0
        nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port} {watched.addresses}; db 1;")
        nginx.get("/p")
        wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a page to be stored", 3)
        with watched.connect(new) as client:
            assert client.exists(key_of(nginx, "/p"))
    finally:
        watched.stop()


@pytest.mark.parametrize("new_primary", ["answers", "is killed for a moment"])
def test_sentinels_that_are_behind_are_not_believed(store, tmp_path, new_primary):
    """Two that were cut off stand before the one that knows of the failover; what they name
    is there, takes writes and has the pages of before."""
    old, new = (RedisServer(tmp_path / name).start() for name in ("old", "new"))
    behind = [FakeSentinel((LOCAL, old.port)) for _ in range(2)]
    knows = FakeSentinel((LOCAL, new.port))
    knows.epoch = 2
    try:
        ports = " ".join(f"{LOCAL}:{one.port}" for one in [*behind, knows])
        nginx = start(store, f"sentinel main {ports}; db 1; {BREAKER}", QUICK)
        wait_for(lambda: asked(nginx.get("/q")) == new.port, "the new primary", 5)
        old.set(key_of(nginx, "/p"), stored("old"))
        if new_primary != "answers":
            new.kill()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            response = nginx.get("/p")
            assert response.body == b"app /p", response.cache
            assert asked(response) in (new.port, None)
            time.sleep(0.02)
        if new_primary != "answers":
            new.start()
        wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 3)
        assert asked(nginx.get("/p")) == new.port
    finally:
        for server in (*behind, knows, old, new):
            server.stop()


def test_another_primary_is_told(store, sentinel, redis):
    """What concerns another name is no concern of this upstream."""
    sentinel.primary = (LOCAL, redis.port)
    nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port}; db 1; {BREAKER}", QUICK)
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 2)
    wait_for(lambda: sentinel.subscribers, "the subscription", 3)
    sentinel.tell("other", (LOCAL, redis.port), (LOCAL, free_port()))
    for _ in range(20):
        assert nginx.get("/p").cache == ("hit", "fresh")
        time.sleep(0.02)


ANSWERS = {
    "an error": b"-ERR No such master\r\n",
    "a push": b">2\r\n+a\r\n+b\r\n",
    "an integer": b":1\r\n",
    "a string": bulk(b"127.0.0.1:6379"),
    "an empty array": b"*0\r\n",
    "half an address": array(text("127.0.0.1")),
    "three words": array(text("127.0.0.1"), text("1"), text("2")),
    "an empty map": b"%0\r\n",
    "a map without an address": b"%1\r\n$4\r\nname\r\n$4\r\nmain\r\n",
    "a map of numbers": b"%2\r\n:1\r\n:2\r\n$4\r\nport\r\n*0\r\n",
    "no host": ("", 6379),
    "no port": ("127.0.0.1", ""),
    "port 0": ("127.0.0.1", 0),
    "a port that is too high": ("127.0.0.1", 99999),
    "a negative port": ("127.0.0.1", -1),
    "a port that is none": ("127.0.0.1", "6379x"),
    "a host with a line end": ("127.0.0.1\r\nX: y", 6379),
    "a host with NUL": (b"127.0.0.1\x00", 6379),
    "a host that is no text": (b"\xff\xfe", 6379),
    "a host of a million bytes": ("a" * 1_000_000, 6379),
    "a path": ("/etc/passwd", 6379),
    "a unix socket": ("unix:/tmp/x.sock", 6379),
    "a name that does not resolve": ("no-such-host.invalid", 6379),
    "a million words": array(*[text("a")] * 1_000_000),
    "nests": b"*1\r\n" * 100_000,
    "no reply of Redis": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "half a reply": b"*2\r\n$9\r\n127.0",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_no_address(store, sentinel, redis, answer):
    sentinel.primary = ANSWERS[answer]
    nginx = start(store, f"sentinel main {LOCAL}:{sentinel.port}; db 1;", QUICK)
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert (response.status, response.body) == (200, f"app /{n}".encode())
        time.sleep(0.05)
    sentinel.primary = (LOCAL, redis.port)
    redis.set(key_of(nginx, "/p"), stored("good"))
    wait_for(lambda: nginx.get("/p").body == b"good", "a good answer to be taken", 5)
