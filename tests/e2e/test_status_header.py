"""redis_cache_status_header adds one Cache-Status (RFC 9211) with the reason, on hits and on what
the application answers, behind a Cache-Status of the application's own."""

import pytest
from support.origin import Answer
from support.stored import fresh_line, key_of, page

OURS = "nginx-redis-cache"


@pytest.fixture
def nginx(serve):
    return serve("redis_cache_status_header on; redis_cache_bypass $arg_bypass;")


def test_a_hit_shows_how_long_it_stays_fresh(nginx, redis):
    redis.set(key_of(nginx, "/p"), page(line=fresh_line(fresh=100_000, age=20)))
    value = nginx.get("/p").header("Cache-Status")
    name, hit, ttl, detail = value.split("; ")
    assert (name, hit, detail) == (OURS, "hit", "detail=fresh")
    assert 75 <= int(ttl.removeprefix("ttl=")) <= 80


def test_a_hit_without_a_lifetime(nginx, redis):
    redis.set(key_of(nginx, "/p"), page())
    assert nginx.get("/p").all("Cache-Status") == [f"{OURS}; hit; detail=fresh"]


def test_each_way_forward(nginx, redis):
    redis.set(key_of(nginx, "/stale"), page(line=fresh_line(fresh=1000, age=5)))
    redis.set(key_of(nginx, "/vary"), page(headers=[("Vary", "Cookie")]))
    redis.set(key_of(nginx, "/zip"), page(headers=[("Content-Encoding", "gzip")]))
    redis.set(key_of(nginx, "/entry"), "no page")
    redis.set(key_of(nginx, "/gone"), page(line='v=1, gone="x"'))
    for method, target, forward in [
        ("GET", "/absent", "fwd=uri-miss; detail=absent"),
        ("GET", "/gone", "fwd=uri-miss; detail=gone"),
        ("GET", "/stale", "fwd=stale; detail=stale"),
        ("GET", "/vary", "fwd=vary-miss; detail=vary"),
        ("GET", "/zip", "fwd=vary-miss; detail=encoding"),
        ("GET", "/entry", "fwd=miss; detail=entry"),
        ("GET", "/x?bypass=1", "fwd=bypass; detail=bypass"),
        ("POST", "/x", "fwd=method; detail=method"),
        ("HEAD", "/absent", "fwd=uri-miss; detail=absent"),
    ]:
        response = nginx.request(method, target)
        assert response.all("Cache-Status") == [f"{OURS}; {forward}"], target


def test_behind_the_applications_own(nginx, origin):
    headers = {"Cache-Status": "OriginCache; hit; ttl=5"}
    origin.answer = lambda asked: Answer(b"app", headers=headers)
    values = nginx.get("/p").all("Cache-Status")
    assert ", ".join(values) == f"OriginCache; hit; ttl=5, {OURS}; fwd=uri-miss; detail=absent"


def test_behind_a_stored_one(nginx, redis):
    redis.set(key_of(nginx, "/p"), page(headers=[("Cache-Status", "OriginCache; fwd=miss")]))
    values = nginx.get("/p").all("Cache-Status")
    assert ", ".join(values) == f"OriginCache; fwd=miss, {OURS}; hit; detail=fresh"


@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_on_every_status(nginx, redis, origin, status):
    origin.answer = lambda asked: Answer(b"", status)
    assert nginx.get("/app").cache == ("fwd=uri-miss", "absent")
    redis.set(key_of(nginx, "/p"), page("", f"{status} X"))
    assert nginx.get("/p").cache == ("hit", "fresh")


def test_on_a_304_and_a_206(nginx, redis):
    redis.set(key_of(nginx, "/p"), page("stored", headers=[("ETag", '"1"')]))
    for headers, status in [({"If-None-Match": '"1"'}, 304), ({"Range": "bytes=0-1"}, 206)]:
        response = nginx.get("/p", headers)
        assert (response.status, response.cache) == (status, ("hit", "fresh"))


def test_on_errors_without_a_fallback(serve, redis):
    nginx = serve(
        locations="location /alone { redis_cache_pass %s; redis_cache_status_header on; }"
        % redis.url
    )
    response = nginx.get("/alone")
    assert (response.status, response.cache) == (404, ("fwd=uri-miss", "absent"))
    response = nginx.request("POST", "/alone", body=b"x")
    assert (response.status, response.cache) == (405, ("fwd=method", "method"))


def test_one_only_when_an_error_page_follows(serve, origin):
    origin.answer = lambda asked: Answer(b"x", 500 if len(origin.requests) == 1 else 200)
    nginx = serve(
        "redis_cache_status_header on;",
        app="proxy_intercept_errors on; error_page 500 /sorry;",
        locations=f"location /sorry {{ proxy_pass {origin.url}; }}",
    )
    assert len(nginx.get("/p").all("Cache-Status")) == 1


def test_off_by_default_and_elsewhere(serve, redis):
    nginx = serve(locations="location /other { return 200; redis_cache_status_header on; }")
    redis.set(key_of(nginx, "/p"), page())
    for target in ["/p", "/absent", "/other"]:
        assert nginx.get(target).header("Cache-Status") is None


LIFETIME = ("Cache-Control", "max-age=60")

NOT_STORED = {
    "no_lifetime": [],
    "set_cookie": [LIFETIME, ("Set-Cookie", "a=b")],
    "private": [("Cache-Control", "private")],
    "no_store": [("Cache-Control", "no-store")],
    "no_cache": [("Cache-Control", "no-cache")],
    "expired": [("Expires", "0")],
    "vary_all": [LIFETIME, ("Vary", "*")],
}


@pytest.mark.parametrize("reason", NOT_STORED)
def test_why_an_answer_is_not_stored(store, origin, reason):
    """At both doors, at each request, so that it is seen in a browser."""
    nginx = store()
    origin.answer = lambda asked: Answer(b"app", headers=NOT_STORED[reason])
    value = f"{OURS}; fwd=uri-miss; stored=?0; detail=absent/{reason}"
    for _ in range(2):
        assert nginx.get("/p").all("Cache-Status") == [value]


def ends_with_the_connection(version, *fields):
    lines = [f"HTTP/{version} 200 OK", "Cache-Control: max-age=60", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\nbody"


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize(
    "answer",
    [
        ends_with_the_connection("1.0"),
        ends_with_the_connection("1.0", "Connection: close"),
        ends_with_the_connection("1.1", "Connection: close"),
    ],
    ids=["1.0", "1.0 close", "1.1 close"],
)
def test_an_answer_without_an_end_of_its_own(store, raw_origin, buffering, answer):
    """Once a worker, the error log says what helps."""
    raw_origin.answer = lambda asked: answer
    nginx = store(app=f"proxy_buffering {buffering};", url=raw_origin.url)
    value = f"{OURS}; fwd=uri-miss; stored=?0; detail=absent/length_unknown"
    for _ in range(3):
        response = nginx.get("/p")
        assert (response.all("Cache-Status"), response.body) == ([value], b"body")
    lines = [line for line in nginx.error_log().splitlines() if "length_unknown: " in line]
    advice = [line for line in lines if "[warn]" in line]
    assert len(advice) == 1 and "proxy_http_version 1.1" in advice[0]
    nginx.get("/other")
    assert nginx.error_log().count("[warn]") == 1


def test_an_answer_whose_end_is_stated_may_close(store, raw_origin):
    head = "Connection: close", "Content-Length: 4"
    raw_origin.answer = lambda asked: ends_with_the_connection("1.0", *head)
    nginx = store(url=raw_origin.url)
    assert nginx.get("/p").header("Cache-Status") == f"{OURS}; fwd=uri-miss; detail=absent"
    assert nginx.get("/p").cache[0] == "hit"
    raw_origin.answer = lambda asked: (
        b"HTTP/1.0 204 X\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\n"
    )
    assert nginx.get("/none").status == 204
    assert nginx.get("/none").cache[0] == "hit"
    assert "length_unknown" not in nginx.error_log()
