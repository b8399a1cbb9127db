"""HTTP/3 with each nginx that has it: hits, misses, stale pages, and streams that are given up while
Redis is asked. A key is the same over every version of HTTP."""

import ssl
import time

import pytest
from support.fake_redis import bulk
from support.h2client import H2Client
from support.h3client import H3Client
from support.http import Client
from support.origin import Answer
from support.pages import FRESH
from support.ports import free_port, wait_for
from support.stored import fresh_line, page

SLOW = "redis_cache_breaker off; redis_cache_timeout 5s;"


class Secure:
    """A server that speaks HTTP/3, and HTTP/1.1 and HTTP/2 over TLS, on one port."""

    def __init__(self, start, certificates, arguments, server="", **more):
        self.port = free_port()
        self.trusted = certificates.authority.certificate
        pair = certificates.good
        listen = f"listen 127.0.0.1:{self.port}"
        self.nginx = start(
            arguments,
            server=f"""
                {listen} quic; {listen} ssl; http2 on;
                ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};
                {server}
            """,
            **more,
        )

    def key(self, target) -> str:
        return f"page:https://127.0.0.1:{self.port}{target}"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.trusted))

    def http1(self):
        return Client(self.port, context=self.context())

    def http2(self):
        return H2Client(self.port, context=self.context())

    def http3(self):
        return H3Client(self.port, self.trusted)


@pytest.fixture
def secure(start, suite, certificates):
    if not suite.has("--with-http_v3_module"):
        pytest.skip(f"nginx {suite.version} has no HTTP/3")

    def secure(location="", **more):
        location = f"redis_cache_status_header on; {location}"
        return Secure(start, certificates, location, **more)

    return secure


@pytest.fixture
def storing(secure, redis, origin):
    """One that stores, with an application whose pages may be confirmed."""

    def storing(lifetime=60, app=""):
        def answer(asked):
            headers = [("ETag", '"1"'), ("Cache-Control", f"max-age={lifetime}")]
            if asked.header("If-None-Match") == '"1"':
                return Answer(b"", 304, headers)
            return Answer(b"app " + asked.target.encode(), headers=headers)

        origin.answer = answer
        location = f"""location /in {{
            redis_cache {redis.url}; redis_cache_store on; redis_cache_status_header on;
            redis_cache_revalidate on;
            proxy_pass {origin.url}; proxy_set_header Host $http_host; {app}
        }}"""
        return secure(locations=location)

    return storing


def test_hits_and_misses(secure, redis, origin):
    server = secure()
    body = bytes(range(256)) * 2000
    for n in range(0, 20, 2):
        headers = [("X-A", "1"), ("X-A", "2"), ("ETag", '"1"')]
        value = page(b"%d" % n + body, headers=headers, line=fresh_line(age=5))
        redis.set(server.key(f"/{n}?x"), value)
    with server.http3() as client:
        streams = {n: client.start(f"/{n}?x") for n in range(20)}
        for n, stream in reversed(streams.items()):
            response = client.response(stream)
            if n % 2:
                assert response.body == f"app GET /{n}?x".encode()
                assert response.cache == ("fwd=uri-miss", "absent")
            else:
                assert response.body == b"%d" % n + body
                assert response.cache == ("hit", "fresh") and response.header("Age") is not None
                assert response.all("X-A") == ["1", "2"]
        assert client.get("/0?x", [("If-None-Match", '"1"')]).status == 304
        response = client.get("/0?x", [("Range", "bytes=1-3")])
        assert (response.status, response.body) == (206, body[:3])
        head = client.response(client.start("/0?x", "HEAD"))
        assert (head.status, head.body, head.header("ETag")) == (200, b"", '"1"')
        post = client.response(client.start("/0?x", "POST", body=b"x" * 100_000))
        assert post.body == b"app POST /0?x" and len(origin.last.body) == 100_000


def test_a_page_that_is_filled_and_invalidated(storing, origin):
    server = storing()
    with server.http3() as client:
        for cache in [("fwd=uri-miss", "absent"), ("hit", "fresh")]:
            response = client.get("/in")
            assert (response.body, response.cache) == (b"app /in", cache)
        assert origin.last.header("Host") == f"127.0.0.1:{server.port}"
        assert client.response(client.start("/in", "POST", body=b"x")).status == 200
        assert client.get("/in").cache == ("fwd=uri-miss", "gone")
        assert client.get("/in", [("If-None-Match", '"1"')]).status == 304


def test_a_stale_page_is_confirmed(storing, origin):
    server = storing(lifetime=1)
    with server.http3() as client:
        assert client.get("/in").cache == ("fwd=uri-miss", "absent")
        confirmed = lambda: client.get("/in").cache[1] == "revalidated"  # noqa: E731
        wait_for(confirmed, "the page to be stale")
        assert origin.last.header("If-None-Match") == '"1"'
        assert client.get("/in").body == b"app /in"


TARGETS = ["/in", "/in?x=1&y=%20", "/in/%41/./b/../c", "/in//b?", "/in/%e4%c3%a4?a=http://b/"]


@pytest.mark.parametrize("filled_by", ["http1", "http2", "http3"])
def test_a_page_is_one_page_over_every_version(storing, origin, filled_by):
    server = storing()
    for target in TARGETS:
        with getattr(server, filled_by)() as client:
            assert client.get(target).cache == ("fwd=uri-miss", "absent"), target
    for version in ["http1", "http2", "http3"]:
        with getattr(server, version)() as client:
            for target in TARGETS:
                assert client.get(target).cache == ("hit", "fresh"), (version, target)
    assert len(origin.requests) == len(TARGETS)


HOSTS = ["example.test", "EXAMPLE.test", "example.test.", "example.test:443", "example.test:8443",
         "Example.test.:8443", "[::1]:8443"]  # fmt: skip


def test_a_key_is_the_same_over_every_version(storing, redis):
    """Also where the host is not written as in the key; such a request fills nothing."""
    server = storing()
    for host in HOSTS:
        with server.http1() as one, server.http2() as two, server.http3() as three:
            one.get("/in", host=host)
            two.get("/in", authority=host)
            three.get("/in", authority=host)
    lines = server.nginx.logged(3 * len(HOSTS))
    keys = [line.partition(" k=")[2].partition(" a=")[0] for line in lines]
    for at, host in enumerate(HOSTS):
        found = keys[3 * at : 3 * at + 3]
        assert len(set(found)) == 1 and found[0].startswith("page:https://"), (host, found)
    with redis.client() as client:
        stored = {key.decode() for key in client.keys()}
    canonical = ["example.test", "example.test:8443", "[::1]:8443"]
    assert stored == {f"page:https://{host}/in" for host in canonical}


def test_the_host_that_an_application_is_told(storing, origin):
    """RFC 9114, 4.3.1: an intermediary makes Host of `:authority`."""
    server = storing(app="proxy_http_version 1.1; add_header X-Host $http_host;")
    for n, headers in enumerate([[], [("host", "example.test")]]):
        with server.http3() as client:
            response = client.get(f"/in/{n}", headers, authority="example.test")
        assert (response.status, response.header("X-Host")) == (200, "example.test")
        asked = [value for name, value in origin.last.headers if name.lower() == "host"]
        assert asked == ["example.test"]


def own(key):
    return bulk(page(b"page of " + key.rsplit(b"/", 1)[1]))


@pytest.fixture
def slowly(secure, fake_redis):
    """Every page of Redis comes a little later."""

    def slow(conn, key):
        time.sleep(0.005)
        conn.sendall(own(key))

    fake_redis.on_get = slow
    return secure(SLOW, target=fake_redis.url)


def test_streams_that_are_reset_while_redis_is_asked_leave_the_others_alone(slowly):
    worker = slowly.nginx.workers()
    for start in range(0, 160, 40):
        with slowly.http3() as client:
            streams = {n: client.start(f"/{n}") for n in range(start, start + 40)}
            for n in list(streams)[::2]:
                client.reset(streams[n])
            for n in list(streams)[1::2]:
                assert client.response(streams[n]).body == f"page of {n}".encode()
    assert slowly.nginx.workers() == worker


def test_a_connection_that_ends_with_all_its_streams_parked(slowly):
    with slowly.http3() as client:
        assert client.get("/first").body == b"page of first"
    worker = slowly.nginx.workers()
    for _ in range(5):
        with slowly.http3() as client:
            for n in range(20):
                client.start(f"/{n}")
    with slowly.http3() as client:
        assert client.get("/after").body == b"page of after"
    assert slowly.nginx.workers() == worker


def test_a_fill_whose_stream_is_reset(storing, origin):
    """It is fetched to its end or not stored; the next visitor has the whole page."""
    server = storing()
    whole = b"x" * 300_000
    origin.answer = lambda asked: Answer(whole, headers=FRESH)
    with server.http3() as client:
        for n in range(10):
            client.reset(client.start(f"/in/{n}"))
        for n in range(10):
            assert client.get(f"/in/{n}").body == whole
            assert client.get(f"/in/{n}").body == whole
