"""RFC 9111 section 4.2.2 and RFC 9110 section 15.1: a lifetime that is estimated from Last-Modified
(redis_cache_heuristic)."""

import pytest
from support.site import LIFETIME, http_date, site

PLACES = {
    "/h/": "redis_cache_heuristic 10%;",
    "/max/": "redis_cache_heuristic 100% max=30s;",
    "/valid/": "redis_cache_heuristic 10%; redis_cache_valid 200 5s; redis_cache_valid 404 0;",
    "/r/": "redis_cache_heuristic 10%; redis_cache_revalidate on;",
    "/ignored/": "redis_cache_heuristic 10%; redis_cache_ignore_headers Cache-Control Expires;",
}
HOUR_AGO = ("Last-Modified", http_date(-3600))
# A machine may take a while from there to the test.
TENTH = range(300, 720)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with site(tmp_path_factory.mktemp("site"), PLACES) as cache:
        yield cache


def ttl(response) -> int:
    assert response.cache == ("hit", "fresh")
    parts = response.header("Cache-Status").split("; ")
    return next(int(part[4:]) for part in parts if part.startswith("ttl="))


def lifetime(cache, headers, status="200 OK", place="/h/"):
    """The lifetime of a page, as a hit says it; `None` where it is not stored."""
    _, second, count = cache.twice(headers, status, place)
    return ttl(second) if count == 1 else None


STATUSES = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
OTHERS = [201, 202, 299, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599]


@pytest.mark.parametrize("status", STATUSES)
def test_a_tenth_of_the_time_since_it_changed(cache, status):
    assert lifetime(cache, [HOUR_AGO], f"{status} X") in TENTH
    assert lifetime(cache, [HOUR_AGO], f"{status} X", "/") is None


@pytest.mark.parametrize("status", OTHERS)
def test_other_statuses_have_to_be_public(cache, status):
    assert lifetime(cache, [HOUR_AGO], f"{status} X") is None
    public = [HOUR_AGO, ("Cache-Control", "public")]
    assert lifetime(cache, public, f"{status} X") in TENTH


@pytest.mark.parametrize("status", [401, 407, 416, 429])
def test_what_is_never_stored_is_not_for_being_public(cache, status):
    public = [HOUR_AGO, ("Cache-Control", "public")]
    assert lifetime(cache, public, f"{status} X") is None


def test_the_longest(cache):
    assert 25 <= lifetime(cache, [HOUR_AGO], place="/max/") <= 30
    assert 86_000 <= lifetime(cache, [("Last-Modified", http_date(-100 * 86_400))]) <= 86_400


def test_it_comes_after_every_other_lifetime(cache):
    assert lifetime(cache, [HOUR_AGO, LIFETIME]) > 3_500
    assert lifetime(cache, [HOUR_AGO, ("Expires", http_date(50))]) <= 50
    assert lifetime(cache, [HOUR_AGO, ("X-Accel-Expires", "50")]) <= 50
    assert lifetime(cache, [HOUR_AGO], place="/valid/") <= 5
    assert lifetime(cache, [HOUR_AGO], "404 X", "/valid/") is None
    assert lifetime(cache, [HOUR_AGO], "410 X", "/valid/") > 300


@pytest.mark.parametrize(
    "more",
    [
        ("Cache-Control", "max-age=0"), ("Cache-Control", "max-age=x"), ("Expires", "0"),
        ("Cache-Control", "no-store"), ("Cache-Control", "private"), ("Cache-Control", "no-cache"),
        ("Set-Cookie", "a=b"), ("Vary", "*"), ("X-Accel-Expires", "0"), ("Age", "1000"),
    ],
)  # fmt: skip
def test_it_lifts_no_prohibition(cache, more):
    assert lifetime(cache, [HOUR_AGO, more]) is None


@pytest.mark.parametrize("modified", [0, 3600, None, "yesterday", ""])
def test_there_has_to_be_a_time_since_it_changed(cache, modified):
    value = http_date(modified) if isinstance(modified, int) else modified
    assert lifetime(cache, [("Last-Modified", value)]) is None


def test_what_is_ignored_states_no_lifetime(cache):
    headers = [HOUR_AGO, ("Cache-Control", "max-age=5"), ("Expires", "0")]
    assert lifetime(cache, headers, place="/ignored/") in TENTH


def test_a_query_makes_no_difference(cache):
    cache.answers([HOUR_AGO])
    target = cache.target("/h/") + "?page=2"
    cache.get(target)
    assert ttl(cache.get(target)) > 300


def test_after_a_304_it_is_estimated_anew(cache):
    """The page is stale at once; Redis keeps it to have it confirmed."""
    target = cache.target("/r/")
    cache.answers([HOUR_AGO, ("Age", "1000")])
    cache.get(target)
    cache.answers([HOUR_AGO], "304 X")
    assert cache.get(target).header("Cache-Status").startswith("nginx-redis-cache; fwd=stale")
    assert ttl(cache.get(target)) in TENTH
    assert len(cache.asked(target)) == 2
