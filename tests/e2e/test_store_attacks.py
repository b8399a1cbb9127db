"""A stored page is what its URI is for everybody: no request makes it another, no answer that is cut,
too long or split is stored, and what belongs to one visitor reaches no other."""

import socket
import time

import pytest
from support.h2client import H2Client
from support.raw import Raw, exchange, request_bytes
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/any/": "redis_cache_valid any 1h;",
        "/cookie/": "redis_cache_bypass $cookie_sessionid;",
    }
    app = "proxy_http_version 1.1; proxy_set_header Connection '';"
    servers = "server_name site.example;"
    where = tmp_path_factory.mktemp("site")
    with site(where, places, app=app, server=servers) as cache:
        yield cache


def host_of(cache):
    return f"127.0.0.1:{cache.nginx.port}"


def ask(cache, *requests):
    responses = exchange(cache.nginx.port, *requests)
    time.sleep(0.02)
    return responses


def reflects(cache, *names):
    """An application whose page depends on fields that are not in the key."""

    def answer(asked):
        body = "|".join(str(asked.header(name)) for name in ("Host", *names))
        return message(headers=[LIFETIME], body=body.encode() + b"|" + asked.body)

    cache.origin.answer = answer


BODIES = [
    ([("Content-Length", "4")], b"evil"),
    ([("Transfer-Encoding", "chunked")], b"4\r\nevil\r\n0\r\n\r\n"),
    ([("Content-Length", "4"), ("Expect", "100-continue")], b"evil"),
]


@pytest.mark.parametrize(("headers", "body"), BODIES)
def test_a_get_with_a_body_poisons_nothing(cache, headers, body):
    reflects(cache)
    target, host = cache.target(), host_of(cache)
    fat = request_bytes(target, host=host, headers=headers, body=body)
    plain = request_bytes(target, host=host)
    first, second, third = ask(cache, fat, plain, fat)
    assert second.body == f"{host}|".encode()
    assert first.status == second.status == third.status == 200
    assert ask(cache, plain)[0].body == f"{host}|".encode()


@pytest.mark.parametrize("headers", [
    [("X-Redis-Cache-Key", "page:http://other/")], [("X_Redis_Cache_Key", "page:http://other/")],
    [("x-redis-cache-key", "a"), ("X-Redis-Cache-Key", "b")], [("Redis-Cache", "v=1, fresh=1")],
    [("Redis-Cache", 'v=1, gone="x"')], [("Cache-Status", "nginx-redis-cache; hit")], [("Age", "99999")],
    [("Date", "Thu, 01 Jan 1970 00:00:00 GMT")], [("X-Accel-Expires", "0")], [("Vary", "*")],
    [("Set-Cookie", "a=b")], [("CDN-Cache-Control", "no-store")],
])  # fmt: skip
def test_what_a_client_says_decides_nothing(cache, headers):
    cache.answers([LIFETIME])
    target, host = cache.target(), host_of(cache)
    request = request_bytes(target, host=host, headers=headers)
    [first] = ask(cache, request)
    assert first.body == b"answer 1"
    assert cache.asked(target)[0].header("X-Redis-Cache-Key") is None
    [second] = ask(cache, request_bytes(target, host=host))
    assert (second.body, second.cache) == (b"answer 1", ("hit", "fresh"))
    assert second.header("Age") in ("0", "1")
    with cache.redis.client() as client:
        assert client.get("page:http://other/") is None


@pytest.mark.parametrize(("name", "value"), [
    ("X-Redis-Cache-Key", "page:http://other/"), ("Redis-Cache", 'v=1, gone="x"'),
    ("Redis-Cache", "v=1, stored=9999999999999, fresh=9999999999999"), ("Redis-Cache", "v=9"),
])  # fmt: skip
def test_what_an_application_says_of_our_own_fields_decides_nothing(cache, name, value):
    first, second, count = cache.twice([LIFETIME, (name, value)])
    assert count == 1 and second.cache == ("hit", "fresh")
    assert second.header("Redis-Cache") is None and first.header("Redis-Cache") is None
    assert second.header("Age") in ("0", "1")
    with cache.redis.client() as client:
        assert client.get("page:http://other/") is None


@pytest.mark.parametrize("target", [b"/a%0d%0aSet-Cookie:x", b"/a%00b", b"/a%0aGET", b"/\xe9\xff", b"/a|b|c",
                                    b"/a#b", b"/a?b#c", b"/*", b"/{x}", b"//evil.example/a", b"/a/../b",
                                    b"/a%2fb", b"/a;b", b"/\"'<>"])  # fmt: skip
def test_targets_of_any_kind_have_a_page_each(cache, target):
    cache.answers([LIFETIME])
    target = cache.target().encode() + target
    host = host_of(cache)
    [first] = ask(cache, request_bytes(target, host=host))
    [second] = ask(cache, request_bytes(target, host=host))
    assert first.status in (200, 400)
    if first.status == 200:
        assert second.body == first.body and second.header("Set-Cookie") is None
    [other] = ask(cache, request_bytes(target + b"x", host=host))
    assert other.cache is None or other.cache[0] != "hit"


SPLITS = [b"X-A: a\rSet-Cookie: b=evil", b"X-A: a\x00b", b"X-A: a\n Set-Cookie: b=evil", b"X A: b", b": b",
          b"X-A : b", b"X-A: \xff\xfe", b"no colon", b"X-A: a\r\n\tSet-Cookie: b=evil", b"\x01X: y",
          b"X-\xe9: y", b"X-A: a\x7f\x01b"]  # fmt: skip


@pytest.mark.parametrize("line", SPLITS)
def test_a_field_of_no_form_never_becomes_another(cache, line):
    """What a visitor gets from Redis is what the first one got, or the application again."""
    target = cache.target()
    cache.origin.answer = lambda asked: (
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 4\r\n"
        + line
        + b"\r\n\r\nbody"
    )
    first, second = cache.get(target), cache.get(target)
    assert second.status in (200, 502) and second.header("Set-Cookie") is None
    if second.status == 200:
        assert second.body == b"body"
    if second.cache and second.cache[0] == "hit":
        own = {"Date", "Age", "Cache-Status", "Accept-Ranges", "Server"}
        assert [h for h in second.headers if h[0] not in own] == [
            h for h in first.headers if h[0] not in own
        ]


def test_a_body_that_looks_like_a_message_stays_a_body(cache):
    for body in [b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\nevil", b"\r\n\r\n", b'Redis-Cache: v=1, gone="x"\r\n\r\n',
                 b"\r\nRedis-Cache: v=1\r\n\r\n", b"$-1\r\n", b"\x00" * 10]:  # fmt: skip
        first, second, count = cache.twice([LIFETIME], body=body)
        assert count == 1 and first.body == second.body == body


def test_two_users_of_one_page(cache):
    """The ways an application says that a page is one visitor's."""
    personal = [
        [("Cache-Control", "private, max-age=3600")], [("Cache-Control", "no-store")],
        [("Cache-Control", "max-age=3600"), ("Vary", "Cookie")],
        [("Cache-Control", "public, max-age=3600"), ("Set-Cookie", "sessionid=new")],
        [("Cache-Control", "no-cache")], [("Expires", "0")], [("X-Accel-Expires", "0")],
    ]  # fmt: skip
    for headers in personal:
        target = cache.target()
        cache.origin.answer = lambda asked, headers=headers: message(
            headers=headers, body=b"for " + (asked.header("Cookie") or "nobody").encode()
        )
        for user in ["alice", "bob", "alice", "carol"]:
            cookie = f"sessionid={user}"
            assert cache.get(target, {"Cookie": cookie}).body == b"for " + cookie.encode(), headers
        assert cache.get(target).body == b"for nobody"
        assert cache.get(target, {"Cookie": "sessionid=dave"}).body == b"for sessionid=dave"


def test_a_session_cookie_that_is_bypassed(cache):
    target = cache.target("/cookie/")
    cache.origin.answer = lambda asked: message(
        headers=[LIFETIME], body=b"for " + (asked.header("Cookie") or "all").encode()
    )
    for cookie in [
        "sessionid=alice",
        "a=b; sessionid=bob",
        None,
        "sessionid=carol",
        "theme=dark",
        None,
    ]:
        response = cache.get(target, {"Cookie": cookie} if cookie else {})
        personal = cookie and "sessionid" in cookie
        assert response.body == b"for " + (cookie.encode() if personal else b"all")


def test_pipelined_requests_get_their_own_answers(cache):
    cache.origin.answer = lambda asked: message(headers=[LIFETIME], body=asked.target.encode() * 50)
    host = host_of(cache)
    targets = [cache.target() for _ in range(12)]
    for _ in range(2):
        requests = [request_bytes(target, host=host) for target in targets]
        responses = ask(cache, *requests)
        assert [r.body for r in responses] == [t.encode() * 50 for t in targets]
    assert {r.cache for r in responses} == {("hit", "fresh")}


def test_one_connection_over_every_path(cache):
    """After each way a request can go the next one of the connection finds it in step."""
    cache.origin.answer = lambda asked: message(
        "404 X" if "404" in asked.target else "200 OK",
        [LIFETIME, ("ETag", '"1"')], asked.target.encode(), asked.method,
    )  # fmt: skip
    host, target = host_of(cache), cache.target()
    with Raw(cache.nginx.port) as raw:
        for method, path, headers, body, status in [
            ("GET", target, [], b"", 200), ("GET", target, [], b"", 200), ("HEAD", target, [], b"", 200),
            ("GET", target, [("If-None-Match", '"1"')], b"", 304), ("GET", target, [("Range", "bytes=0-0")], b"", 206),
            ("GET", target, [("Content-Length", "3")], b"abc", 200), ("POST", target, [("Content-Length", "3")], b"abc", 200),
            ("GET", target + "404", [], b"", 404), ("GET", target, [("Cache-Control", "no-store")], b"", 200),
            ("GET", target, [("Authorization", "x")], b"", 200), ("DELETE", target, [], b"", 200),
            ("GET", target, [("Expect", "100-continue"), ("Content-Length", "3")], b"abc", 200),
            ("GET", target + "n", [("If-None-Match", '"1"')], b"", 304), ("HEAD", target + "m", [], b"", 200),
        ]:  # fmt: skip
            raw.send(request_bytes(path, method, host=host, headers=headers, body=body))
            response = raw.response(head=method == "HEAD")
            assert response.status == status, (method, path, headers)
            if status == 200 and method != "HEAD":
                assert response.body == path.encode(), (method, path, headers)


def test_a_client_that_leaves(cache):
    """Stored whole or not at all."""
    body = bytes(n % 251 for n in range(300_000))
    target = cache.target()

    def answer(asked):
        yield message(headers=[LIFETIME, ("Content-Length", str(len(body)))], body=body[:100_000])
        time.sleep(0.1)
        yield body[100_000:]

    cache.origin.answer = answer
    raw = Raw(cache.nginx.port).send(request_bytes(target, host=host_of(cache)))
    raw.reader.readline()
    raw.socket.shutdown(socket.SHUT_RDWR)
    raw.close()
    time.sleep(0.25)
    value = cache.stored(target)
    assert value is None or value.endswith(b"\r\n\r\n" + body)
    assert cache.get(target).body == body


@pytest.fixture
def over_http2(store, raw_origin):
    return store(url=raw_origin.url, listen="http2")


def test_http2(over_http2, raw_origin):
    raw_origin.answer = lambda asked: message(
        headers=[LIFETIME, ("ETag", '"1"'), ("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "x")],
        body=asked.target.encode() * 1000,
    )  # fmt: skip
    with H2Client(over_http2.port) as client:
        targets = [f"/p{n}" for n in range(8)]
        for _ in range(2):
            streams = [client.start(target) for target in targets]
            responses = [client.response(stream) for stream in streams]
            time.sleep(0.1)
        assert [r.body for r in responses] == [t.encode() * 1000 for t in targets]
        assert all(r.cache == ("hit", "fresh") and r.header("X-Hop") is None for r in responses)
        assert client.get("/p0", [("if-none-match", '"1"')]).status == 304
        assert client.get("/p0", [("x-redis-cache-key", "x"), ("range", "bytes=0-1")]).body == b"/p"
