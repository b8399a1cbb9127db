"""Cache-Control of requests: obeyed only where redis_cache_request_control says so, but for no-store,
which always keeps an answer out of Redis (RFC 9111 section 5.2.1)."""

import time

import pytest
from support.origin import Answer
from support.stored import fresh_line, key_of, page

CACHED = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]
ASKS = [{"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}, {"Pragma": "no-cache"},
        {"Cache-Control": "MAX-AGE=5"}, {"Cache-Control": "min-fresh=999"}]  # fmt: skip


@pytest.fixture
def put(redis):
    def put(nginx, target="/p"):
        redis.set(key_of(nginx, target), page("stored", line=fresh_line(age=10)))

    return put


@pytest.mark.parametrize("headers", [*ASKS, {"Cache-Control": "only-if-cached"}])
def test_off_it_does_not_matter(store, put, headers):
    nginx = store()
    put(nginx)
    assert nginx.get("/p", headers).cache == ("hit", "fresh")
    assert nginx.get("/q", headers).body == b"app GET /q"


@pytest.mark.parametrize("headers", ASKS)
def test_on_a_newer_page_is_fetched_and_stored(store, put, origin, headers):
    origin.answer = lambda asked: Answer(b"new", headers=CACHED)
    nginx = store("redis_cache_request_control on;")
    put(nginx)
    response = nginx.get("/p", headers)
    assert (response.body, response.cache) == (b"new", ("fwd=request", "reload"))
    time.sleep(0.05)
    response = nginx.get("/p")
    assert (response.body, response.cache) == (b"new", ("hit", "fresh"))


@pytest.mark.parametrize(
    "value", ["max-age=10", "max-age=3600", "min-fresh=20", "max-stale", "no-transform", "x=no-cache"]
)
def test_on_what_the_stored_page_satisfies(store, put, value):
    nginx = store("redis_cache_request_control on;")
    put(nginx)
    assert nginx.get("/p", {"Cache-Control": value}).cache == ("hit", "fresh")


def test_only_if_cached(store, put, origin):
    nginx = store("redis_cache_request_control on;")
    put(nginx)
    asks = {"Cache-Control": "only-if-cached"}
    assert nginx.get("/p", asks).cache == ("hit", "fresh")
    assert nginx.get("/q", asks).status == 504
    assert nginx.get("/p", {"Cache-Control": "only-if-cached, max-age=1"}).status == 504
    assert not origin.requests
    assert nginx.request("POST", "/p", asks, body=b"x").body == b"app POST /p"


def test_a_reload_revalidates(store, redis, origin):
    nginx = store("redis_cache_request_control on; redis_cache_revalidate on;")
    stored = page("stored", headers=[("ETag", '"1"')], line=fresh_line(age=10))
    redis.set(key_of(nginx, "/p"), stored)
    origin.answer = lambda asked: Answer(b"", 304, [("ETag", '"1"'), *CACHED[1:]])
    response = nginx.get("/p", {"Cache-Control": "no-cache"})
    assert (response.body, response.cache[1]) == (b"stored", "revalidated")
    assert response.header("Age") == "0"


@pytest.mark.parametrize("value", ["no-store", "max-age=5, No-Store"])
def test_no_store_is_always_obeyed(store, origin, stored, value):
    origin.answer = lambda asked: Answer(b"page", headers=CACHED)
    nginx = store()
    response = nginx.get("/p", {"Cache-Control": value})
    assert response.cache == ("fwd=uri-miss", "absent/request_no_store")
    time.sleep(0.05)
    assert stored(nginx) is None
