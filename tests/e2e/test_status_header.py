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
