"""stale-while-revalidate and `redis_cache_use_stale updating`: a stale page is sent at once, and a request
of nginx's own, which belongs to no visitor, fetches it anew."""

import re
import ssl
import threading
import time

import pytest
from support.h2client import H2Client
from support.http import Client
from support.origin import Answer
from support.ports import free_port, wait_for
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

HTML = ("Content-Type", "text/html; charset=utf-8")
NEW = [HTML, ("Cache-Control", "max-age=60, stale-while-revalidate=600")]
OLD = b"<p>old</p>"


@pytest.fixture
def stale(redis):
    """`stale(nginx)`: a page has been stale for ten seconds, and may be used for ten minutes."""

    def stale(nginx, target="/p", headers=(), extra=", swr=600000", body=OLD, key=None):
        line = fresh_line(fresh=60_000, age=70, extra=extra)
        value = page(body, headers=[HTML, *headers], line=line)
        redis.set(key or key_of(nginx, target), value)

    return stale


@pytest.fixture
def slow(origin):
    """The application answers when `slow.set()` lets it; it counts."""
    event = threading.Event()

    def answer(asked):
        event.wait(10)
        return Answer(b"<p>new %d</p>" % len(origin.requests), headers=NEW)

    origin.answer = answer
    yield event
    event.set()


def is_old(response, word="revalidating"):
    assert (response.status, response.body) == (200, OLD), response
    assert response.cache == ("hit", word), response.header("Cache-Status")
    assert "; ttl=-1" in response.header("Cache-Status")
    return True


def is_renewed(nginx, target="/p", **arguments):
    def found():
        response = nginx.get(target, **arguments)
        return response.body.startswith(b"<p>new") and response.cache[0] == "hit" and response

    return wait_for(found, "the new page", 10)


def test_nobody_waits_and_one_request_fetches_it(store, origin, stale, slow):
    nginx = store()
    stale(nginx)
    visitor = {"Cookie": "id=7", "If-None-Match": '"7"', "User-Agent": "me", "Cache-Control": "x"}
    assert is_old(nginx.get("/p", visitor))
    for _ in range(20):
        assert is_old(nginx.get("/p"), "updating")
    wait_for(lambda: origin.requests, "the application to be asked")
    slow.set()
    assert is_renewed(nginx).body == b"<p>new 1</p>"
    asked = origin.last
    assert (asked.method, asked.target, asked.header("User-Agent")) == ("GET", "/p", "me")
    assert {asked.header(name) for name in ["Cookie", "If-None-Match", "Cache-Control"]} == {None}
    assert len(origin.requests) == 1


def test_the_next_request_on_the_connection_waits_for_nothing(store, origin, stale, slow):
    nginx = store()
    stale(nginx)
    stale(nginx, "/other", extra=", swr=600000")
    with nginx.client() as client:
        assert is_old(client.get("/p"))
        assert is_old(client.get("/p"), "updating")
        assert is_old(client.get("/other"))
    wait_for(lambda: len(origin.requests) == 2, "both")


def test_a_visitor_who_leaves_ends_nothing(store, origin, stale, slow):
    nginx = store()
    stale(nginx)
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
        assert raw.response().body == OLD
    wait_for(lambda: origin.requests, "the application to be asked")
    slow.set()
    assert is_renewed(nginx)


def test_the_log_names_it(store, stale, slow):
    nginx = store()
    stale(nginx)
    slow.set()
    assert is_old(nginx.get("/p"))
    assert is_renewed(nginx)
    lines = "\n".join(nginx.access_log())
    assert "GET /p 200 s=STALE r=revalidating" in lines
    assert "GET /p 200 s=EXPIRED r=refresh" in lines


def test_the_page_is_confirmed(store, origin, stale):
    nginx = store("redis_cache_revalidate on;")
    stale(nginx, headers=[("ETag", '"1"')])
    control = [("Cache-Control", "max-age=60")]
    origin.answer = lambda asked: Answer(status=304, headers=[("ETag", '"1"'), *control])
    assert is_old(nginx.get("/p", {"If-None-Match": '"0"'}))
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "the page to be fresh")
    assert nginx.get("/p").body == OLD
    assert [asked.header("If-None-Match") for asked in origin.requests] == ['"1"']


@pytest.mark.parametrize("word, once", [("error", False), ("updating", True)])
def test_the_directive(store, origin, stale, slow, word, once):
    slow.set()
    nginx = store(f"redis_cache_use_stale {word};")
    stale(nginx, extra="")
    response = nginx.get("/p")
    assert (response.body == OLD) == once
    assert is_renewed(nginx)


@pytest.mark.parametrize("control", ["must-revalidate", "proxy-revalidate", "no-cache"])
def test_what_forbids_it(store, stale, slow, control):
    slow.set()
    nginx = store("redis_cache_use_stale updating;")
    stale(nginx, headers=[("Cache-Control", control)])
    assert nginx.get("/p").body == b"<p>new 1</p>"


def test_a_window_that_is_over(store, stale, slow):
    slow.set()
    nginx = store()
    stale(nginx, extra=", swr=9000")
    assert nginx.get("/p").body == b"<p>new 1</p>"


def test_head_and_parts(store, origin, stale, slow):
    nginx = store()
    stale(nginx)
    head = nginx.request("HEAD", "/p")
    assert (head.status, head.header("Content-Length")) == (200, str(len(OLD)))
    part = nginx.get("/p", {"Range": "bytes=3-5"})
    assert (part.status, part.body) == (206, b"old")
    wait_for(lambda: origin.requests, "the application to be asked")
    assert (origin.last.method, origin.last.header("Range")) == ("GET", None)
    slow.set()
    assert is_renewed(nginx)


def test_a_failing_application_is_tried_once_a_second(store, origin, stale):
    origin.answer = lambda asked: Answer(b"", status=503)
    nginx = store("redis_cache_use_stale updating http_503;")
    stale(nginx)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        response = nginx.get("/p")
        assert (response.status, response.body) == (200, OLD)
    assert 1 < len(origin.requests) <= 4


def test_no_more_at_a_time_than_the_limit(store, origin, stale, slow):
    nginx = store("redis_cache_background_limit 2;")
    for n in range(5):
        stale(nginx, f"/{n}")
        assert is_old(nginx.get(f"/{n}"), "revalidating" if n < 2 else "updating")
    wait_for(lambda: len(origin.requests) == 2, "two")
    slow.set()
    for n in range(5):
        assert is_renewed(nginx, f"/{n}")
    off = store("redis_cache_background_limit 0;")
    stale(off)
    assert off.get("/p").body.startswith(b"<p>new")


def test_cookies_that_are_in_the_key(store, origin, stale, slow):
    slow.set()
    nginx = store("redis_cache_cookies lang;")
    stale(nginx, key=key_of(nginx, "/p") + "\0" + "4:lang2:de")
    assert is_old(nginx.get("/p", {"Cookie": "id=7; lang=de"}))
    assert is_renewed(nginx, headers={"Cookie": "lang=de"})
    assert origin.requests[0].header("Cookie") == "lang=de"


def test_a_key_that_may_have_cookies_in_it(store, origin, stale, slow):
    slow.set()
    nginx = store("redis_cache_key $uri$cookie_lang;")
    stale(nginx, key="/pde")
    assert nginx.get("/p", {"Cookie": "lang=de"}).body == b"<p>new 1</p>"
    stale(nginx, key="/q")
    assert is_old(nginx.get("/q"))


def test_a_query_is_what_the_key_has(store, origin, stale, slow):
    slow.set()
    nginx = store("redis_cache_args drop=tracking;")
    stale(nginx, "/p?a=1")
    assert is_old(nginx.get("/p?utm_source=x&a=1"))
    assert is_renewed(nginx, "/p?a=1")
    assert origin.requests[0].target == "/p?a=1"


def test_a_variant(store, origin, stale, slow):
    nginx = store()
    headers = [HTML, ("Vary", "Accept-Language")]
    origin.answer = lambda asked: Answer(
        asked.header("Accept-Language").encode(),
        headers=[*headers, ("Cache-Control", "max-age=1, stale-while-revalidate=60")],
    )
    for language in ["de", "en"]:
        assert nginx.get("/p", {"Accept-Language": language}).body == language.encode()
    wait_for(lambda: nginx.get("/p", {"Accept-Language": "de"}).cache[1] == "revalidating", "de")
    wait_for(lambda: len(origin.requests) == 3, "the application to be asked")
    assert origin.last.header("Accept-Language") == "de"


def test_where_the_application_stores_by_itself(serve, origin, redis, stale):
    nginx = serve("redis_cache_status_header on;")
    stale(nginx)
    assert is_old(nginx.get("/p", {"Cookie": "id=7"}))
    wait_for(lambda: origin.requests, "the application to be asked")
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p")
    assert origin.last.header("Cookie") is None


def test_over_tls_and_http2(store, origin, redis, stale, slow, certificates):
    slow.set()
    good, port, h2 = certificates.good, free_port(), free_port()
    nginx = store(
        app="proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Port $server_port;"
        " proxy_set_header X-TLS $ssl_protocol; proxy_set_header X-Address $remote_addr;",
        server=f"""
            listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{h2} http2;
            ssl_certificate {good.certificate}; ssl_certificate_key {good.key};
        """,
    )
    host = f"127.0.0.1:{port}"
    stale(nginx, key=f"page:https://{host}/p")
    context = ssl.create_default_context(cafile=str(certificates.authority.certificate))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Client(port, context=context) as client:
        assert is_old(client.get("/p"))
        wait_for(lambda: client.get("/p").body.startswith(b"<p>new"), "the new page")
    asked = origin.requests[0]
    assert asked.header("X-Forwarded-Proto") == "https"
    assert (asked.header("X-Port"), asked.header("X-Address")) == (str(port), "127.0.0.1")
    stale(nginx, key=f"page:http://127.0.0.1:{h2}/p")
    with H2Client(h2) as client:
        assert client.get("/p", authority=f"127.0.0.1:{h2}").body == OLD
    wait_for(lambda: len(origin.requests) == 2, "the application to be asked")
    assert origin.last.header("X-Forwarded-Proto") == "http"


def test_behind_a_balancer(store, origin, stale, slow):
    slow.set()
    nginx = store("redis_cache_forwarded proto from=127.0.0.1;")
    stale(nginx, key=key_of(nginx, "/p").replace("http:", "https:"))
    forwarded = {"X-Forwarded-Proto": "https"}
    assert is_old(nginx.get("/p", forwarded))
    assert is_renewed(nginx, headers=forwarded)


def test_behind_proxy_protocol(store, origin, redis, stale, slow):
    slow.set()
    port = free_port()
    nginx = store(server=f"listen 127.0.0.1:{port} proxy_protocol;")
    stale(nginx, key=f"page:http://127.0.0.1:{port}/p")
    with Raw(port) as raw:
        raw.send(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + request_bytes("/p", host=f"127.0.0.1:{port}"))
        assert raw.response().body == OLD
    wait_for(lambda: origin.requests, "the application to be asked")


def test_a_reload_meanwhile(store, origin, stale, slow):
    nginx = store()
    stale(nginx)
    old = nginx.workers()
    assert is_old(nginx.get("/p"))
    wait_for(lambda: origin.requests, "the application to be asked")
    nginx.reload()
    slow.set()
    wait_for(lambda: not set(nginx.workers()) & set(old), "the old worker to end", 30)
    assert is_renewed(nginx)
    assert not re.search(r"open socket|alert", nginx.error_log())


def test_many_at_once(store, origin, stale, slow):
    slow.set()
    nginx = store("redis_cache_background_limit 100;")
    for n in range(200):
        stale(nginx, f"/{n}")
    for n in range(200):
        nginx.get(f"/{n}")
    for n in range(200):
        assert is_renewed(nginx, f"/{n}")
    assert len(origin.requests) == 200


def test_the_address_of_the_server_is_the_one_the_visitor_came_to(store, origin, redis, stale, slow):
    slow.set()
    port = free_port()
    app = "proxy_set_header X-Port $server_port; proxy_set_header X-Address $server_addr;"
    nginx = store(app=app, server=f"listen *:{port};")
    stale(nginx, key=f"page:http://127.0.0.1:{port}/p")
    with Client(port) as client:
        assert is_old(client.get("/p"))
    wait_for(lambda: origin.requests, "the application to be asked")
    asked = origin.requests[0]
    assert (asked.header("X-Port"), asked.header("X-Address")) == (str(port), "127.0.0.1")


def test_a_page_that_needs_its_visitor_is_fetched_by_one(store, origin, stale, slow):
    slow.set()
    door = 'location = /auth { internal; redis_cache off; if ($cookie_id = "") { return 401; } return 204; }'
    nginx = store("auth_request /auth;", locations=door)
    stale(nginx)
    visitor = {"Cookie": "id=7"}
    assert is_old(nginx.get("/p", visitor))
    wait_for(lambda: nginx.get("/p", visitor).body.startswith(b"<p>new"), "the new page")
    assert [asked.header("Cookie") for asked in origin.requests] == ["id=7"]


def test_a_key_that_the_refresh_does_not_have(store, origin, redis, stale, slow):
    slow.set()
    nginx = store("redis_cache_key $request_method$request_uri;")
    stale(nginx, key="HEAD/p")
    assert nginx.request("HEAD", "/p").cache == ("hit", "revalidating")
    wait_for(lambda: nginx.request("HEAD", "/p").cache[0] == "fwd=stale", "the application to answer")


@pytest.mark.parametrize(
    "lines", ["Host: HOST\r\nConnection: close, host", "Host: HOST\r\nConnection: X-A\r\nX-A: 1"]
)
def test_what_connection_names_takes_nothing_away(store, origin, stale, slow, lines):
    slow.set()
    nginx = store()
    stale(nginx)
    with Raw(nginx.port) as raw:
        head = lines.replace("HOST", f"127.0.0.1:{nginx.port}")
        raw.send(f"GET /p HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert raw.response().body == OLD
    assert is_renewed(nginx)


def test_a_request_without_a_host_waits(store, origin, stale, slow):
    slow.set()
    nginx = store(server="server_name h;")
    stale(nginx, key="page:http://h/p")
    with Raw(nginx.port) as raw:
        raw.send(b"GET /p HTTP/1.0\r\n\r\n")
        assert raw.response().body == b"<p>new 1</p>"


@pytest.mark.parametrize("control", ["no-cache", "max-age=0", "min-fresh=5"])
def test_who_asks_for_a_newer_page_gets_it(store, origin, stale, slow, control):
    slow.set()
    nginx = store("redis_cache_request_control on;")
    stale(nginx)
    assert nginx.get("/p", {"Cache-Control": control}).body == b"<p>new 1</p>"
