"""What of a request makes a page: `ARGS` and `COOKIES`, byte for byte as `redis_cache_args` and
`redis_cache_cookies` of nginx have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

# What `tracking` stands for.
TRACKING = (
    "utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "mc_cid",
    "mc_eid", "_ga", "_gl", "yclid", "ttclid", "igshid", "twclid", "srsltid",
)  # fmt: skip

# The most names in one list, and the longest value of a cookie that counts, in bytes.
MOST_NAMES = 64
MAX_VALUE = 256

# What is no cookie's place: white space around a pair.
_SPACE = b" \t\n\r\x0c"


@dataclass(frozen=True)
class Args:
    """`redis_cache_args`: what is taken out of a query, what alone stays, whether it is sorted."""

    drop: tuple[bytes, ...] = ()
    keep: tuple[bytes, ...] | None = None
    sort: bool = False

    @classmethod
    def parse(cls, text: str) -> Args:
        """The parameters of the directive. Raises a ValueError that says which one is none."""
        given: dict[str, tuple[bytes, ...] | bool] = {}
        if not words(text):
            raise ValueError(text)
        for word in words(text):
            name, equals, value = word.partition("=")
            known = name in ("drop", "keep") if equals else name == "sort"
            if not known or name in given:
                raise ValueError(word)
            given[name] = _patterns(value) if equals else True
        return cls(**given)  # type: ignore[arg-type]

    def target(self, target: bytes) -> bytes:
        """What is left of a request target: without `?` where nothing is left behind it."""
        path, mark, query = target.partition(b"?")
        if not mark or b"#" in path:
            return target
        query = query.partition(b"#")[0]
        kept = [part for part in query.split(b"&") if part and self._keeps(_name_of(part))]
        if self.sort:
            kept.sort(key=_name_of)
        return (path or b"/") + (b"?" + b"&".join(kept) if kept else b"")

    def _keeps(self, name: bytes) -> bool:
        kept = self.keep is None or _matches(self.keep, name)
        return kept and not _matches(self.drop, name)


def words(text: str) -> list[str]:
    """The parameters of a directive."""
    return re.findall(r"[^ \t\r\n]+", text)


def _patterns(text: str) -> tuple[bytes, ...]:
    found: list[str] = []
    for name in text.split(","):
        if not name or set(name) & set("&#="):
            raise ValueError(name or text)
        found += TRACKING if name == "tracking" else [name]
    if len(found) > MOST_NAMES:
        raise ValueError(text)
    return tuple(name.encode() for name in found)


def _name_of(part: bytes) -> bytes:
    return part.partition(b"=")[0]


def _matches(patterns: Iterable[bytes], name: bytes) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith(b"*") else name == pattern
        for pattern in patterns
    )


@cache
def args(text: str | None) -> Args | None:
    """`ARGS` of the settings."""
    return None if text is None else Args.parse(text)


def selected(names: Sequence[str], field: bytes) -> list[tuple[bytes, bytes]]:
    """The cookies of a Cookie field that count, in the order of their names. One that comes twice
    does not, nor one with a value that is too long."""
    wanted = {name.encode() for name in names}
    pairs = [part.strip(_SPACE).partition(b"=") for part in field.split(b";")]
    found = [(name, value) for name, equals, value in pairs if equals and name in wanted]
    once = [name for name, _ in found]
    return sorted(
        (name, value) for name, value in found if once.count(name) == 1 and len(value) <= MAX_VALUE
    )


def cookies_of(request: HttpRequest, names: Sequence[str] | None) -> bytes:
    """What the cookies of a request add to the text of its key."""
    return suffix_of(selected(names, _field(request))) if names else b""


def has_others(request: HttpRequest, names: Sequence[str]) -> bool:
    """Whether a request has cookies that are not in its key, which nginx leaves out on a fill."""
    return _field(request).strip(_SPACE) != (field_of(selected(names, _field(request))) or b"")


def _field(request: HttpRequest) -> bytes:
    field: str = request.META.get("HTTP_COOKIE", "")
    return field.encode("latin-1", "replace")


def field_of(cookies: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The Cookie field that nginx sends on a fill; None is none."""
    return b"; ".join(name + b"=" + value for name, value in cookies) or None


def suffix_of(cookies: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What cookies add to the text of a key: a NUL, and each name and value behind its length."""
    parts = [part for cookie in cookies for part in cookie]
    return (b"\0" if parts else b"") + b"".join(b"%d:%s" % (len(part), part) for part in parts)
