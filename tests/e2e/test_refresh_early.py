"""redis_cache_refresh_early and redis_cache_jitter: pages are fetched before they are no longer fresh, and
do not expire together."""

import re
import time

from support.origin import Answer
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

HTML = ("Content-Type", "text/html; charset=utf-8")
EARLY = "redis_cache_refresh_early on;"


def put(redis, nginx, left, took=10_000, target="/p"):
    """A page of 100 s of which so many milliseconds are left."""
    line = fresh_line(fresh=100_000, age=(100_000 - left) / 1000, extra=f", took={took}")
    redis.set(key_of(nginx, target), page(b"old", headers=[HTML, ("ETag", '"1"')], line=line))


def answers(origin):
    headers = [HTML, ("Cache-Control", "max-age=100"), ("ETag", '"2"')]
    origin.answer = lambda asked: Answer(b"new", headers=headers)


def hit(nginx, target="/p"):
    response = nginx.get(target)
    assert response.cache == ("hit", "fresh"), response.header("Cache-Status")
    return response.body


def test_it_is_fetched_before_it_is_stale(store, origin, redis):
    answers(origin)
    nginx = store(EARLY)
    put(redis, nginx, left=8000)
    wait_for(lambda: hit(nginx) == b"new", "the new page", 7)
    assert len(origin.requests) == 1
    assert "s=EXPIRED r=refresh" in "\n".join(nginx.access_log())
    for _ in range(50):
        assert hit(nginx) == b"new"
    assert len(origin.requests) == 1


def test_not_while_much_is_left_nor_without_the_directive(store, origin, redis):
    answers(origin)
    early, plain = store(EARLY), store()
    put(redis, early, left=25_000)
    put(redis, early, left=8000, took=1, target="/quick")
    put(redis, plain, left=8000)
    for _ in range(100):
        assert {hit(early), hit(early, "/quick"), hit(plain)} == {b"old"}
    assert origin.requests == []


def test_the_application_confirms_it(store, origin, redis):
    nginx = store(f"{EARLY} redis_cache_revalidate on;")
    put(redis, nginx, left=8000)
    confirms = [("ETag", '"1"'), ("Cache-Control", "max-age=200")]
    origin.answer = lambda asked: Answer(status=304, headers=confirms)

    def is_longer():
        assert hit(nginx) == b"old"
        return int(re.search(r"ttl=(\d+)", nginx.get("/p").header("Cache-Status"))[1]) > 150

    wait_for(is_longer, "a longer life", 7)
    assert [asked.header("If-None-Match") for asked in origin.requests] == ['"1"']
    with redis.client() as client:
        assert b", took=10000" in client.get(key_of(nginx, "/p"))


def test_how_long_it_took_is_stored(store, origin, stored):
    def answer(asked):
        time.sleep(0.2)
        return Answer(b"new", headers=[HTML, ("Cache-Control", "max-age=100")])

    origin.answer = answer
    nginx, plain = store(EARLY), store()
    nginx.get("/p")
    assert 200 <= int(re.search(rb", took=(\d+)", stored(nginx, within=5))[1]) < 10_000
    plain.get("/p")
    assert b"took" not in stored(plain, within=5)


def test_lifetimes_are_spread(store, origin, stored):
    control = "max-age=100, stale-if-error=50"
    origin.answer = lambda asked: Answer(b"x", headers=[HTML, ("Cache-Control", control)])
    nginx = store("redis_cache_jitter 50%;")
    lives = []
    for n in range(20):
        response = nginx.get(f"/{n}")
        assert response.header("Cache-Control") == control
        lives.append(int(re.search(rb"fresh=(\d+)", stored(nginx, f"/{n}", within=5))[1]))
    assert 50_000 <= min(lives) < 80_000 < max(lives) <= 100_000
    assert len(set(lives)) > 15


def test_values(check, redis):
    location = f"location / {{ redis_cache {redis.url}; DIRECTIVE proxy_pass http://127.0.0.1:1; }}"
    for words, passes in [
        ("redis_cache_jitter 0;", True),
        ("redis_cache_jitter 50%;", True),
        ("redis_cache_jitter 51%;", False),
        ("redis_cache_refresh_early maybe;", False),
        ("redis_cache_background_limit 1001;", False),
        ("redis_cache_lock_timeout 11m;", False),
        ("redis_cache_lock_age 0;", False),
    ]:
        passed, said = check(location.replace("DIRECTIVE", words))
        assert passed == passes, said
