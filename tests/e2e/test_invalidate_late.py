"""An invalidation that Redis was not there for is carried out when it is back, before anything
else is asked on its connection."""

import itertools
import os
import signal
import time

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.stored import key_of

pytestmark = pytest.mark.engines("event", "blocking")

LASTING = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=3600")]
QUICK = """
    redis_cache_breaker fails=2 timeout=200ms; redis_cache_connections 1;
    redis_cache_timeout 300ms; redis_cache_connect_timeout 300ms;
"""


@pytest.fixture
def versions(origin):
    """An application whose pages have a number that every POST raises."""
    version = itertools.count(1)
    now = [0]

    def answer(asked):
        if asked.method == "POST":
            now[0] = next(version)
        return Answer(b"version %d" % now[0], headers=LASTING)

    origin.answer = answer


@pytest.fixture
def nginx(store, io, versions):
    if io == "blocking":
        pytest.skip("a blocking write that fails is dropped")
    return store(QUICK)


def stored(nginx, redis):
    assert nginx.get("/p").body == b"version 0"
    wait_for(lambda: redis.client().get(key_of(nginx, "/p")), "the page in Redis")
    assert nginx.get("/p").cache[0] == "hit"


@pytest.mark.parametrize("out", ["paused", "stopped for so long that the breaker opens"])
def test_a_server_that_comes_back_with_its_data(nginx, redis, out):
    stored(nginx, redis)
    redis.pause()
    if out != "paused":
        for n in range(4):
            assert nginx.get(f"/other{n}").status == 200
    assert nginx.request("POST", "/p", body=b"x").body == b"version 1"
    assert any("an invalidation is late" in line for line in nginx.warnings())
    redis.resume()
    wait_for(lambda: b"gone=" in redis.client().get(key_of(nginx, "/p")), "the tombstone")
    assert nginx.get("/p").body == b"version 1"


def test_no_old_page_in_between(nginx, redis):
    """Whatever is asked when Redis is back comes behind the invalidation."""
    stored(nginx, redis)
    redis.pause()
    assert nginx.request("POST", "/p", body=b"x").body == b"version 1"
    redis.resume()
    for _ in range(200):
        assert nginx.get("/p").body == b"version 1"


def test_a_server_that_loads_its_old_data(nginx, redis):
    stored(nginx, redis)
    redis.client().save()
    redis.stop(signal.SIGKILL)
    for n in range(3):
        body = nginx.request("POST", "/p", body=b"x").body
        assert body == b"version %d" % (n + 1)
    redis.start()
    wait_for(lambda: b"gone=" in redis.client().get(key_of(nginx, "/p")), "the tombstone")
    assert nginx.get("/p").body == b"version 3"


def test_a_worker_that_ends_does_not_wait_for_it(nginx, redis):
    stored(nginx, redis)
    redis.pause()
    assert nginx.request("POST", "/p", body=b"x").body == b"version 1"
    before = nginx.workers()
    nginx.reload()
    wait_for(lambda: not set(before) & set(nginx.workers()), "the old workers to end", 5)
    redis.resume()


@pytest.fixture
def workers(store, io, versions):
    """An nginx of two workers; who comes anew gets to any of them."""
    if io == "blocking":
        pytest.skip("a blocking write that fails is dropped")
    return store(QUICK, workers=2, allow_alerts=True)


def every_worker(nginx, target="/p", count=20):
    """The answers to clients that come one by one, each on a connection of its own."""
    answers = []
    for _ in range(count):
        with nginx.client() as client:
            answers.append(client.get(target))
    return answers


def test_no_worker_looks_the_page_up_meanwhile(workers, redis):
    nginx = workers
    stored(nginx, redis)
    every_worker(nginx)
    redis.pause()
    assert nginx.request("POST", "/p", body=b"x").body == b"version 1"
    answers = every_worker(nginx)
    assert {answer.body for answer in answers} == {b"version 1"}
    assert {answer.cache for answer in answers} == {("fwd=miss", "pending/fault")}
    redis.resume()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        answers = every_worker(nginx)
        assert {answer.body for answer in answers} == {b"version 1"}
    assert ("hit", "fresh") in {answer.cache for answer in answers}


def test_other_pages_are_looked_up_meanwhile(workers, redis):
    nginx = workers
    stored(nginx, redis)
    nginx.get("/other")
    wait_for(lambda: redis.client().get(key_of(nginx, "/other")), "the page in Redis")
    redis.pause()
    nginx.request("POST", "/p", body=b"x")
    redis.resume()
    wait_for(lambda: nginx.get("/other").cache == ("hit", "fresh"), "a hit", 1)


def test_a_worker_that_dies_leaves_nothing_behind(workers, redis):
    """Its late invalidations are lost with it, and nobody waits for them."""
    nginx = workers
    stored(nginx, redis)
    redis.pause()
    nginx.request("POST", "/p", body=b"x")
    for pid in nginx.workers():
        os.kill(pid, signal.SIGKILL)
    redis.resume()
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", 5)
