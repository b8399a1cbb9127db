"""A connection speaks as the configured user to the configured database before the first lookup is
sent, says so once, and is replaced without a word when it died idle."""

import time

import pytest
from support.load import Load
from support.origin import Answer
from support.ports import wait_for
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on; redis_cache_breaker off; redis_cache_timeout 1s;"


def test_another_database_is_never_read(serve, redis):
    nginx = serve(STATUS)
    with redis.client() as client:
        client.select(0)
        client.set(key_of(nginx, "/p"), page("of database 0"))
    assert nginx.get("/p").cache == ("fwd=uri-miss", "absent")
    other = serve(STATUS, target=redis.url.removesuffix("1") + "99")
    with redis.client() as client:
        client.select(0)
        client.set(key_of(other, "/p"), page("of database 0"))
    response = other.get("/p")
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "error_reply"))


@pytest.mark.parametrize("reply", [b"-ERR DB index is out of range\r\n", b"-LOADING x\r\n",
                                   b":1\r\n*0\r\n", b"$-1\r\n-ERR x\r\n"])  # fmt: skip
def test_no_lookup_is_sent_before_the_handshake_is_verified(serve, fake_redis, reply):
    def refuse(conn, words):
        if words[0].upper() == b"SELECT":
            conn.sendall(reply)
            return True
        return False

    fake_redis.on_command = refuse
    nginx = serve(STATUS, target=fake_redis.url)
    assert nginx.get("/p").body == b"app GET /p"
    if reply.startswith(b"-"):
        assert fake_redis.gets() == []


def old_server(conn, words):
    """Redis before version 6."""
    if words[0].upper() != b"HELLO":
        return False
    conn.sendall(b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n")
    return True


def test_a_server_without_hello(serve, fake_redis):
    fake_redis.on_command = old_server
    fake_redis.on_get = lambda conn, key: conn.sendall(b"$-1\r\n")
    target = f"redis://:word@127.0.0.1:{fake_redis.port}/3"
    nginx = serve(STATUS, target=target)
    for _ in range(3):
        assert nginx.get("/p").cache == ("fwd=uri-miss", "absent")
    words = [tuple(command) for command in fake_redis.commands]
    assert (b"AUTH", b"word") in words
    assert words.index((b"AUTH", b"word")) < words.index((b"SELECT", b"3"), 3)
    assert [command[0] for command in words[-3:]] == [b"GET"] * 3


def test_the_handshake_is_said_once_a_connection(serve, fake_redis):
    nginx = serve(f"{STATUS} redis_cache_connections 1;", target=fake_redis.url)
    for n in range(50):
        nginx.get(f"/{n}")
    names = [command[0].upper() for command in fake_redis.commands]
    assert fake_redis.connections == 1 and len(fake_redis.gets()) == 50
    assert names.count(b"HELLO") == names.count(b"SELECT") == 1


def test_the_client_has_a_name(serve, redis):
    nginx = serve(STATUS)
    nginx.get("/p")
    with redis.client() as client:
        names = [entry["name"] for entry in client.client_list()]
    assert "nginx-redis-cache" in names


def test_a_connection_that_died_idle_is_replaced_silently(serve, redis):
    nginx = serve(STATUS)
    redis.set(key_of(nginx, "/p"), page("stored"))
    for _ in range(10):
        assert nginx.get("/p").body == b"stored"
        with redis.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
    assert nginx.warnings() == []


def test_the_timeout_of_redis_is_replaced_silently(serve, redis):
    nginx = serve(STATUS)
    redis.set(key_of(nginx, "/p"), page("stored"))
    with redis.client() as client:
        client.config_set("timeout", 1)
    assert nginx.get("/p").body == b"stored"
    time.sleep(2.5)
    assert nginx.get("/p").body == b"stored"
    assert nginx.warnings() == []


def test_a_restart_of_redis_is_not_noticed_by_an_idle_nginx(serve, redis):
    nginx = serve(STATUS)
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    redis.kill()
    redis.start()
    redis.set(key_of(nginx, "/p"), page("stored anew"))
    wait_for(lambda: redis.client().ping(), "Redis")
    assert nginx.get("/p").body == b"stored anew"
    assert nginx.warnings() == []


def test_an_idle_connection_that_dies_is_tried_once_more_only(serve, origin, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.shutdown(2)
    origin.answer = lambda asked: Answer(b"app")
    nginx = serve(STATUS, target=fake_redis.url)
    for n in range(5):
        assert nginx.get(f"/{n}").cache == ("fwd=miss", "closed")
    assert len(fake_redis.gets()) <= 10


HELLO_REPLIES = {
    "silence": (b"", "timeout"),
    "half a reply": (b"%1\r\n$6\r\nser", "timeout"),
    "garbage": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),
    "endless": (b"+" + b"x" * 1_000_000, "protocol too_large"),
    "an error": (b"-ERR max number of clients reached\r\n", "error_reply"),
    "loading": (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
    "more than was asked for": (b"+OK\r\n+OK\r\n$3\r\nabc\r\n", "protocol"),
}


@pytest.mark.parametrize("name", HELLO_REPLIES)
def test_a_hello_that_fails(serve, fake_redis, name):
    reply, reasons = HELLO_REPLIES[name]

    def answer(conn, words):
        if words[0].upper() == b"GET":
            return False
        if words[0].upper() == b"HELLO":
            conn.sendall(reply)
        return True

    fake_redis.on_command = answer
    nginx = serve(f"{STATUS} redis_cache_connect_timeout 150ms;", target=fake_redis.url)
    began = time.monotonic()
    for _ in range(3):
        response = nginx.get("/p")
        assert response.body == b"app GET /p" and response.cache[1] in reasons.split()
    assert time.monotonic() - began < 2
    assert fake_redis.gets() == []


def test_no_more_connections_than_configured(serve, redis):
    nginx = serve(f"{STATUS} redis_cache_connections 3;")
    with Load(nginx, threads=8, each=50) as load:
        pass
    assert not load.wrong
    with redis.client() as client:
        names = [entry["name"] for entry in client.client_list()]
    assert 1 <= names.count("nginx-redis-cache") <= 3
