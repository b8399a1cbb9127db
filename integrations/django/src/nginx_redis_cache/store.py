"""Pages in Redis: guarded fills, purges, tags.

A fill is guarded: it writes only if nothing changed under the key since the page began to be
made, so what was purged meanwhile is not stored. All scripts and commands touch one key each; they
work on a Cluster whatever the slots.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import InvalidResponse, NoPermissionError

from .connection import TROUBLE
from .entry import Marker, Tombstone, decode, variant_key

log = logging.getLogger("nginx_redis_cache")

# How long a purge keeps renders that began before it from being stored, in milliseconds.
TOMBSTONE = 60_000

# How much of a stored value is remembered and compared.
HEAD = 1024

# A popular tag is spread over so many sorted sets.
SHARDS = 8

BATCH = 500

# Writes a value if the key still holds what was seen: its length and its head.
_SWAP = """
if redis.call('STRLEN', KEYS[1]) ~= tonumber(ARGV[1])
    or redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
"""


@dataclass(frozen=True)
class Seen:
    """What lay under a key when a page began to be made."""

    head: bytes
    length: int
    # Milliseconds; -1 is without end, -2 is no key.
    ttl: int
    # How many purges by tag there had been.
    purges: int


@dataclass(frozen=True)
class Page:
    """A page to store: its bytes, for how many milliseconds, on what it varies, its tags."""

    value: bytes
    ttl: int
    vary: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()


class Store:
    """The pages of one Redis: their keys are `prefix` and so many hexadecimal digits, or any text
    where that is 0. This package's own keys have `!` behind the prefix."""

    def __init__(self, client_for: Callable[[bytes], Any], prefix: bytes, digits: int):
        self.client_for = client_for
        self.prefix = prefix
        self.own = prefix + b"!"
        text = rb"[0-9a-f]{%d}(?:\|.*)?" % digits if digits else rb"[^!].*"
        self._pages = re.compile(re.escape(prefix) + text, re.S)

    def observe(self, key: bytes) -> Seen:
        """To be called before a page is made, with the result handed to `fill`."""
        raise NotImplementedError

    def write(self, key: bytes, seen: Seen, page: Page,
              header: Callable[[str], str | None]) -> bytes | None:  # fmt: skip
        """Writes a page; the key under which it lies, or None where the guard forbade it."""
        raise NotImplementedError

    def purge(self, keys: Iterable[bytes]) -> int:
        """Removes pages with all their variants; how many there were."""
        raise NotImplementedError

    def fill(self, key: bytes, seen: Seen, page: Page,
             header: Callable[[str], str | None]) -> str:  # fmt: skip
        """Stores a page: `stored`, or one word that says why not."""
        written = self.write(key, seen, page, header)
        if written is None:
            return "raced"
        try:
            if page.tags and not self._index(key, seen, page):
                self.client_for(written).unlink(written)
                return "purged"
        except TROUBLE:
            # Without its place in the index a purge would not find the page.
            self.client_for(written).unlink(written)
            raise
        return "stored"

    def _index(self, key: bytes, seen: Seen, page: Page) -> bool:
        """Enters a written page under its tags; False where one was purged since `seen`."""
        now = int(time.time() * 1000)
        pipeline = self.client_for(self.own).pipeline(transaction=False)
        for tag in page.tags:
            shard = self._shard(tag, zlib.crc32(key) % SHARDS)
            # Of the variants of a page the longest counts.
            pipeline.zadd(shard, {key: now + page.ttl}, gt=True)
            pipeline.zremrangebyscore(shard, "-inf", now - TOMBSTONE)
            pipeline.pexpire(shard, page.ttl + TOMBSTONE, nx=True)
            pipeline.pexpire(shard, page.ttl + TOMBSTONE, gt=True)
        for tag in page.tags:
            pipeline.get(self._gone(tag))
        pipeline.get(self.own + b"purges")
        *gone, purges = pipeline.execute()[4 * len(page.tags) :]
        # A counter that went back was lost, with it when the tags were purged.
        lost = _number(purges) < seen.purges
        return not any(_number(number) > seen.purges or lost for number in gone if number)

    def purge_tags(self, tags: Iterable[str]) -> int:
        """Removes all pages with one of the tags; how many there were."""
        client = self.client_for(self.own)
        removed = 0
        for tag in tags:
            number = client.incr(self.own + b"purges")
            client.set(self._gone(tag), number, px=TOMBSTONE)
            for shard in range(SHARDS):
                removed += self._empty(self._shard(tag, shard))
        return removed

    def _empty(self, shard: bytes) -> int:
        client = self.client_for(self.own)
        removed = 0
        while popped := client.zpopmin(shard, BATCH):
            entries = dict(popped)
            try:
                removed += self.unlink(list(entries))
            except TROUBLE:
                # They are still there: the next purge has to find them.
                client.zadd(shard, entries, nx=True)
                raise
        return removed

    def unlink(self, keys: Sequence[bytes]) -> int:
        """UNLINK of many keys, which may lie in different slots."""
        removed = 0
        for client, part in self._by_client(keys):
            spans_slots = isinstance(client, RedisCluster)
            pipeline = client.pipeline(transaction=False)
            for keys_of_one in [[key] for key in part] if spans_slots else [part]:
                pipeline.unlink(*keys_of_one)
            removed += sum(pipeline.execute())
        return removed

    def scan(self) -> Iterator[bytes]:
        """Every key with the prefix, by SCAN in small steps."""
        found: Iterator[bytes] = self.client_for(self.own).scan_iter(
            match=literal(self.prefix) + b"*", count=BATCH
        )
        return found

    def is_page(self, key: bytes) -> bool:
        """Whether a key may be that of a page, a marker or a variant."""
        return self._pages.fullmatch(key) is not None

    def purge_all(self) -> int:
        """Removes every page.

        Unlike the other purges it does not keep pages that are being made from being stored.
        """
        if not self.prefix:
            raise ValueError("without KEY_PREFIX no key can be told from that of a page")
        removed = 0
        batch: list[bytes] = []
        for key in filter(self.is_page, self.scan()):
            batch.append(key)
            if len(batch) == BATCH:
                removed += self.unlink(batch)
                batch = []
        return removed + self.unlink(batch)

    def _by_client(self, keys: Iterable[bytes]) -> Iterator[tuple[Any, list[bytes]]]:
        """Batches of keys that lie on one client."""
        parts: dict[int, tuple[Any, list[bytes]]] = {}
        for key in keys:
            client = self.client_for(key)
            pool = id(getattr(client, "connection_pool", client))
            _, part = parts.setdefault(pool, (client, []))
            part.append(key)
            if len(part) == BATCH:
                yield parts.pop(pool)
        yield from parts.values()

    def purges(self) -> int:
        """How many purges by tag there were."""
        return _number(self.client_for(self.own).get(self.own + b"purges"))

    def _with_purges(self, key: bytes, pipeline: Any) -> tuple[list[Any], int]:
        """What a pipeline about a key answers, and the count of purges: in one round trip where
        both lie on one server."""
        home = self.client_for(self.own)
        if home is not self.client_for(key):
            return pipeline.execute(), self.purges()
        pipeline.get(self.own + b"purges")
        *answers, purges = pipeline.execute()
        return answers, _number(purges)

    def _shard(self, tag: str, number: int) -> bytes:
        return self.own + b"tag:%d:%s" % (number, tag.encode())

    def _gone(self, tag: str) -> bytes:
        return self.own + b"gone:" + tag.encode()


def _number(value: bytes | None) -> int:
    """A counter; somebody else may have written something else there."""
    try:
        return int(value or 0)
    except ValueError as error:
        raise InvalidResponse("a counter of purges is no number") from error


def literal(data: bytes) -> bytes:
    """`data` in a pattern of SCAN."""
    return b"".join(b"\\" + bytes([b]) if b in b"*?[]\\^" else bytes([b]) for b in data)


class HttpStore(Store):
    """The http form: what lies under the key is the guard, a tombstone included."""

    def observe(self, key: bytes) -> Seen:
        pipeline = self.client_for(key).pipeline(transaction=False)
        pipeline.getrange(key, 0, HEAD - 1)
        pipeline.strlen(key)
        pipeline.pttl(key)
        (head, length, ttl), purges = self._with_purges(key, pipeline)
        return Seen(head, length, ttl, purges)

    def write(self, key: bytes, seen: Seen, page: Page,
              header: Callable[[str], str | None]) -> bytes | None:  # fmt: skip
        marker = decode(seen.head)
        marker = marker if isinstance(marker, Marker) else None
        if marker is None and not page.vary:
            return key if self._swap(key, seen, page.value, page.ttl) else None
        if marker is None or not page.vary <= marker.vary:
            marker = Marker.new(page.vary | (marker.vary if marker else frozenset()))
            guarded = self._swap(key, seen, marker.encoded(), page.ttl)
        else:
            # A marker lives as long as the pages behind it.
            lives = seen.ttl == -1 or seen.ttl >= page.ttl
            guarded = lives or self._swap(key, seen, seen.head, page.ttl)
        if not guarded:
            return None
        # No guard is needed here: after a purge no marker has this generation.
        variant = variant_key(key, marker, header)
        self.client_for(variant).set(variant, page.value, px=page.ttl)
        return variant

    def _swap(self, key: bytes, seen: Seen, value: bytes, ttl: int) -> bool:
        client = self.client_for(key)
        if seen.length == 0:
            return bool(client.set(key, value, px=ttl, nx=True))
        try:
            return bool(client.eval(_SWAP, 1, key, seen.length, seen.head, value, ttl))
        except NoPermissionError:
            log.info("Redis allows no scripts: a page is stored without its guard")
            return bool(client.set(key, value, px=ttl))

    def purge(self, keys: Iterable[bytes]) -> int:
        removed = 0
        for client, part in self._by_client(keys):
            pipeline = client.pipeline(transaction=False)
            for key in part:
                pipeline.getrange(key, 0, HEAD - 1)
                pipeline.set(key, Tombstone.new().encoded(), px=TOMBSTONE)
            found = pipeline.execute()[::2]
            removed += sum(bool(head) and not isinstance(decode(head), Tombstone) for head in found)
        return removed


class RawStore(Store):
    """The raw form: nginx would send a tombstone as a page, so it stands under a key beside it.

    The guard is looked at after the page was written, and a purge writes it before it removes the
    page: whichever comes last, the page goes.
    """

    def observe(self, key: bytes) -> Seen:
        pipeline = self.client_for(key).pipeline(transaction=False)
        pipeline.get(self._guard(key))
        (guard,), purges = self._with_purges(key, pipeline)
        return Seen(guard or b"", 0, -2, purges)

    def write(self, key: bytes, seen: Seen, page: Page,
              header: Callable[[str], str | None]) -> bytes | None:  # fmt: skip
        client = self.client_for(key)
        client.set(key, page.value, px=page.ttl)
        if (client.get(self._guard(key)) or b"") == seen.head:
            return key
        client.unlink(key)
        return None

    def purge(self, keys: Iterable[bytes]) -> int:
        removed = 0
        for client, part in self._by_client(keys):
            pipeline = client.pipeline(transaction=False)
            for key in part:
                pipeline.set(self._guard(key), secrets.token_hex(16), px=TOMBSTONE)
            pipeline.execute()
            removed += self.unlink(part)
        return removed

    def _guard(self, key: bytes) -> bytes:
        return self.own + b"guard:" + key
