"""What visitors see while something of Redis fails, and how long it takes until they get hits."""

import time
from dataclasses import dataclass
from typing import Callable

from .ports import wait_for
from .visitors import Site, Visitors

AFTERWARDS = 1.0
# So soon after it everybody knows of a failover.
FOLLOWED = 1.0
# Pages that are changed during the fault: what is changed then may be lost with a server.
RESTLESS = frozenset({0, 1})


@dataclass
class Outage:
    """`prepared` waits until what was changed before has reached the replicas, `fault` begins it,
    `recovered` waits until Redis serves all pages again by its own account, `afterwards` puts
    things in order; visitors come all the while. `grace` is in seconds."""

    fault: Callable[[], object]
    recovered: Callable[[], object] = lambda: None
    afterwards: Callable[[], object] = lambda: None
    prepared: Callable[[], object] = lambda: None
    grace: float = 0.0

    def judge(self, nginx, site: Site) -> "Figures":
        pages = range(len(site.versions))
        with Visitors(nginx, site, threads=4, restless=RESTLESS, grace=self.grace) as visitors:
            hits = lambda since: {n for when, n in visitors.seen if when >= since}  # noqa: E731
            started = time.monotonic()
            wait_for(lambda: len(hits(started)) == len(pages), "hits of all pages")
            visitors.trouble.set()
            # Changes that had begun by then are answered.
            time.sleep(0.2)
            self.prepared()
            reads, sent = visitors.reads, visitors.hits
            began = time.monotonic()
            self.fault()
            self.recovered()
            back = time.monotonic()
            during = Share(visitors.reads - reads, visitors.hits - sent)
            wait_for(lambda: len(hits(back)) == len(pages), "hits of all pages again", 20)
            seen = list(visitors.seen)
            # A primary that was failed over goes on for a moment, and what it is told is lost.
            time.sleep(max(0, back + FOLLOWED - time.monotonic()))
            visitors.trouble.clear()
            self.afterwards()
            time.sleep(AFTERWARDS)
        first = max(min(when for when, n in seen if n == page and when >= back) for page in pages)
        return Figures(visitors, back - began, first - back, during)


@dataclass
class Share:
    reads: int
    hits: int

    @property
    def of_all(self) -> float:
        return self.hits / self.reads if self.reads else 0.0

    def __str__(self):
        return f"{100 * self.of_all:.0f} %" if self.reads else "-"


@dataclass
class Figures:
    """`recovery` is Redis's own, `until_hits` what nginx took after it, both in seconds; `during`
    is of the time until that recovery."""

    visitors: Visitors
    recovery: float
    until_hits: float
    during: Share


def row(outages: list[Figures]) -> dict[str, str]:
    """The worst that was seen, of an outage or of several, as cells of a table."""
    share = min((one.during for one in outages), key=lambda during: during.of_all)
    return {
        "Redis's own recovery": f"{max(one.recovery for one in outages):.2f} s",
        "hits again after it": f"{max(one.until_hits for one in outages):.2f} s",
        "hits meanwhile": str(share),
        "slowest answer": f"{max(one.visitors.slowest for one in outages):.2f} s",
        "answers": str(sum(one.visitors.reads for one in outages)),
        "wrong": str(sum(len(one.visitors.wrong) for one in outages)),
    }
