"""HTTP/2: hits and misses as over HTTP/1.1; streams of one connection do not disturb each other."""

import random
import time

from support.fake_redis import bulk
from support.h2client import H2Client
from support.stored import fresh_line, key_of, page

SLOW = "redis_cache_breaker off; redis_cache_timeout 5s;"


def own(key: bytes) -> bytes:
    return bulk(page(b"page of " + key.rsplit(b"/", 1)[1]))


def test_a_hit_and_a_miss(serve, redis, origin):
    nginx = serve("redis_cache_status_header on;", listen="http2")
    headers = [("Content-Type", "text/html"), ("ETag", '"1"'), ("Connection", "close")]
    redis.set(key_of(nginx, "/p?x=1"), page("stored", headers=headers, line=fresh_line()))
    with H2Client(nginx.port) as client:
        response = client.get("/p?x=1")
        assert (response.status, response.body) == (200, b"stored")
        assert response.all("content-length") == ["6"] and response.header("etag") == '"1"'
        assert response.header("connection") is None
        assert response.cache == ("hit", "fresh")
        response = client.get("/missing", [("x-redis-cache-key", "mine"), ("x-other", "1")])
        assert response.body == b"app GET /missing"
        assert response.cache == ("fwd=uri-miss", "absent")
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/missing")
    assert origin.last.header("X-Other") == "1"


def test_the_host_is_the_authority_in_lower_case(serve, redis):
    nginx = serve(listen="http2", server="server_name www.example.com;")
    redis.set(key_of(nginx, "/p", host="www.example.com:8080"), page("stored"))
    with H2Client(nginx.port) as client:
        assert client.get("/p", authority="WWW.Example.com:8080").body == b"stored"


def test_head_conditional_and_empty_pages(serve, redis):
    nginx = serve(listen="http2")
    redis.set(key_of(nginx, "/p"), page("stored", headers=[("ETag", '"1"')]))
    redis.set(key_of(nginx, "/empty"), page("", "404 Not Found"))
    with H2Client(nginx.port) as client:
        response = client.response(client.start("/p", method="HEAD"))
        assert (response.status, response.body) == (200, b"")
        assert response.header("content-length") == "6"
        assert client.get("/p", [("if-none-match", '"1"')]).status == 304
        response = client.get("/p", [("range", "bytes=1-2")])
        assert (response.status, response.body) == (206, b"to")
        response = client.get("/empty")
        assert (response.status, response.body) == (404, b"")
        assert client.get("/p").body == b"stored"


def test_each_of_many_streams_gets_its_own_page(serve, redis):
    nginx = serve("redis_cache_timeout 3s;", listen="http2")
    for n in range(0, 60, 2):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored {n} ".encode() * (1 + 997 * n)))
    with H2Client(nginx.port) as client:
        streams = {n: client.start(f"/{n}") for n in range(60)}
        order = list(streams)
        random.Random(1).shuffle(order)
        for n in order:
            body = client.response(streams[n]).body
            stored = f"stored {n} ".encode() * (1 + 997 * n)
            assert body == (f"app GET /{n}".encode() if n % 2 else stored)


def test_streams_that_are_reset_while_redis_is_asked_leave_the_others_alone(serve, fake_redis):
    def slow(conn, key):
        time.sleep(0.005)
        conn.sendall(own(key))

    fake_redis.on_get = slow
    nginx = serve(SLOW, listen="http2", target=fake_redis.url)
    for start in range(0, 160, 40):
        with H2Client(nginx.port) as client:
            streams = {n: client.start(f"/{n}") for n in range(start, start + 40)}
            for n in list(streams)[::2]:
                client.reset(streams[n])
            for n in list(streams)[1::2]:
                assert client.response(streams[n]).body == f"page of {n}".encode()


def test_a_connection_that_ends_with_all_its_streams_parked(serve, fake_redis):
    def slow(conn, key):
        time.sleep(0.005)
        conn.sendall(own(key))

    fake_redis.on_get = slow
    nginx = serve(SLOW, listen="http2", target=fake_redis.url)
    with H2Client(nginx.port) as client:
        client.get("/first")
    worker = nginx.workers()
    for _ in range(5):
        with H2Client(nginx.port) as client:
            for n in range(20):
                client.start(f"/{n}")
    with H2Client(nginx.port) as client:
        assert client.get("/after").body == b"page of after"
    assert nginx.workers() == worker


def test_posts_reach_the_application_whole(serve, origin):
    nginx = serve(listen="http2")
    body = bytes(range(256)) * 60
    with H2Client(nginx.port) as client:
        streams = [client.start(f"/{n}", "POST", body=body[n:]) for n in range(4)]
        for n, stream in enumerate(streams):
            assert client.response(stream).body == f"app POST /{n}".encode()
    assert sorted(len(asked.body) for asked in origin.requests) == [15357, 15358, 15359, 15360]


def test_a_get_with_a_body_is_a_hit(serve, redis):
    nginx = serve(listen="http2")
    redis.set(key_of(nginx, "/p"), page("stored"))
    with H2Client(nginx.port) as client:
        for _ in range(3):
            response = client.response(client.start("/p", body=b"x" * 10_000))
            assert (response.status, response.body) == (200, b"stored")


def test_includes_in_pages_of_several_streams(serve, redis):
    nginx = serve("ssi on;", listen="http2")
    kind = [("Content-Type", "text/html")]
    for n in range(10):
        include = f'[<!--# include virtual="/part{n}" -->|<!--# include virtual="/app{n}" -->]'
        redis.set(key_of(nginx, f"/{n}"), page(include, headers=kind))
        redis.set(key_of(nginx, f"/part{n}"), page(f"part {n}", headers=kind))
    with H2Client(nginx.port) as client:
        streams = [client.start(f"/{n}") for n in range(10)]
        for n, stream in enumerate(streams):
            assert client.response(stream).body == f"[part {n}|app GET /app{n}]".encode()
