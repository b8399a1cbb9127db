"""Pages that are coded once, when they are stored: `redis_cache_compress` of nginx, in Python."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .fields import cache_control, names

Headers = Sequence[tuple[str, str]]

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 6, mtime=0),
}

# Shorter bodies, other types than text, and what shrinks by less than a tenth are left alone.
MIN_LENGTH = 1024
TYPES = frozenset({
    "text/html", "text/css", "text/plain", "text/xml", "text/javascript", "text/markdown",
    "application/javascript", "application/json", "application/ld+json",
    "application/manifest+json", "application/geo+json", "application/xml",
    "application/xhtml+xml", "application/rss+xml", "application/atom+xml", "image/svg+xml",
})  # fmt: skip

# Of another form than the coded one.
_DIGESTS = frozenset({"content-digest", "repr-digest", "digest", "content-md5"})


@dataclass(frozen=True)
class Coded:
    """A page in a coding."""

    headers: Headers
    body: bytes
    # How the ETag was before: `strong`, or `weak`, which none is too.
    tag: str


def coded(name: str, headers: Headers, body: bytes) -> Coded | None:
    """A page in a coding; None where it is left alone."""
    if len(body) < MIN_LENGTH or not applies(headers):
        return None
    found = CODINGS[name](body)
    if len(found) > len(body) - len(body) // 10:
        return None
    changed, tag = coded_headers(name, headers)
    return Coded(changed, found, tag)


def applies(headers: Headers) -> bool:
    """Whether a page may be coded, as far as its header says."""
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    return (
        kind.partition(";")[0].strip().lower() in TYPES
        and "no-transform" not in cache_control(_joined(headers, "cache-control"))
        and names(_joined(headers, "content-encoding")) <= {"identity"}
    )


def coded_headers(name: str, headers: Headers) -> tuple[Headers, str]:
    """The header of the coded form, and how the ETag was."""
    tag, changed = "weak", []
    for field, value in headers:
        lower = field.lower()
        if lower == "etag" and not value.startswith("W/"):
            tag, value = "strong", f"W/{value}"
        if lower != "content-encoding" and lower not in _DIGESTS:
            changed.append((field, value))
    changed.append(("Content-Encoding", name))
    if not {"accept-encoding", "*"} & names(_joined(headers, "vary")):
        changed.append(("Vary", "Accept-Encoding"))
    return changed, tag


def _joined(headers: Headers, name: str) -> str:
    return ", ".join(value for field, value in headers if field.lower() == name)
