"""What was purged while a page was made is not stored."""

import threading
import time

import pytest

from nginx_redis_cache import entry, purge
from nginx_redis_cache.conf import get_settings
from nginx_redis_cache.render import Mark, store_of
from nginx_redis_cache.store import TOMBSTONE, Page

pytestmark = pytest.mark.usefixtures("explained")


@pytest.fixture
def store(redis):
    return store_of(Mark(), get_settings())


def header(name):
    return None


KEY = b"page:http://testserver/k"


def test_a_fill_over_nothing(redis, store):
    seen = store.observe(KEY)
    assert store.fill(KEY, seen, Page(b"one", 5000), header) == "stored"
    assert redis.get(KEY) == b"one"
    assert 4000 < redis.pttl(KEY) <= 5000


def test_the_first_of_two_writers_wins(redis, store):
    seen = store.observe(KEY)
    assert store.fill(KEY, seen, Page(b"one", 5000), header) == "stored"
    assert store.fill(KEY, seen, Page(b"two", 5000), header) == "raced"
    assert redis.get(KEY) == b"one"


@pytest.mark.parametrize(
    "there",
    [
        entry.Tombstone.new().encoded(),
        entry.page(200, "OK", [], entry.Facts(0, 1), b"expired"),
        entry.page(200, "OK", [], entry.Facts(0, 1), b"x" * 5000),
        b"whatever",
    ],
    ids=["tombstone", "page", "large page", "other"],
)
def test_a_fill_over_what_was_seen(redis, store, there):
    redis.set(KEY, there, px=10_000)
    seen = store.observe(KEY)
    assert store.fill(KEY, seen, Page(b"new", 5000), header) == "stored"
    assert redis.get(KEY) == b"new"


@pytest.mark.parametrize("change", ["other", "longer", "gone", "purged"])
def test_no_fill_over_what_came_meanwhile(redis, store, change):
    redis.set(KEY, b"x" * 2000)
    seen = store.observe(KEY)
    if change == "other":
        redis.set(KEY, b"y" + b"x" * 1999)
    elif change == "longer":
        redis.append(KEY, b"x")
    elif change == "gone":
        redis.unlink(KEY)
    else:
        store.purge([KEY])
    before = redis.get(KEY)
    assert store.fill(KEY, seen, Page(b"late", 5000), header) == "raced"
    assert redis.get(KEY) == before


def test_two_tombstones_are_not_the_same(redis, store):
    store.purge([KEY])
    seen = store.observe(KEY)
    store.purge([KEY])
    assert store.fill(KEY, seen, Page(b"late", 5000), header) == "raced"
    assert isinstance(entry.decode(redis.get(KEY)), entry.Tombstone)
    assert TOMBSTONE - 1000 < redis.pttl(KEY) <= TOMBSTONE


@pytest.mark.parametrize("target", ["/slow/", "/slow-async/"])
def test_a_page_that_was_purged_while_it_was_made(site, redis, target):
    assert site.get(target)["X-Redis-Cache-Store"] == "raced"
    assert isinstance(entry.decode(redis.get(site.key(target))), entry.Tombstone)


def test_the_next_page_after_a_purge_is_stored(site, redis):
    site.get("/page/")
    assert purge("http://testserver/page/") == 1
    response = site.get("/page/")
    assert response["X-Redis-Cache-Store"] == "stored"
    assert redis.get(site.key("/page/")).endswith(response.content)


def test_an_expired_page_is_replaced(site, redis):
    stored = int(time.time() * 1000) - 2000
    redis.set(site.key("/page/"), entry.page(200, "OK", [], entry.Facts(stored, 1000), b"old"))
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert redis.pttl(site.key("/page/")) > 0


def test_without_the_right_to_run_scripts(redis, redis_server, settings):
    redis.acl_setuser("noscript", enabled=True, nopass=True, keys=["*"], reset=True,
                      commands=["+@all", "-@scripting"])  # fmt: skip
    url = f"redis://noscript:x@127.0.0.1:{redis_server.port}/{redis_server.db}"
    settings.NGINX_REDIS_CACHE = {"URL": url}
    store = store_of(Mark(), get_settings())
    store.purge([KEY])
    assert store.fill(KEY, store.observe(KEY), Page(b"new", 5000), header) == "stored"
    assert redis.get(KEY) == b"new"
    assert redis.pttl(KEY) > 0


def test_writers_and_purges_at_a_time_leave_nothing_old(store, redis):
    """The version that is current when a page begins to be made is in it; after the last purge
    no older one may be found."""
    current = 0
    over = threading.Event()
    stored = []

    def writer():
        while not over.is_set():
            seen = store.observe(KEY)
            version = current
            time.sleep(0.0005)
            stored.append(store.fill(KEY, seen, Page(b"%d" % version, 60_000), header))

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    found = []
    for _ in range(200):
        current += 1
        store.purge([KEY])
        time.sleep(0.002)
        value = redis.get(KEY)
        if not isinstance(entry.decode(value), entry.Tombstone):
            found.append(int(value) - current)
    over.set()
    for thread in threads:
        thread.join()
    assert found
    assert set(found) == {0}
    assert {"stored", "raced"} <= set(stored)
