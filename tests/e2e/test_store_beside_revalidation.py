"""A page that is revalidated (RFC 9111 section 4.3) goes through the same filters, subrequests and
connections as one that is sent at once, and its 304 may change for whom it is."""

import gzip
import time

import pytest
from support.h2client import H2Client
from support.raw import Raw, request_bytes
from support.site import LIFETIME, message
from support.stored import fresh_line, key_of, page

HTML, TAG = ("Content-Type", "text/html; charset=utf-8"), ("ETag", '"1"')
BODY = bytes(n % 251 for n in range(700_000))


@pytest.fixture
def start(store, raw_origin):
    """An nginx that revalidates; the application answers 304 to a request with the tag."""

    def start(*headers, at=None, **arguments):
        fields = [LIFETIME, TAG, *headers]
        raw_origin.answer = lambda asked: (
            message("304 X", fields)
            if asked.header("If-None-Match") == TAG[1]
            else message(headers=fields, body=b"whole", method=asked.method)
        )
        return store("redis_cache_revalidate on;", url=at or raw_origin.url, **arguments)

    return start


@pytest.fixture
def stale(redis):
    def stale(nginx, body=b"stored", target="/p", headers=(HTML, TAG)):
        redis.set(key_of(nginx, target), page(body, headers=headers, line=fresh_line(1000, age=9)))

    return stale


@pytest.mark.parametrize(
    "setting", ["", "proxy_buffering off;", "proxy_http_version 1.1;", "limit_rate 4m;"]
)
def test_a_large_page(start, stale, raw_origin, setting):
    nginx = start(app=setting)
    stale(nginx, BODY)
    for cache in ["fwd=stale", "hit"]:
        response = nginx.get("/p")
        assert (response.status, response.body, response.cache[0]) == (200, BODY, cache)
        assert response.header("Content-Length") == str(len(BODY))
        time.sleep(0.2)
    assert len(raw_origin.requests) == 1


def test_filters_act_once(start, stale):
    nginx = start(http="gzip on; gzip_proxied any; sub_filter name NAMEname; add_header X-Own 1;")
    stale(nginx, b"name " + b"x" * 1000)
    for _ in range(2):
        response = nginx.get("/p", {"Accept-Encoding": "gzip"})
        assert gzip.decompress(response.body) == b"NAMEname " + b"x" * 1000
        assert response.all("X-Own") == ["1"] and response.header("Content-Encoding") == "gzip"
        time.sleep(0.05)


def test_a_page_with_parts_and_a_part_of_a_page(start, stale, raw_origin, stored):
    nginx = start(http="ssi on;")
    stale(nginx, b'<<!--# include virtual="/a" --><!--# include virtual="/b" -->>', "/outer")
    stale(nginx, b"part a", "/a")
    stale(nginx, b"part b", "/b")
    for _ in range(2):
        with nginx.client(timeout=1.5) as client:
            assert client.get("/outer").body in (b"<part apart b>", b"<wholewhole>")
        time.sleep(0.05)
    assert sorted(asked.target for asked in raw_origin.requests) == ["/a", "/b", "/outer"]
    assert stored(nginx, "/a").endswith((b"\r\n\r\npart a", b"\r\n\r\nwhole"))


def test_what_is_added_behind_a_body(start, stale):
    nginx = start(
        server="add_after_body /after;",
        locations="location /after { add_after_body ''; return 200 '>'; }",
    )
    stale(nginx, b"stored")
    with nginx.client(timeout=1.5) as client:
        assert client.get("/p").body == b"stored>"


def test_a_stale_part_of_a_page(start, stale, raw_origin):
    nginx = start(
        http="ssi on;",
        locations="location = /outer { return 200 '<<!--# include virtual=\"/a\" -->>'; }",
    )
    stale(nginx, b"part a", "/a")
    for _ in range(2):
        with nginx.client(timeout=1.5) as client:
            assert client.get("/outer").body in (b"<part a>", b"<whole>")
        time.sleep(0.05)
    assert len(raw_origin.requests) == 1


BESIDE = ["mirror /side;", "auth_request /side;", "post_action /side;", "gunzip on;", "charset utf-8;",
          "proxy_cache_convert_head off;", "proxy_intercept_errors on; error_page 404 500 /side;",
          "etag off;", "if_modified_since off;", "keepalive_requests 1;", "lingering_close always;"]  # fmt: skip


@pytest.mark.parametrize("directive", BESIDE)
def test_beside_another_directive(start, stale, raw_origin, directive):
    side = "location = /side { mirror off; auth_request off; internal; return 204; }"
    nginx = start(server=directive, locations=side)
    stale(nginx)
    for _ in range(2):
        for method, body in [("GET", b"stored"), ("HEAD", b"")]:
            with nginx.client(timeout=1.5) as client:
                assert client.request(method, "/p").body == body
            time.sleep(0.05)
    assert [asked.target for asked in raw_origin.requests] == ["/p"]


def test_connections_stay_in_step(start, stale):
    nginx = start()
    with Raw(nginx.port) as raw:
        host = f"127.0.0.1:{nginx.port}"
        for target in ["/a", "/b", "/c"]:
            stale(nginx, target.encode() * 100, target)
        raw.send(b"".join(request_bytes(target, host=host) for target in ["/a", "/b", "/x", "/c"]))
        bodies = [raw.response().body for _ in range(4)]
    assert bodies == [b"/a" * 100, b"/b" * 100, b"whole", b"/c" * 100]


def test_http2(start, stale, raw_origin):
    nginx = start(listen="http2")
    for n in range(6):
        stale(nginx, BODY[: 50_000 + n], f"/{n}")
    with H2Client(nginx.port) as client:
        for _ in range(2):
            streams = [client.start(f"/{n}") for n in range(6)]
            bodies = [client.response(stream).body for stream in streams]
            assert bodies == [BODY[: 50_000 + n] for n in range(6)]
            time.sleep(0.1)
    assert len(raw_origin.requests) == 6


def test_the_application_is_reached_on_kept_connections(start, stale, raw_origin):
    raw_origin.keeps_open = True
    http = f"upstream u {{ server {raw_origin.url[7:]}; keepalive 2; }}"
    nginx = start(
        http=http, app="proxy_http_version 1.1; proxy_set_header Connection '';", at="http://u"
    )
    for n in range(5):
        stale(nginx, b"page %d" % n, f"/{n}")
        assert nginx.get(f"/{n}").body == b"page %d" % n


@pytest.mark.parametrize("vary", ["Foo", "*", "Foo, Bar"])
def test_a_304_that_makes_a_page_vary(start, stale, raw_origin, vary):
    """3.2: the stored page has the Vary of the 304 from then on (4.1)."""
    nginx = start(("Vary", vary))
    stale(nginx)
    assert nginx.get("/p", {"Foo": "1"}).body == b"stored"
    time.sleep(0.05)
    response = nginx.get("/p", {"Foo": "2"})
    assert response.cache[0] != "hit" and len(raw_origin.requests) == 2


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coded_page_and_a_client_that_cannot_take_it(start, stale, coding):
    nginx = start()
    headers = [HTML, TAG, ("Content-Encoding", coding), ("Vary", "Accept-Encoding")]
    stale(nginx, b"coded", headers=headers)
    response = nginx.get("/p")
    assert (response.status, response.body, response.header("Content-Encoding")) == (
        200,
        b"whole",
        None,
    )
    stale(nginx, b"coded", headers=headers)
    response = nginx.get("/p", {"Accept-Encoding": coding})
    assert (response.status, response.body) in [(200, b"coded"), (200, b"whole")]
    assert (response.header("Content-Encoding") == coding) == (response.body == b"coded")


def test_a_new_page_that_the_client_has(start, stale, raw_origin):
    """4.3.2: the client's condition is judged on what the application sent anew."""
    nginx = start()
    stale(nginx)
    raw_origin.answer = lambda asked: message(headers=[LIFETIME, ("ETag", '"2"')], body=b"new")
    response = nginx.get("/p", {"If-None-Match": '"2"'})
    assert (response.status, response.body, response.header("ETag")) == (304, b"", '"2"')
    time.sleep(0.05)
    assert nginx.get("/p").body == b"new"


def test_the_condition_of_a_client_is_not_lost_when_the_page_is_the_old_one(start, stale):
    nginx = start()
    stale(nginx)
    assert nginx.get("/p", {"If-None-Match": '"1"'}).status == 304
    stale(nginx)
    assert nginx.get("/p", {"If-None-Match": '"0"'}).body == b"stored"


def test_a_cookie_of_a_304_is_its_receivers(start, stale, redis, stored):
    nginx = start(("Set-Cookie", "sessionid=alice"))
    stale(nginx)
    for _ in range(2):
        assert nginx.get("/p").body == b"stored"
        time.sleep(0.05)
    assert b"alice" not in stored(nginx)


def test_an_invalidation_in_between_stays(start, stale, raw_origin, stored):
    """A page that was invalidated while its 304 was on the way does not come back."""
    import threading

    nginx = start()
    stale(nginx)
    usual = raw_origin.answer
    entered, go = threading.Event(), threading.Event()

    def answer(asked):
        if asked.method == "POST":
            return message(body=b"written")
        if not entered.is_set():
            entered.set()
            go.wait(5)
        return usual(asked)

    raw_origin.answer = answer
    slow = threading.Thread(target=nginx.get, args=("/p",))
    slow.start()
    assert entered.wait(5)
    assert nginx.request("POST", "/p", body=b"x").body == b"written"
    go.set()
    slow.join()
    time.sleep(0.05)
    assert nginx.get("/p").body == b"whole"


@pytest.mark.parametrize("kind", [b"", b"HTTP/1.1 304 X\r\nETag"])
def test_an_application_that_breaks_off(start, stale, raw_origin, kind):
    nginx = start()
    stale(nginx)
    raw_origin.answer = lambda asked: kind
    try:
        response = nginx.get("/p")
        assert response.status in (200, 502) and response.body != b"stored"
    except Exception:
        pass
    assert nginx.get("/none").status in (200, 502)
    time.sleep(0.02)
    raw_origin.answer = lambda asked: message(headers=[LIFETIME], body=b"well")
    assert nginx.get("/p").body == b"well"
