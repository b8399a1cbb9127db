"""PURGE: the page of a target is gone from Redis when the answer comes; the application is not asked."""

import pytest
from support.origin import Answer
from support.pages import FRESH, settled
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

PURGE = "redis_cache_purge on;"


@pytest.fixture(autouse=True)
def _cacheable(cacheable):
    pass


def purge(nginx, target="/p", headers=None, **more):
    return nginx.request("PURGE", target, headers, **more)


def test_the_page_is_gone(store, origin):
    nginx = store(PURGE)
    assert [settled(nginx).cache[0] for _ in range(2)] == ["fwd=uri-miss", "hit"]
    response = purge(nginx)
    assert (response.status, response.body) == (200, b"")
    assert response.cache == ("fwd=bypass", "purge")
    assert nginx.get("/p").cache == ("fwd=uri-miss", "gone")
    assert [asked.method for asked in origin.requests] == ["GET", "GET"]


def test_nothing_stored_is_nothing_wrong(store, origin):
    nginx = store(PURGE)
    with nginx.client() as client:
        assert [client.request("PURGE", "/p").status for _ in range(3)] == [200] * 3
    assert origin.requests == []


def test_all_variants_are_gone(store, origin):
    origin.answer = lambda asked: Answer(
        (asked.header("X-Thing") or "none").encode(), headers=[*FRESH, ("Vary", "X-Thing")]
    )
    nginx = store(PURGE)
    things = [{"X-Thing": "a"}, {"X-Thing": "b"}, {}]
    for status in ("fwd", "hit"):
        for thing in things:
            assert settled(nginx, "/p", thing).cache[0].startswith(status)
    assert purge(nginx).status == 200
    for thing in things:
        assert settled(nginx, "/p", thing).cache[0].startswith("fwd")


def test_the_page_of_the_other_scheme_too(store, redis):
    """MediaWiki and Wagtail purge https:// over plain HTTP."""
    nginx = store(PURGE)
    keys = [key_of(nginx, "/p").replace("http:", scheme) for scheme in ("http:", "https:")]
    for key in keys:
        redis.set(key, page("stored", line=fresh_line()))
    host = f"127.0.0.1:{nginx.port}"
    assert purge(nginx, f"https://{host}/p").status == 200
    with redis.client() as client:
        assert all(b"tombstone" in client.get(key).lower() or b"stored\r\n" not in client.get(key)
                   for key in keys)  # fmt: skip
    assert nginx.get("/p").cache == ("fwd=uri-miss", "gone")


def test_with_query_and_cookies(store):
    nginx = store(f"{PURGE} redis_cache_args drop=tracking; redis_cache_cookies lang;")
    for cookies in ({}, {"Cookie": "lang=de"}):
        assert [settled(nginx, "/p?a=1", cookies).cache[0] for _ in range(2)][1] == "hit"
    assert purge(nginx, "/p?a=1&utm_id=2", {"Cookie": "lang=de; x=y"}).status == 200
    for cookies in ({}, {"Cookie": "lang=de"}):
        assert nginx.get("/p?a=1", cookies).cache == ("fwd=uri-miss", "gone")


def test_from_others_it_is_denied(store, origin):
    nginx = store("redis_cache_purge on from=192.0.2.0/24 from=unix:;")
    assert [settled(nginx).cache[0] for _ in range(2)][1] == "hit"
    response = purge(nginx)
    assert (response.status, response.cache[1]) == (403, "purge_denied")
    assert nginx.get("/p").cache[0] == "hit"
    assert len(origin.requests) == 1


def test_with_the_realip_module_the_client_counts(store):
    nginx = store(PURGE, server="set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;")
    assert purge(nginx, headers={"X-Real-IP": "198.51.100.7"}).status == 403
    assert purge(nginx).status == 200


def test_off_it_is_a_method_like_others(store, origin):
    nginx = store()
    assert purge(nginx).body == b"app /p"
    assert origin.last.method == "PURGE"


def test_where_the_application_stores(serve, redis, origin):
    nginx = serve(f"{PURGE} redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    assert nginx.get("/p").body == b"stored"
    assert purge(nginx).status == 200
    assert nginx.get("/p").cache[1] == "gone"


def test_of_a_key_of_ones_own(store, redis):
    nginx = store(f"{PURGE} redis_cache_key $host$request_uri prefix=k:;")
    assert [settled(nginx).cache[0] for _ in range(2)][1] == "hit"
    assert purge(nginx).status == 200
    assert nginx.get("/p").cache[1] == "gone"


def test_when_redis_is_away(store, redis, io):
    """The event engine owes it, and says so."""
    nginx = store(f"{PURGE} redis_cache_timeout 300ms;")
    redis.pause()
    assert purge(nginx).status == (202 if io == "event" else 503)
    redis.resume()


def test_a_client_that_has_a_body(store):
    nginx = store(PURGE)
    with nginx.client() as client:
        assert client.request("PURGE", "/p", body=b"x" * 100_000).status == 200
        assert client.request("PURGE", "/p").status == 200


@pytest.mark.parametrize("value", ["", "yes", "off from=127.0.0.1", "on from=x", "on 127.0.0.1"])
def test_bad_values(check, value):
    passed, said = check(f"redis_cache_purge {value};")
    assert not passed and "redis_cache_purge" in said
