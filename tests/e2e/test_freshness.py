"""A page is a hit while it is fresh: by its Redis-Cache line, else by its own Date, Cache-Control
and Expires, else for as long as Redis keeps it."""

import hashlib
import time
from email.utils import formatdate

import pytest
from support.stored import fresh_line, key_of, page


@pytest.fixture
def ask(serve, redis):
    """Stores a page with these headers and Redis-Cache line and asks for it."""
    nginx = serve("redis_cache_status_header on;", app="add_header X-Age $redis_cache_age always;")

    def ask(headers=(), line=None):
        redis.set(key_of(nginx, "/p"), page("stored", headers=headers, line=line))
        return nginx.get("/p")

    return ask


def ago(seconds):
    return formatdate(time.time() - seconds, usegmt=True)


def test_the_line(ask):
    response = ask(line=fresh_line(fresh=60_000, age=10))
    assert response.body == b"stored" and response.header("Age") in ("10", "11")
    response = ask(line=fresh_line(fresh=60_000, age=60))
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=stale", "stale"))
    assert ask(line=fresh_line(fresh=0)).cache == ("fwd=stale", "stale")


def test_the_line_of_a_clock_that_is_ahead(ask):
    response = ask(line=fresh_line(fresh=5_000, age=-100))
    assert (response.body, response.header("Age")) == (b"stored", "0")


def test_the_line_counts_before_the_fields(ask):
    headers = [("Cache-Control", "max-age=0, no-cache, private"), ("Expires", "0"), ("Age", "999")]
    response = ask(headers, fresh_line(fresh=60_000))
    assert (response.body, response.all("Age")) == (b"stored", ["0"])
    assert ask([("Cache-Control", "max-age=999")], fresh_line(fresh=1, age=9)).cache[1] == "stale"


def test_unknown_members_of_the_line_do_not_matter(ask):
    extra = ', swr=1000, sie=1000, tags=("a" "b"), new=?1, other;x=1'
    assert ask(line=fresh_line(extra=extra)).body == b"stored"


def test_a_page_that_says_nothing_is_fresh(ask):
    response = ask()
    assert (response.body, response.header("Age")) == (b"stored", None)


def test_a_date_alone_gives_an_age(ask):
    response = ask([("Date", ago(100))])
    assert response.body == b"stored" and response.header("Age") in ("100", "101", "102")


@pytest.mark.parametrize(
    ("fresh", "fields"),
    [
        (True, {"Cache-Control": "max-age=150"}),
        (False, {"Cache-Control": "max-age=100"}),
        (True, {"Cache-Control": "max-age=1, s-maxage=200"}),
        (False, {"Cache-Control": "max-age=1000, s-maxage=50"}),
        (False, {"Cache-Control": "max-age=200, max-age=20"}),
        (False, {"Cache-Control": "max-age=0"}),
        (False, {"Cache-Control": "max-age=x"}),
        (True, {"Cache-Control": 'MAX-AGE="150"'}),
        (True, {"Cache-Control": 'ext="max-age=0", public'}),
        (True, {"Expires": "50 s from now"}),
        (False, {"Expires": "10 s ago"}),
        (False, {"Expires": "0"}),
        (True, {"Expires": "0", "Cache-Control": "max-age=150"}),
        (False, {"Cache-Control": "max-age=150", "Age": "150"}),
        (True, {"Cache-Control": "max-age=150", "Age": "140"}),
    ],
)  # fmt: skip
def test_the_fields_of_a_page_from_100_seconds_ago(ask, fresh, fields):
    times = {"50 s from now": ago(-50), "10 s ago": ago(10)}
    fields = {name: times.get(value, value) for name, value in fields.items()}
    response = ask([("Date", ago(100)), *fields.items()])
    assert response.cache == (("hit", "fresh") if fresh else ("fwd=stale", "stale"))
    if fresh:
        (age,) = response.all("Age")
        assert int(age) in ((140, 141, 142) if "Age" in fields else (100, 101, 102))


@pytest.mark.parametrize(
    "value",
    ["no-cache", 'No-Cache="set-cookie"', "private", 'PRIVATE="x"', "no-store", "x, private"],
)
def test_pages_that_may_not_be_reused(ask, value):
    response = ask([("Cache-Control", value)])
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=stale", "no_cache"))
    two_lines = [("Cache-Control", "public"), ("Cache-Control", value)]
    assert ask(two_lines).cache == ("fwd=stale", "no_cache")


def test_an_extension_that_looks_like_a_directive(ask):
    assert ask([("Cache-Control", 'x="no-cache, private", no-caches')]).body == b"stored"


def test_the_requests_own_cache_control_does_not_matter(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    for value in ["no-cache", "no-store", "max-age=0", "only-if-cached"]:
        assert nginx.get("/p", {"Cache-Control": value, "Pragma": "no-cache"}).body == b"stored"
    assert nginx.get("/absent", {"Cache-Control": "only-if-cached"}).status == 200


def test_status_and_variables_of_an_expired_page(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line(fresh=1000, age=5)))
    assert nginx.get("/p").body == b"app GET /p"
    assert " s=EXPIRED r=stale " in nginx.logged(1)[0]


def test_a_page_that_redis_forgot_is_a_miss(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("stored"), px=60)
    assert nginx.get("/p").body == b"stored"
    time.sleep(0.1)
    assert nginx.get("/p").body == b"app GET /p"


def test_the_key_before_hashing_is_compared(serve, redis):
    nginx = serve("redis_cache_key $host$uri hash=md5 prefix=p:; redis_cache_status_header on;")
    key = "p:" + hashlib.md5(b"127.0.0.1/a").hexdigest()
    for member, cache in [
        (', key="127.0.0.1/a"', ("hit", "fresh")),
        (', key=:MTI3LjAuMC4xL2E=:', ("hit", "fresh")),
        ("", ("hit", "fresh")),
        (', key="127.0.0.1/b"', ("fwd=uri-miss", "collision")),
        (', key=""', ("fwd=uri-miss", "collision")),
    ]:
        redis.set(key, page("stored", line=fresh_line(extra=member)))
        assert nginx.get("/a").cache == cache, member


def test_an_unhashed_key_is_not_compared(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line(extra=', key="other"')))
    assert nginx.get("/p").body == b"stored"
