"""Request bodies on one connection: a hit discards its request's body, a fallback gets it whole,
and what stands behind a body is the next request, never a part of the body."""

import time

import pytest
from support.fake_redis import bulk
from support.raw import Raw, exchange, request_bytes
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

EVIL = b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
NEXT = request_bytes("/next")


def with_length(body, **arguments):
    return request_bytes(headers=[("Content-Length", str(len(body)))], body=body, **arguments)


def chunked(body, **arguments):
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:half], body[half:]) if c)
    headers = [("Transfer-Encoding", "chunked")]
    return request_bytes(headers=headers, body=chunks + b"0\r\n\r\n", **arguments)


@pytest.fixture
def nginx(serve, redis):
    nginx = serve(locations="location /none { redis_cache_pass %s; }" % redis.url)
    redis.set(key_of(nginx, "/hit", host="h"), page("stored"))
    redis.set(key_of(nginx, "/none/hit", host="h"), page("stored"))
    return nginx


@pytest.mark.parametrize("frame", [with_length, chunked])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_on_a_hit(nginx, origin, frame, method):
    first = frame(EVIL, target="/hit", method=method)
    responses = exchange(nginx.port, first, first, NEXT)
    assert [response.status for response in responses] == [200, 200, 200]
    assert responses[0].body == (b"stored" if method == "GET" else b"")
    assert responses[2].body == b"app GET /next"
    assert [asked.target for asked in origin.requests] == ["/next"]


@pytest.mark.parametrize("frame", [with_length, chunked])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_goes_to_the_application(nginx, origin, frame, method):
    first = frame(EVIL, target="/miss", method=method)
    responses = exchange(nginx.port, first, first, NEXT)
    assert [response.status for response in responses] == [200, 200, 200]
    assert [asked.target for asked in origin.requests] == ["/miss", "/miss", "/next"]
    assert [asked.body for asked in origin.requests] == [EVIL, EVIL, b""]


@pytest.mark.parametrize("frame", [with_length, chunked])
@pytest.mark.parametrize("target", ["/none/hit", "/none/miss"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_without_a_fallback(nginx, origin, frame, target, method):
    with Raw(nginx.port) as raw:
        raw.send(frame(EVIL, target=target, method=method) + NEXT)
        status = raw.response().status
        assert status == (405 if method == "POST" else 200 if target == "/none/hit" else 404)
        try:
            assert raw.response().body == b"app GET /next"
        except ConnectionError:
            pass
    assert "/evil" not in [asked.target for asked in origin.requests]


@pytest.mark.parametrize("target", ["/hit", "/miss"])
def test_a_body_that_comes_late(nginx, origin, target):
    whole = with_length(EVIL, target=target)
    with Raw(nginx.port) as raw:
        raw.send(whole[:-10])
        if target == "/hit":
            assert raw.response().body == b"stored"
        else:
            time.sleep(0.05)
        raw.send(whole[-10:] + NEXT)
        if target == "/miss":
            assert raw.response().body == b"app GET /miss"
        assert raw.response().body == b"app GET /next"
    assert "/evil" not in [asked.target for asked in origin.requests]


@pytest.mark.parametrize("target", ["/hit", "/miss"])
def test_a_big_body(nginx, origin, target):
    body = EVIL * 20_000
    responses = exchange(nginx.port, with_length(body, target=target), NEXT)
    assert responses[0].body == (b"stored" if target == "/hit" else b"app GET /miss")
    assert responses[1].body == b"app GET /next"
    if target == "/miss":
        assert origin.requests[0].body == body
    assert "/evil" not in [asked.target for asked in origin.requests]


@pytest.mark.parametrize("target", ["/hit", "/miss"])
def test_expect_100_continue(nginx, origin, target):
    head = request_bytes(target, headers=[("Content-Length", "5"), ("Expect", "100-continue")])
    with Raw(nginx.port) as raw:
        raw.send(head)
        time.sleep(0.05)
        raw.send(b"hello" + NEXT)
        assert raw.response().body == (b"stored" if target == "/hit" else b"app GET /miss")
        assert raw.interim in ([], [100])
        assert raw.response().body == b"app GET /next"
    if target == "/miss":
        assert origin.requests[0].body == b"hello"


def test_pipelined_requests_are_answered_in_order(nginx):
    targets = ["/hit", "/a", "/hit", "/hit", "/b", "/c", "/hit"] * 8
    responses = exchange(nginx.port, *[request_bytes(target) for target in targets])
    for target, response in zip(targets, responses, strict=True):
        assert response.body == (b"stored" if target == "/hit" else f"app GET {target}".encode())


def test_requests_that_come_while_the_first_one_waits(serve, fake_redis):
    def slow(conn, key):
        time.sleep(0.05)
        conn.sendall(bulk(page(b"page of " + key.rsplit(b"/", 1)[1])))

    fake_redis.on_get = slow
    nginx = serve("redis_cache_timeout 3s;", target=fake_redis.url)
    with Raw(nginx.port) as raw:
        for n in range(3):
            raw.send(request_bytes(f"/{n}"))
            time.sleep(0.01)
        assert [raw.response().body for _ in range(3)] == [b"page of %d" % n for n in range(3)]


def test_half_a_request_behind_a_parked_one(serve, fake_redis):
    def slow(conn, key):
        time.sleep(0.05)
        conn.sendall(bulk(page(b"page of " + key.rsplit(b"/", 1)[1])))

    fake_redis.on_get = slow
    nginx = serve("redis_cache_timeout 3s;", target=fake_redis.url)
    second = request_bytes("/2")
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/1") + second[:9])
        time.sleep(0.1)
        assert raw.response().body == b"page of 1"
        raw.send(second[9:])
        assert raw.response().body == b"page of 2"


def test_one_connection_for_many_hits(nginx):
    with nginx.client(host="h") as client:
        for _ in range(500):
            assert client.get("/hit").body == b"stored"


def test_close_is_obeyed(nginx):
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/hit", headers=[("Connection", "close")]))
        response = raw.response()
        assert (response.body, response.header("Connection")) == (b"stored", "close")
        assert raw.is_closed()
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/hit", version="1.0"))
        assert raw.response().body == b"stored"
        assert raw.is_closed()
