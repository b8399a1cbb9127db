"""What the module says to a server and how it takes the answers, with each server that Debian has.
The first line of a test's docstring is its row in docs/compatibility.md."""

import re
import socket
import time

import pytest
from support.documented import SECRET, acl
from support.load import Load
from support.origin import Answer
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

pytestmark = [pytest.mark.engines("event", "blocking"), pytest.mark.doors("in_place")]

NAME = "nginx-redis-cache"
QUICK = "redis_cache_breaker off; redis_cache_status_header on;"
CACHED = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60"), ("Vary", "X-Kind")]
SIZES = [1, 2, 4095, 4096, 16_384, 65_536, 1_000_000, 5_000_000]


def dropped(nginx):
    return [line.partition("dropped: ")[2] for line in nginx.warnings() if "dropped" in line]


def url(redis, user):
    return f"redis://{user}@127.0.0.1:{redis.port}/1"


@pytest.fixture
def fault(serve, redis):
    """`fault(nginx)`: the reason for which a page that is stored is not served."""

    def fault(nginx):
        redis_says = nginx.get("/p")
        assert redis_says.body == b"app GET /p"
        return redis_says.cache[1]

    return fault


def test_a_hit(serve, redis, origin):
    """a page, a part of it, 304, HEAD; a miss"""
    nginx = serve(QUICK)
    headers = [("ETag", '"1"'), ("Content-Type", "text/html; charset=utf-8")]
    redis.set(key_of(nginx, "/p"), page("stored", headers=headers, line=fresh_line()))
    with nginx.client() as client:
        for _ in range(3):
            response = client.get("/p")
            assert (response.status, response.body, response.cache) == (
                200, b"stored", ("hit", "fresh"))  # fmt: skip
        assert client.get("/p", {"If-None-Match": '"1"'}).status == 304
        assert client.get("/p", {"Range": "bytes=1-2"}).body == b"to"
        assert client.request("HEAD", "/p").header("ETag") == '"1"'
        assert client.get("/other").cache == ("fwd=uri-miss", "absent")
    assert len(origin.requests) == 1


def test_sizes(serve, redis):
    """pages of 1 byte to 5 MB"""
    nginx = serve("redis_cache_timeout 5s;")
    bodies = {f"/{size}": (bytes(range(256)) * (size // 256 + 1))[:size] for size in SIZES}
    for target, body in bodies.items():
        redis.set(key_of(nginx, target), page(body))
    with nginx.client() as client:
        for _ in range(2):
            for target, body in bodies.items():
                assert client.get(target).body == body


def test_load(serve, redis, origin):
    """hits and misses, eight clients at a time"""
    nginx = serve()
    for n in range(0, 10, 2):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))
    with Load(nginx, threads=8, each=60) as load:
        pass
    assert (load.stored, load.application, load.wrong) == (240, 240, [])


def test_the_protocol(kind, serve, redis):
    """the protocol on the connection; the database of the URL, and no other"""
    nginx = serve(QUICK)
    with redis.client() as client:
        client.select(0)
        client.set(key_of(nginx, "/p"), page("of database 0"))
        assert nginx.get("/p").cache == ("fwd=uri-miss", "absent")
        redis.set(key_of(nginx, "/p"), page("stored"))
        assert nginx.get("/p").body == b"stored"
        hellos = client.info("commandstats").get("cmdstat_hello")
        clients = [entry for entry in client.client_list() if entry.get("cmd") == "get"]
    [own] = [entry for entry in clients if entry["db"] == "1"]
    speaks = kind.hello
    assert (own["name"] == NAME) == bool(hellos) == speaks
    # Redis 6.0 does not tell.
    assert own.get("resp", "3" if speaks else "2") == ("3" if speaks else "2")


def store_everything(nginx, redis, origin, stored):
    """A new page, one over an expired page, variants of both, an invalidation."""
    origin.answer = lambda asked: Answer(b"page " + asked.target.encode(), headers=CACHED)
    redis.set(key_of(nginx, "/old"), page("old", line=fresh_line(1000, age=9)))
    for target in ["/new", "/old"]:
        for kind in "ab":
            assert nginx.get(target, {"X-Kind": kind}).cache[0] != "hit"
            wait_for(lambda: nginx.get(target, {"X-Kind": kind}).cache[0] == "hit", "a hit")  # noqa: B023
        for kind in "ab":
            response = nginx.get(target, {"X-Kind": kind})
            assert (response.body, response.cache) == (b"page " + target.encode(), ("hit", "fresh"))
    assert nginx.request("POST", "/old", body=b"x").status == 200
    assert b"gone=" in stored(nginx, "/old")
    assert nginx.get("/old", {"X-Kind": "a"}).cache[1] == "gone"
    wait_for(lambda: nginx.get("/old", {"X-Kind": "a"}).cache[0] == "hit", "a hit over a tombstone")
    assert dropped(nginx) == []


def test_storing(store, redis, origin, stored):
    """stored, varied, replaced by the script, invalidated by POST"""
    store_everything(store(), redis, origin, stored)


def test_a_purge_in_between(store, redis, origin, stored):
    """what was purged while its successor was made stays purged"""
    nginx = store()
    redis.set(key_of(nginx, "/p"), page("old", line=fresh_line(1000, age=9)))
    gone = page(b"", line='v=1, gone="abc"')

    def answer(asked):
        redis.set(key_of(nginx, "/p"), gone)
        return Answer(b"ours", headers=CACHED)

    origin.answer = answer
    assert nginx.get("/p").cache == ("fwd=stale", "stale")
    time.sleep(0.1)
    assert stored(nginx) == gone and dropped(nginx) == []


def test_scripts_are_flushed(store, redis, origin, stored):
    """SCRIPT FLUSH"""
    nginx = store()
    for _ in range(2):
        with redis.client() as client:
            client.script_flush()
            client.flushall()
        store_everything(nginx, redis, origin, stored)


def test_the_user_that_reads(serve, redis):
    """a user with the documented rights for reading"""
    with redis.client() as client:
        client.execute_command(*acl("+get"))
    nginx = serve(QUICK, target=url(redis, f"nginx:{SECRET}"))
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    assert nginx.get("/q").cache == ("fwd=uri-miss", "absent")
    assert nginx.warnings() == [] and SECRET not in nginx.error_log()


def test_the_user_that_stores(store, redis, origin, stored):
    """a user with the documented rights for storing"""
    with redis.client() as client:
        client.execute_command(*acl("+set"))
    nginx = store(target=url(redis, f"nginx:{SECRET}"))
    store_everything(nginx, redis, origin, stored)
    assert SECRET not in nginx.error_log()


def test_logins_that_fail(serve, redis, fault):
    """no password, a wrong one, an unknown user: `noauth`"""
    with redis.client() as client:
        client.config_set("requirepass", "word")
        for user in ["", ":wrong@", "nobody:word@"]:
            target = f"redis://{user}127.0.0.1:{redis.port}/1"
            assert fault(serve(QUICK, target=target)) == "noauth"


def test_a_password(serve, redis):
    """a password"""
    with redis.client() as client:
        client.config_set("requirepass", "word")
        nginx = serve(QUICK, target=url(redis, ":word"))
        client.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"


def test_rights_that_are_missing(serve, redis, fault):
    """a key and a command that the user has no right to: `noperm`"""
    with redis.client() as client:
        login = ["+hello", "+auth", "+select", "+ping", "+client|setname"]
        for user, rights in {"blind": ["~public:*", "+get"], "mute": ["~page:*"]}.items():
            client.execute_command("ACL", "SETUSER", user, "on", f">{SECRET}", *rights, *login)
    for user in ["blind", "mute"]:
        assert fault(serve(QUICK, target=url(redis, f"{user}:{SECRET}"))) == "noperm"


def test_a_list_under_the_key(serve, redis, fault):
    """WRONGTYPE: `wrong_type`"""
    nginx = serve(QUICK)
    with redis.client() as client:
        client.rpush(key_of(nginx, "/p"), "a")
    assert fault(nginx) == "wrong_type"


def test_out_of_memory(store, redis, origin, stored):
    """OOM with noeviction: hits go on, a page and its script are dropped as `oom`"""
    nginx = store()
    origin.answer = lambda asked: Answer(b"page", headers=CACHED)
    redis.set(key_of(nginx, "/p"), page("stored"))
    redis.set(key_of(nginx, "/old"), page("old", line=fresh_line(1000, age=9)))
    with redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        for target in ["/new", "/old"]:
            assert nginx.get(target).body == b"page"
            time.sleep(0.05)
        assert nginx.get("/p").body == b"stored"
        assert [line.partition(":")[0] for line in dropped(nginx)] == ["oom"]
        client.config_set("maxmemory", 0)
    nginx.get("/new")
    assert stored(nginx, "/new", within=2)


def test_loading(serve, redis, fault):
    """LOADING after a restart: `loading`, then hits"""
    nginx = serve(QUICK)
    with redis.client() as client:
        client.config_set("rdbcompression", "no")
        for n in range(60):
            client.set(f"load:{n}", b"x" * 1_000_000)
        client.set(key_of(nginx, "/p"), page("stored"))
        client.save()
    assert nginx.get("/p").body == b"stored"
    redis.stop()
    redis.arguments = ("--key-load-delay", "20000")
    redis.start()
    assert fault(nginx) == "loading"
    wait_for(lambda: nginx.get("/p").body == b"stored", "the end of loading", 20)


def test_a_replica(store, redis, origin, fault):
    """READONLY: a page is dropped as `readonly`; MASTERDOWN: `masterdown`"""
    nginx = store()
    origin.answer = lambda asked: Answer(b"app GET /p", headers=CACHED)
    with redis.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", redis.port + 1)
        assert fault(nginx) == "absent"
        wait_for(lambda: dropped(nginx), "a page that is dropped")
        assert [line.partition(":")[0] for line in dropped(nginx)] == ["readonly"]
        client.config_set("replica-serve-stale-data", "no")
        assert fault(nginx) == "masterdown/fault"
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert fault(nginx) == "absent"


def test_busy(serve, redis, fault):
    """BUSY while a script runs: `error_reply`, then hits"""
    nginx = serve(QUICK)
    redis.set(key_of(nginx, "/p"), page("stored"))
    with redis.client() as client, socket.create_connection(("127.0.0.1", redis.port)) as stuck:
        client.config_set("lua-time-limit", 20)
        stuck.sendall(b"EVAL 'while true do end' 0\r\n")
        time.sleep(0.2)
        try:
            assert fault(nginx) == "error_reply"
        finally:
            client.script_kill()
    wait_for(lambda: nginx.get("/p").body == b"stored", "a hit")


def test_too_many_clients(serve, redis, fault):
    """more clients than `maxclients`: `error_reply`, then hits"""
    with redis.client() as client:
        client.config_set("maxclients", 1)
        nginx = serve(QUICK)
        client.set(key_of(nginx, "/p"), page("stored"))
        assert fault(nginx) in ("error_reply", "closed")
        client.config_set("maxclients", 100)
    wait_for(lambda: nginx.get("/p").body == b"stored", "a hit", 3)


def test_restart(serve, redis):
    """killed and started again under load"""
    nginx = serve("redis_cache_breaker fails=3 timeout=50ms;")

    def fill():
        for n in range(10):
            redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))

    fill()
    with Load(nginx, threads=4) as load:
        wait_for(lambda: load.stored > 50, "hits")
        redis.kill()
        wait_for(lambda: load.application > 50, "pages of the application")
        redis.start()
        fill()
        known = load.stored
        wait_for(lambda: load.stored > known + 50, "hits again")
    assert not load.wrong


def test_connections_that_the_server_ends(serve, redis):
    """CLIENT KILL and the server's own `timeout` are not noticed"""
    nginx = serve(QUICK)
    redis.set(key_of(nginx, "/p"), page("stored"))
    with redis.client() as client:
        for _ in range(5):
            assert nginx.get("/p").body == b"stored"
            client.client_kill_filter(_type="normal", skipme=True)
        client.config_set("timeout", 1)
        assert nginx.get("/p").body == b"stored"
    time.sleep(2.2)
    assert nginx.get("/p").body == b"stored"
    assert nginx.warnings() == []


def test_pushes(kind, io, serve, redis):
    """pushes of the server between its replies

    A blocking query takes nothing but its reply, and leaves the page to the application.
    """
    if not kind.hello:
        pytest.skip("RESP2 has none")
    nginx = serve(f"{QUICK} redis_cache_connections 1;")
    for n in range(10):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))
    assert nginx.get("/1").body == b"stored /1"
    with redis.client() as client, Load(nginx, threads=4) as load:
        for _ in range(10):
            own = [entry["id"] for entry in client.client_list() if entry["name"] == NAME]
            # Every change of a key is told to the connection of nginx.
            client.execute_command("CLIENT", "TRACKING", "OFF")
            client.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", own[0], "BCAST")
            for n in range(50):
                client.set(f"changed:{n}", "x")
            known = load.stored
            wait_for(lambda known=known: load.stored > known + 20, "hits")
    assert not load.wrong
    allowed = "closed" if io == "event" else "closed|protocol"
    assert all(re.search(allowed, line) for line in nginx.warnings()), nginx.warnings()
