"""Storing, revalidating and invalidating under load: pages that change all the time, clients that
come, go and leave in the middle. While Redis is well, nobody ever gets a page older than a change
that was answered before the request began; whatever happens, nobody gets another page or an error.

SOAK=full (`make soak`) runs the long form; `make test` the short one.
"""

import os
import signal
import subprocess
import time

import pytest
from support.memory import resident
from support.ports import wait_for
from support.visitors import PADDING, Site, Visitors

pytestmark = pytest.mark.engines("event", "blocking")

FULL = os.environ.get("SOAK") == "full"
SECONDS = 120 if FULL else 3

REVALIDATE = "redis_cache_revalidate on;"
# Pages of seconds ago are sent, and fetched by requests that are nobody's. What was changed is gone.
STALE = (
    f"{REVALIDATE} redis_cache_use_stale updating error timeout http_503; redis_cache_refresh_early on;"
    "redis_cache_compress gzip min_length=0 types=*;"
)


@pytest.fixture
def site(origin):
    return Site(origin)


@pytest.fixture(params=[REVALIDATE, STALE], ids=["fresh", "stale"])
def rules(request):
    return request.param


@pytest.fixture
def nginx(store, rules):
    # A cached variant may be as old as its lifetime; revalidation and tombstones work on all.
    return store(f"{rules} redis_cache_breaker fails=5 timeout=100ms;", workers=2)


def check(visitors, hits=True):
    assert not visitors.wrong, visitors.wrong[:5]
    assert visitors.reads > 50
    assert visitors.hits or not hits


def test_changes_are_seen_at_once(nginx, site, rules):
    with Visitors(nginx, site) as visitors:
        time.sleep(SECONDS)
    check(visitors)
    reasons = " ".join(nginx.access_log())
    assert ("r=revalidating" in reasons) == (rules == STALE)


def test_reloads(nginx, site):
    with Visitors(nginx, site) as visitors:
        for _ in range(round(SECONDS * 2)):
            time.sleep(0.5)
            nginx.reload()
    # A connection that is idle when its worker exits is closed, as with any nginx.
    visitors.wrong = [entry for entry in visitors.wrong if not isinstance(entry[1], str)]
    check(visitors)
    wait_for(lambda: len(nginx.workers()) == 2, "old workers to end", 20)


@pytest.mark.parametrize("fault", ["killed", "paused"])
def test_redis_that_fails(nginx, site, redis, fault):
    """A page whose invalidation was lost stays until it is no longer fresh."""
    with Visitors(nginx, site, strict=False) as visitors:
        for _ in range(max(2, round(SECONDS / 2))):
            time.sleep(0.4)
            if fault == "killed":
                redis.kill()
                time.sleep(0.3)
                redis.start()
            else:
                redis.pause()
                time.sleep(0.4)
                redis.resume()
    check(visitors)
    for n in range(len(site.versions)):
        wait_for(lambda n=n: newest(nginx, site, n), f"the newest version of /{n}", 10)


def newest(nginx, site, n):
    wanted = site.page(n, site.versions[n])
    return all(nginx.get(f"/{n}", {"X-Kind": kind}).body == wanted for kind in "ab")


def test_a_worker_killed(store, site, rules):
    nginx = store(rules, workers=2, allow_alerts=True)
    with Visitors(nginx, site, strict=False) as visitors:
        for _ in range(max(2, SECONDS // 2)):
            time.sleep(0.4)
            os.kill(nginx.workers()[0], signal.SIGKILL)
            wait_for(lambda: len(nginx.workers()) == 2, "a new worker")
    visitors.wrong = [entry for entry in visitors.wrong if not isinstance(entry[1], str)]
    check(visitors)


def test_memory_stays_flat(store, raw_origin):
    """Every request is a miss that is stored."""
    head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 3000\r\n\r\n"
    raw_origin.keeps_open = True
    raw_origin.answer = lambda asked: head + PADDING
    nginx = store(
        "redis_cache_key $request_id prefix=page:;",
        app='proxy_http_version 1.1; proxy_set_header Connection "";',
        url=raw_origin.url,
        http="keepalive_requests 10000000;",
    )

    def burst():
        command = ["wrk", "-t1", "-c16", f"-d{max(2, SECONDS // 10)}s"]
        url = f"http://127.0.0.1:{nginx.port}/p"
        subprocess.run([*command, url], check=True, stdout=subprocess.DEVNULL)

    for _ in range(2):
        burst()
    before = resident(nginx.workers())
    for _ in range(3):
        burst()
    assert resident(nginx.workers()) <= before * 1.15 + 4096
