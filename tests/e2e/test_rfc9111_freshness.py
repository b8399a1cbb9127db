"""RFC 9111 sections 4.2.1 to 4.2.3 and 5.3: s-maxage over max-age over Expires over the
configuration, counted from the age that an answer arrives with; X-Accel-Expires; section 4.2.4:
nothing stale is sent."""

import time

import pytest
from support.site import http_date, site
from support.stored import fresh_line, key_of, page

PLACES = {
    "/valid/": "redis_cache_valid 1h;",
    "/zero/": "redis_cache_valid 0s;",
    "/ignore/": "redis_cache_ignore_headers Cache-Control Expires X-Accel-Expires; redis_cache_valid 1h;",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with site(tmp_path_factory.mktemp("site"), PLACES) as cache:
        yield cache


def fields(**values):
    return [(name.replace("_", "-"), value) for name, value in values.items()]


def lifetime(cache, headers, place="/"):
    """The ttl of Cache-Status on a hit, or None where the answer is not reused."""
    _, second, count = cache.twice(headers, place=place)
    parts = second.header("Cache-Status").split("; ")
    ttls = [int(part[4:]) for part in parts if part.startswith("ttl=")]
    return ttls[0] if count == 1 else None


def about(seconds):
    return range(seconds - 3, seconds + 1)


FUTURE, PAST = 5000, -5000

RANKS = [
    (fields(Cache_Control="max-age=100"), 100),
    (fields(Cache_Control="s-maxage=200, max-age=100"), 200),
    (fields(Cache_Control="max-age=300, s-maxage=200"), 200),
    (fields(Cache_Control="max-age=100", Expires=FUTURE), 100),
    (fields(Cache_Control="max-age=100", Expires=PAST), 100),
    (fields(Cache_Control="s-maxage=200", Expires=PAST), 200),
    (fields(Cache_Control="max-age=0", Expires=FUTURE), None),
    (fields(Cache_Control="s-maxage=0, max-age=100", Expires=FUTURE), None),
    (fields(Cache_Control="public", Expires=FUTURE), 5000),
    (fields(Expires=FUTURE), 5000),
    (fields(Expires=PAST), None),
    (fields(Cache_Control="max-age=100", Expires="0"), 100),
    (fields(X_Accel_Expires="400", Cache_Control="max-age=100"), 400),
    (fields(X_Accel_Expires="400", Expires=PAST), 400),
    (fields(X_Accel_Expires="0", Cache_Control="max-age=100"), None),
    (fields(X_Accel_Expires="x", Cache_Control="max-age=100"), 100),
]


@pytest.mark.parametrize(("headers", "expected"), RANKS)
def test_the_first_source_of_a_lifetime_counts(cache, headers, expected):
    headers = [(n, http_date(v) if isinstance(v, int) else v) for n, v in headers]
    ttl = lifetime(cache, headers)
    assert ttl == expected if expected is None else ttl in about(expected)


@pytest.mark.parametrize(("headers", "expected"), RANKS)
def test_the_lifetime_of_the_configuration_comes_last(cache, headers, expected):
    headers = [(n, http_date(v) if isinstance(v, int) else v) for n, v in headers]
    ttl = lifetime(cache, headers, "/valid/")
    assert ttl == expected if expected is None else ttl in about(expected)


def test_where_nothing_says_a_lifetime_the_configuration_does(cache):
    assert lifetime(cache, [], "/valid/") in about(3600)
    assert lifetime(cache, fields(Cache_Control="public"), "/valid/") in about(3600)
    assert lifetime(cache, [], "/zero/") is None
    assert lifetime(cache, fields(Cache_Control="max-age=100"), "/zero/") in about(100)


def test_an_absolute_x_accel_expires(cache):
    at = fields(X_Accel_Expires=f"@{int(time.time()) + 400}")
    assert lifetime(cache, at) in about(400)
    assert lifetime(cache, fields(X_Accel_Expires=f"@{int(time.time()) - 1}")) is None


def test_x_accel_expires_is_neither_sent_nor_stored(cache):
    cache.answers(fields(X_Accel_Expires="400"))
    target = cache.target()
    for _ in range(2):
        assert cache.get(target).header("X-Accel-Expires") is None
    assert b"x-accel" not in cache.stored(target).lower()


def test_ignored_fields_do_not_count(cache):
    for headers in [fields(Cache_Control="max-age=5"), fields(Cache_Control="no-store"),
                    fields(Expires="0"), fields(X_Accel_Expires="0")]:  # fmt: skip
        assert lifetime(cache, headers, "/ignore/") in about(3600), headers


AGED = [
    (fields(Cache_Control="max-age=3600", Age="3500"), 100),
    (fields(Cache_Control="max-age=3600", Age="3600"), None),
    (fields(Cache_Control="max-age=3600", Age="7200"), None),
    (fields(Cache_Control="s-maxage=7200, max-age=1", Age="3600"), 3600),
    (fields(Cache_Control="max-age=3600", Date=-3500), 100),
    (fields(Cache_Control="max-age=3600", Date=-7200), None),
    (fields(Cache_Control="max-age=3600", Date=-100, Age="3500"), 100),
    (fields(Cache_Control="max-age=3600", Date=-3500, Age="100"), 100),
    (fields(Cache_Control="max-age=3600", Date=+7200), 3600),
    (fields(Date=-100, Expires=+100), 100),
    (fields(Date=-200, Expires=-100), None),
    (fields(Date=+7200, Expires=+3600), None),
    (fields(Date=0, Expires=0), None),
    (fields(Date=0, Expires=3600, Age="3600"), None),
    (fields(Date=0, Expires=3600, Age="3500"), 100),
    (fields(Date="no date", Expires=3600), 3600),
    (fields(Date="no date", Cache_Control="max-age=3600"), 3600),
    (fields(Date=None, Expires=3600), 3600),
    (fields(Date=None, Cache_Control="max-age=3600", Age="3500"), 100),
    (fields(Expires=3600, Age="4000", Cache_Control="max-age=5000"), 1000),
]


@pytest.mark.parametrize(("headers", "expected"), AGED)
def test_the_age_that_an_answer_arrives_with_counts(cache, headers, expected):
    """4.2.3: the larger of Age and of what Date tells; Expires counts from Date."""
    headers = [(n, http_date(v) if isinstance(v, int) else v) for n, v in headers]
    ttl = lifetime(cache, headers)
    assert ttl == expected if expected is None else ttl in about(expected)


@pytest.mark.parametrize("control", ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1",
                                     "stale-while-revalidate=60", "stale-if-error=60", "public"])  # fmt: skip
@pytest.mark.parametrize("status", ["200 OK", "500 X", "503 X"])
def test_nothing_stale_is_sent(cache, control, status):
    """4.2.4: stale only where it is allowed, and never with must-revalidate or s-maxage."""
    target = cache.target()
    stale = page(b"stale", headers=[("Cache-Control", control)], line=fresh_line(1000, age=9))
    cache.redis.set(key_of(cache.nginx, target), stale)
    cache.answers(status=status)
    response = cache.get(target)
    assert response.status == int(status[:3])
    assert response.body == b"answer 1"


@pytest.mark.parametrize(
    "control", ["max-age=60, must-revalidate", "s-maxage=60, proxy-revalidate"]
)
def test_a_cache_that_cannot_reach_the_application_says_so(cache, control):
    """5.2.2.2: with must-revalidate an error, as 504, and never the stale page."""
    target = cache.target()
    stale = page(b"stale", headers=[("Cache-Control", control)], line=fresh_line(1000, age=9))
    cache.redis.set(key_of(cache.nginx, target), stale)
    cache.origin.answer = lambda asked: b""
    response = cache.get(target)
    assert response.status in (502, 504) and b"stale" not in response.body
