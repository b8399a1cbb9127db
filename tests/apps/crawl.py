"""Anonymous reading: which pages a site has, what it says of each, and what the cache makes of it."""

import difflib
import html
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from support.http import Response

from .recipe import HOST
from .visitor import Visitor

ANALYTICS = {
    "_ga": "GA1.1.1234567890.1760000000",
    "_gid": "GA1.2.987654321.1760000000",
    "_fbp": "fb.0.1760000000000.1234567890",
    "__utmz": "1.1760000000.1.1.utmcsr=(direct)",
}


def links(target: str, page: Response) -> list[str]:
    """Where a crawler goes on from a page: links of this site without nofollow, and where it is
    redirected to."""
    found = [page.header("Location")] if page.header("Location") else []
    if "html" in (page.header("Content-Type") or ""):
        text = page.body.decode(errors="replace")
        if re.search(r"<meta name=[\"']robots[\"'][^>]*nofollow", text):
            return found
        for tag in re.findall(r"<a\s[^>]*>", text):
            if not re.search(r"rel=[\"'][^\"']*nofollow", tag):
                found += re.findall(r"\shref=[\"']([^\"']*)[\"']", tag)
    base = f"http://{HOST}{target}"
    parts = [urlsplit(urljoin(base, html.unescape(link))) for link in found]
    return [
        (part.path or "/") + (f"?{part.query}" if part.query else "")
        for part in parts
        if part.scheme == "http" and part.netloc == HOST
    ]


@dataclass
class Site:
    """What the application itself says; `masks` are what differs from one answer to the next."""

    nginx: object
    masks: list[str] = field(default_factory=list)
    skip: str = "^$"

    def crawl(self, begin: list[str], limit: int) -> dict[str, Response]:
        pages, waiting, visitor = {}, list(begin), Visitor(self.nginx)
        while waiting and len(pages) < limit:
            target = waiting.pop(0)
            if target in pages or re.search(self.skip, target):
                continue
            visitor.cookies.clear()
            pages[target] = visitor.get(target)
            waiting += links(target, pages[target])
        return pages

    def says(self, target: str) -> Response:
        """What a stranger is told without the cache."""
        return Visitor(self.nginx).get(target)

    def masked(self, page: Response) -> tuple:
        body = page.body
        for mask in self.masks:
            body = re.sub(mask.encode(), b"", body)
        return page.status, page.header("Location"), page.header("Content-Type"), body


def difference(one: tuple, other: tuple) -> list[str]:
    def lines(page):
        return [repr(page[:3]), *page[3].decode(errors="replace").splitlines()]

    return list(difflib.unified_diff(lines(one), lines(other), "application", "cache", "", "", 0))


def campaign(target: str) -> str:
    """The target as somebody comes to it from an advertisement: no two are the same."""
    noise = f"utm_source={random.getrandbits(40)}&fbclid={random.getrandbits(60):x}"
    return f"{target}{'&' if '?' in target else '?'}{noise}"


@dataclass
class Seen:
    """One reading of all pages."""

    hits: list[str] = field(default_factory=list)
    misses: dict[str, tuple] = field(default_factory=dict)
    wrong: dict[str, list] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return len(self.hits) / (len(self.hits) + len(self.misses))

    def __str__(self):
        why = Counter(" ".join(reason) for reason in self.misses.values())
        first = "\n".join(next(iter(self.wrong.values()), []))
        count = f"{len(self.hits)} of {len(self.hits) + len(self.misses)} hits, {dict(why)}"
        return f"{count}, {len(self.wrong)} wrong: {list(self.wrong)[:5]}\n{first}"


def read(site: Site, pages: dict[str, Response], nginx, cookies=None, rewrite=lambda t: t) -> Seen:
    """Every page once, with these cookies and no others, compared with what the site says."""
    seen = Seen()
    for target, expected in pages.items():
        page = Visitor(nginx, cookies).get(rewrite(target))
        if page.cache and page.cache[0] == "hit":
            seen.hits.append(target)
        else:
            seen.misses[target] = page.cache or ("none", "none")
        if site.masked(page) != site.masked(expected):
            seen.wrong[target] = difference(site.masked(expected), site.masked(page))
    return seen
