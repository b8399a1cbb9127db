"""The http form: pages, markers of pages that vary, tombstones; docs/format.md of the module."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from http_sfv.dictionary import Dictionary
from http_sfv.item import InnerList, Item
from http_sfv.types import Token

from .fields import normalised

# The longest head of a page and the most header lines in it that nginx reads.
MAX_HEAD = 64 * 1024
MAX_LINES = 100

_MARKER_HEAD = b"HTTP/1.1 200 OK\r\n"


class EntryFault(ValueError):
    """A page that cannot be written, or bytes that are none."""


@dataclass(frozen=True)
class Facts:
    """What a page's Redis-Cache line says."""

    stored: int
    fresh: int
    key_text: bytes | None = None
    tags: tuple[str, ...] = ()
    # How the ETag was before the page was coded; None where it was not.
    coded: str | None = None
    # For how many milliseconds more the page may be used, while it is made anew and after an error.
    swr: int = 0
    sie: int = 0

    def line(self) -> str:
        line = Dictionary()
        line["v"] = 1
        line["stored"] = self.stored
        line["fresh"] = self.fresh
        if self.swr:
            line["swr"] = self.swr
        if self.sie:
            line["sie"] = self.sie
        if self.coded is not None:
            line["coded"] = Token(self.coded)
        if self.key_text is not None:
            line["key"] = _string_or_bytes(self.key_text)
        if self.tags:
            line["tags"] = InnerList(list(self.tags))
        return str(line)


def _string_or_bytes(value: bytes) -> str | bytes:
    return value.decode() if all(0x20 <= byte <= 0x7E for byte in value) else value


@dataclass(frozen=True)
class Marker:
    """Stands under the first key of a page that varies."""

    vary: frozenset[str]
    generation: str

    @classmethod
    def new(cls, vary: Iterable[str]) -> Marker:
        return cls(frozenset(vary), secrets.token_hex(16))

    def encoded(self) -> bytes:
        line = Dictionary()
        line["v"] = 1
        line["vary"] = InnerList([*sorted(self.vary)])
        line["gen"] = self.generation
        return _MARKER_HEAD + f"Redis-Cache: {line}\r\n\r\n".encode()


@dataclass(frozen=True)
class Tombstone:
    """Stands in the place of a page that was purged."""

    gone: str

    @classmethod
    def new(cls) -> Tombstone:
        return cls(secrets.token_hex(16))

    def encoded(self) -> bytes:
        return _MARKER_HEAD + f'Redis-Cache: v=1, gone="{self.gone}"\r\n\r\n'.encode()


def page(status: int, reason: str, headers: Iterable[tuple[str, str]], facts: Facts,
         body: bytes) -> bytes:  # fmt: skip
    """A page. The Redis-Cache line stands first, where whoever looks at the head finds it."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Redis-Cache: {facts.line()}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise EntryFault("a header holds a line end or NUL")
    try:
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    except UnicodeEncodeError as error:
        raise EntryFault("a header holds what is not Latin-1") from error
    if len(head) > MAX_HEAD or len(lines) - 1 > MAX_LINES:
        raise EntryFault("the head is too large")
    return head + body


def facts_line(stored: bytes) -> Dictionary | None:
    """The Redis-Cache line of stored bytes, or None where there is none that can be read."""
    head, end, _ = stored.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    if not end or not status.startswith(b"HTTP/1."):
        return None
    values = [v.strip(b" \t") for n, _, v in (line.partition(b":") for line in lines)
              if n.lower() == b"redis-cache"]  # fmt: skip
    if len(values) != 1:
        return None
    line = Dictionary()
    try:
        line.parse(values[0])
    except ValueError:
        return None
    return line if _item(line, "v", int) == 1 else None


def _item(line: Dictionary, name: str, kind: type) -> object:
    """The value of a member that is an Item of a type, else None."""
    member = line.get(name)
    value = getattr(member, "value", None)
    return value if isinstance(member, Item) and type(value) is kind else None


def decode(stored: bytes) -> Marker | Tombstone | None:
    """The marker or tombstone that stored bytes are; None for anything else."""
    line = facts_line(stored)
    if line is None:
        return None
    gone, generation = _item(line, "gone", str), _item(line, "gen", str)
    if isinstance(gone, str):
        return Tombstone(gone)
    vary = line.get("vary")
    if not isinstance(generation, str) or not isinstance(vary, InnerList):
        return None
    listed = [item.value for item in vary]
    if not all(type(name) is str for name in listed):
        return None
    return Marker(frozenset(name.lower() for name in listed), generation)


def variant_key(key: bytes, marker: Marker, value_of: Callable[[str], str | None]) -> bytes:
    """The key of the variant for a request, whose headers `value_of` gives by name."""
    hashed = variant_text(marker.vary, value_of)
    return b"|".join([key, marker.generation.encode(), hashlib.sha256(hashed).hexdigest().encode()])


def variant_text(vary: Iterable[str], value_of: Callable[[str], str | None]) -> bytes:
    """What is hashed: length-prefixed names and values; `-` for a header that is not there."""
    hashed = b""
    for name in sorted(vary):
        value = value_of(name)
        hashed += _prefixed(name)
        hashed += b"-" if value is None else _prefixed(normalised(name, value))
    return hashed


def _prefixed(text: str) -> bytes:
    data = text.encode("latin-1")
    return b"%d:%s" % (len(data), data)
