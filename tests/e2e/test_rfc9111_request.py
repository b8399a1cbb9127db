"""RFC 9111 sections 5.2.1 and 5.4: Cache-Control of requests, obeyed with redis_cache_request_control,
but for no-store, which always is; Pragma."""

import pytest
from support.site import LIFETIME, site
from support.stored import fresh_line, key_of, page


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    places = {
        "/control/": "redis_cache_request_control on;",
        "/revalidate/": "redis_cache_request_control on; redis_cache_revalidate on;",
    }
    with site(tmp_path_factory.mktemp("site"), places) as cache:
        yield cache


@pytest.fixture
def aged(cache):
    """`aged(place)`: the target of a page that is 100 s old and fresh for another 100."""

    def aged(place="/control/", **more):
        target = cache.target(place)
        line = fresh_line(200_000, age=100)
        cache.redis.set(key_of(cache.nginx, target), page(b"stored", line=line, **more))
        cache.answers([LIFETIME])
        return target

    return aged


SATISFIED = ["max-age=3600", "max-age=101", "MAX-AGE=150", "min-fresh=50", "max-stale", "max-stale=9",
             "only-if-cached", "no-transform", "max-age=150, min-fresh=50", "foo", 'foo="no-cache"',
             "only-if-cached, max-age=150", "no-cachet", "", "max-age=99999999999999999999"]  # fmt: skip

WANTS_NEWER = ["no-cache", "No-Cache", "max-age=0", "max-age=99", "min-fresh=101", "max-age=150, no-cache",
               "min-fresh=50, max-age=50", "foo, max-age=0", "max-age=0, max-stale=0",
               "min-fresh=99999999999999999999"]  # fmt: skip


@pytest.mark.parametrize("value", SATISFIED)
def test_a_page_that_satisfies_the_request_is_reused(cache, aged, value):
    assert cache.get(aged(), {"Cache-Control": value}).body == b"stored"


@pytest.mark.parametrize("value", WANTS_NEWER)
def test_a_page_that_does_not_is_not(cache, aged, value):
    target = aged()
    assert cache.get(target, {"Cache-Control": value}).body == b"answer 1"
    assert cache.get(target).body == b"answer 1", "the newer page takes its place"


@pytest.mark.parametrize("value", [*SATISFIED, *WANTS_NEWER])
def test_visitors_decide_nothing_where_it_is_off(cache, aged, value):
    assert cache.get(aged("/"), {"Cache-Control": value}).body == b"stored"
    assert cache.get(aged("/"), {"Pragma": "no-cache"}).body == b"stored"


def test_all_lines_count(cache, aged):
    from support.raw import exchange, request_bytes

    fields = [("Cache-Control", "max-age=3600"), ("Cache-Control", "no-cache")]
    host = f"127.0.0.1:{cache.nginx.port}"
    [response] = exchange(cache.nginx.port, request_bytes(aged(), host=host, headers=fields))
    assert response.body == b"answer 1"


def test_only_if_cached_without_a_page(cache):
    """5.2.1.7: a stored response or 504."""
    cache.answers([LIFETIME])
    target = cache.target("/control/")
    response = cache.get(target, {"Cache-Control": "Only-If-Cached"})
    assert response.status == 504 and not cache.asked(target)
    assert cache.get(target).status == 200
    assert cache.get(target, {"Cache-Control": "only-if-cached"}).body == b"answer 1"


def test_only_if_cached_with_a_page_that_does_not_fit(cache, aged):
    for value in ["only-if-cached, max-age=50", "no-cache, only-if-cached"]:
        target = aged()
        assert cache.get(target, {"Cache-Control": value}).status == 504
        assert not cache.asked(target)


def test_only_if_cached_means_nothing_where_it_is_off(cache):
    cache.answers([LIFETIME])
    target = cache.target()
    assert cache.get(target, {"Cache-Control": "only-if-cached"}).status == 200


@pytest.mark.parametrize("place", ["/", "/control/"])
def test_no_store_keeps_the_answer_out(cache, place):
    """5.2.1.5: MUST NOT store any part of this request or any response to it."""
    cache.answers([LIFETIME])
    target = cache.target(place)
    for value in ["no-store", "NO-STORE", "max-age=60, no-store", "no-store, max-age=60"]:
        cache.get(target, {"Cache-Control": value})
        assert cache.stored(target) is None
    assert cache.get(target).body == b"answer 5"


def test_no_store_of_a_revalidation(cache):
    headers = [("Cache-Control", "max-age=1"), ("ETag", '"1"')]
    target = cache.target("/revalidate/")
    old = page(b"stored", headers=headers, line=fresh_line(1000, age=9))
    cache.redis.set(key_of(cache.nginx, target), old)
    cache.answers([LIFETIME, ("ETag", '"2"')], "200 OK")
    assert cache.get(target, {"Cache-Control": "no-store"}).body == b"answer 1"
    assert cache.stored(target) in (old, None)


def test_no_store_is_answered_from_store(cache, aged):
    """5.2.1.5 applies to storing; a page stored before may answer."""
    assert cache.get(aged(), {"Cache-Control": "no-store"}).body == b"stored"


def test_no_cache_asks_with_the_stored_validators(cache, aged):
    target = aged("/revalidate/", headers=[("ETag", '"1"')])
    cache.answers(status="304 Not Modified", headers=[("ETag", '"1"'), LIFETIME])
    response = cache.get(target, {"Cache-Control": "no-cache"})
    assert response.body == b"stored" and response.status == 200
    assert cache.asked(target)[0].header("If-None-Match") == '"1"'
    assert cache.get(target).header("Age") in ("0", "1", "2")


def test_pragma_no_cache_without_cache_control(cache, aged):
    """5.4: deprecated; what a client sends to old caches is no harm to a new page."""
    response = cache.get(aged(), {"Pragma": "no-cache"})
    assert response.status == 200 and response.body in (b"stored", b"answer 1")
    assert cache.get(aged(), {"Pragma": "foo"}).body == b"stored"
    both = {"Pragma": "no-cache", "Cache-Control": "max-age=3600"}
    assert cache.get(aged(), both).body == b"stored", "Pragma is ignored beside Cache-Control"
