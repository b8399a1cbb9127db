"""An application whose pages change, and visitors who read and change them and judge what they get:
never another page, never one that is older than a change they could know of."""

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .origin import Answer
from .raw import Raw, request_bytes

PADDING = b"." * 3000


class Site:
    """Page `/n` has a version, which POST counts up; `lifetime(n)` is its max-age."""

    def __init__(self, origin, pages=8, lifetime=lambda n: n % 3, vary: str | None = "X-Kind"):
        self.versions = [0] * pages
        self.lifetime, self.vary = lifetime, vary
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
        headers = [("ETag", tag), ("Cache-Control", f"max-age={self.lifetime(n)}")]
        if self.vary:
            headers.append(("Vary", self.vary))
        if asked.header("If-None-Match") == tag:
            return Answer(b"", 304, headers)
        return Answer(self.page(n, version), headers=headers)

    @staticmethod
    def page(n, version) -> bytes:
        return b"page %d version %d" % (n, version) + PADDING


@dataclass
class Visitors:
    """Threads that read and change pages until the end of the block, and judge what they get.

    While there is `trouble`, only the pages of `restless` are changed, and nobody relies on that:
    such a change may be lost, and who gets an older page is counted in `behind`. A change counts
    when it is `grace` seconds old: so long a replica may take."""

    nginx: object
    site: Site
    threads: int = 6
    strict: bool = True
    changes: float = 0.05
    leaves: float = 0.05
    restless: frozenset = frozenset()
    grace: float = 0.0
    wrong: list = field(default_factory=list)
    reads: int = 0
    hits: int = 0
    behind: int = 0
    slowest: float = 0.0
    # What became of reads, by status of the cache, and when a page was last and first sent from it.
    kinds: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.over = threading.Event()
        self.trouble = threading.Event()
        self.lock = threading.Lock()
        pages = len(self.site.versions)
        # When a client was told of a version; and the newest that anybody was told of.
        self.told = [[(0.0, 0)] for _ in range(pages)]
        self.done = [0] * pages
        # When each page was sent from Redis, as pairs of time and page.
        self.seen: list[tuple[float, int]] = []
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
            n, what = rng.randrange(len(self.site.versions)), rng.random()
            began = time.monotonic()
            try:
                if what < self.changes:
                    self._change(client, n)
                elif what < self.changes + self.leaves:
                    self._leave(n)
                else:
                    self._read(client, n, {"X-Kind": rng.choice("ab")})
            except Exception as error:  # noqa: BLE001: whatever a client may see is counted
                self.wrong.append((n, repr(error)))
                client.close()
            self.slowest = max(self.slowest, time.monotonic() - began)
        client.close()

    def _change(self, client, n):
        trouble = self.trouble.is_set()
        if trouble and n not in self.restless:
            return
        before = self.site.versions[n]
        response = client.request("POST", f"/{n}", body=b"x")
        if (response.status, response.body) != (200, b"done"):
            self.wrong.append((n, response))
        with self.lock:
            self.done[n] = max(self.done[n], before + 1)
            if not trouble and not self.trouble.is_set() and before + 1 > self.told[n][-1][1]:
                self.told[n].append((time.monotonic(), before + 1))

    def _leave(self, n):
        with contextlib.suppress(OSError), Raw(self.nginx.port) as raw:
            raw.send(request_bytes(f"/{n}", host=f"127.0.0.1:{self.nginx.port}"))

    def _least(self, n) -> int:
        """The oldest version of a page that may be sent to who asks now."""
        until = time.monotonic() - self.grace
        with self.lock:
            return next(version for when, version in reversed(self.told[n]) if when <= until)

    def _read(self, client, n, headers):
        least, done = self._least(n), self.done[n]
        response = client.get(f"/{n}", headers)
        kind = (response.cache or ("",))[0]
        self.reads += 1
        self.kinds[kind] += 1
        if kind == "hit":
            self.hits += 1
            self.seen.append((time.monotonic(), n))
        start, _, rest = response.body.partition(b" version ")
        version = int(rest.removesuffix(PADDING)) if rest.endswith(PADDING) else -1
        too_old = self.strict and version < least
        if response.status != 200 or start != b"page %d" % n or version < 0 or too_old:
            self.wrong.append((n, least, response.status, response.cache, response.body[:40]))
        elif version < done:
            self.behind += 1
