"""Storing, revalidating and invalidating under load: pages that change all the time, clients that
come, go and leave in the middle. While Redis is well, nobody ever gets a page older than a change
that was answered before the request began; whatever happens, nobody gets another page or an error.

SOAK=full (`make soak`) runs the long form; `make test` the short one.
"""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.raw import Raw, request_bytes

FULL = os.environ.get("SOAK") == "full"
SECONDS = 120 if FULL else 3
PAGES = 8
PADDING = b"." * 3000


class Site:
    """An application whose page `/n` has a version, which POST counts up."""

    def __init__(self, origin):
        self.versions = [0] * PAGES
        self.lock = threading.Lock()
        origin.answer = self.answer

    def answer(self, asked):
        n = int(asked.target.strip("/"))
        if asked.method == "POST":
            with self.lock:
                self.versions[n] += 1
            return Answer(b"done", headers=[("Content-Type", "text/plain")])
        version = self.versions[n]
        # A slow render of old data is what an invalidation has to win against.
        time.sleep(random.choice([0, 0, 0.003]))
        tag = f'"{n}-{version}"'
        headers = [("ETag", tag), ("Cache-Control", f"max-age={n % 3}"), ("Vary", "X-Kind")]
        if asked.header("If-None-Match") == tag:
            return Answer(b"", 304, headers)
        return Answer(b"page %d version %d" % (n, version) + PADDING, headers=headers)


@dataclass
class Visitors:
    """Threads that read and change pages until the end of the block, and judge what they get."""

    nginx: object
    site: Site
    threads: int = 6
    strict: bool = True
    wrong: list = field(default_factory=list)
    reads: int = 0
    hits: int = 0

    def __post_init__(self):
        self.over = threading.Event()
        # The version of a page of which a client has been told that it is there.
        self.told = [0] * PAGES
        self.running = [
            threading.Thread(target=self._visit, args=(seed,)) for seed in range(self.threads)
        ]

    def __enter__(self):
        for thread in self.running:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.running:
            thread.join()

    def _visit(self, seed):
        rng = random.Random(seed)
        client = self.nginx.client()
        while not self.over.is_set():
            n, what = rng.randrange(PAGES), rng.random()
            try:
                if what < 0.05:
                    self._change(client, n)
                elif what < 0.1:
                    self._leave(n)
                else:
                    self._read(client, n, {"X-Kind": rng.choice("ab")})
            except Exception as error:  # noqa: BLE001: whatever a client may see is counted
                self.wrong.append((n, repr(error)))
                client.close()
        client.close()

    def _change(self, client, n):
        before = self.site.versions[n]
        response = client.request("POST", f"/{n}", body=b"x")
        if (response.status, response.body) != (200, b"done"):
            self.wrong.append((n, response))
        with self.site.lock:
            self.told[n] = max(self.told[n], before + 1)

    def _leave(self, n):
        with contextlib.suppress(OSError), Raw(self.nginx.port) as raw:
            raw.send(request_bytes(f"/{n}", host=f"127.0.0.1:{self.nginx.port}"))

    def _read(self, client, n, headers):
        least = self.told[n]
        response = client.get(f"/{n}", headers)
        self.reads += 1
        self.hits += (response.cache or ("",))[0] == "hit"
        start, _, rest = response.body.partition(b" version ")
        version = int(rest.removesuffix(PADDING)) if rest.endswith(PADDING) else -1
        too_old = self.strict and version < least
        if response.status != 200 or start != b"page %d" % n or version < 0 or too_old:
            self.wrong.append((n, least, response.status, response.cache, response.body[:40]))


@pytest.fixture
def site(origin):
    return Site(origin)


@pytest.fixture
def nginx(store):
    # A cached variant may be as old as its lifetime; revalidation and tombstones work on all.
    return store("redis_cache_revalidate on; redis_cache_breaker fails=5 timeout=100ms;", workers=2)


def check(visitors, hits=True):
    assert not visitors.wrong, visitors.wrong[:5]
    assert visitors.reads > 50
    assert visitors.hits or not hits


def test_changes_are_seen_at_once(nginx, site):
    with Visitors(nginx, site) as visitors:
        time.sleep(SECONDS)
    check(visitors)


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
    for n in range(PAGES):
        wait_for(lambda n=n: newest(nginx, site, n), f"the newest version of /{n}", 10)


def newest(nginx, site, n):
    wanted = b"page %d version %d" % (n, site.versions[n]) + PADDING
    return all(nginx.get(f"/{n}", {"X-Kind": kind}).body == wanted for kind in "ab")


def test_a_worker_killed(store, site):
    nginx = store("redis_cache_revalidate on;", workers=2, allow_alerts=True)
    with Visitors(nginx, site, strict=False) as visitors:
        for _ in range(max(2, SECONDS // 2)):
            time.sleep(0.4)
            os.kill(nginx.workers()[0], signal.SIGKILL)
            wait_for(lambda: len(nginx.workers()) == 2, "a new worker")
    visitors.wrong = [entry for entry in visitors.wrong if not isinstance(entry[1], str)]
    check(visitors)


def memory(nginx) -> int:
    total = 0
    for pid in nginx.workers():
        with open(f"/proc/{pid}/status") as status:
            total += int(status.read().split("VmRSS:")[1].split()[0])
    return total


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
    before = memory(nginx)
    for _ in range(3):
        burst()
    assert memory(nginx) <= before * 1.15 + 4096
