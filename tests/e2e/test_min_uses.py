"""redis_cache_min_uses: a page that is asked for once costs Redis its lookup and nothing else."""

import pytest
from support.pages import settled
from support.stored import fresh_line, key_of, page


@pytest.fixture(autouse=True)
def _cacheable(cacheable):
    pass


def test_the_second_use_stores(store, origin, redis, stored):
    nginx = store("redis_cache_min_uses 2;")
    first = settled(nginx, "/p")
    assert first.cache == ("fwd=uri-miss", "absent/min_uses")
    assert stored(nginx, "/p") is None
    with redis.client() as client:
        assert client.info("commandstats").get("cmdstat_set") is None
        assert client.info("commandstats").get("cmdstat_eval") is None
    assert settled(nginx, "/p").cache == ("fwd=uri-miss", "absent")
    assert settled(nginx, "/p").cache[0] == "hit"
    assert len(origin.requests) == 2


def test_each_page_for_itself(store, stored):
    nginx = store("redis_cache_min_uses 3;")
    for target in ("/a", "/b", "/a", "/b", "/a"):
        assert settled(nginx, target).cache[0] == "fwd=uri-miss"
    assert settled(nginx, "/a").cache[0] == "hit"
    assert stored(nginx, "/b") is None


def test_what_is_stored_has_been_used_enough(store, origin, redis):
    """An expired page is filled at once."""
    nginx = store("redis_cache_min_uses 100; redis_cache_revalidate on;")
    redis.set(key_of(nginx, "/p"), page("old", line=fresh_line(1000, age=60)))
    assert settled(nginx, "/p").cache == ("fwd=stale", "stale")
    assert settled(nginx, "/p").cache[0] == "hit"


def test_the_workers_count_together(store, origin):
    nginx = store("redis_cache_min_uses 8;", workers=2)
    while settled(nginx, "/p").cache[0] != "hit":
        assert len(origin.requests) < 9
    assert len(origin.requests) == 8


def test_counts_outlive_a_reload(store, origin):
    nginx = store("redis_cache_min_uses 2;")
    settled(nginx, "/p")
    old = nginx.workers()
    nginx.reload()
    while set(nginx.workers()) & set(old):
        pass
    assert settled(nginx, "/p").cache[1] == "absent"
    assert settled(nginx, "/p").cache[0] == "hit"


def test_an_application_that_stores(serve, origin):
    """It is told the key when the page was asked for often enough."""
    nginx = serve("redis_cache_min_uses 2;")
    told = []
    for _ in range(3):
        nginx.get("/p")
        told.append(origin.last.header("X-Redis-Cache-Key"))
    assert told == [None, key_of(nginx, "/p"), key_of(nginx, "/p")]


@pytest.mark.parametrize("value", ["0", "101", "-1", "x", ""])
def test_bad_values(check, value):
    passed, said = check(f"redis_cache_min_uses {value};")
    assert not passed and "redis_cache_min_uses" in said
