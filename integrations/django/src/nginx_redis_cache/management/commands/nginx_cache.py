"""`manage.py nginx_cache purge|show|stats|warm|config`."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nginx_redis_cache import invalidation, nginx_conf
from nginx_redis_cache.conf import get_settings
from nginx_redis_cache.connection import TROUBLE, client_for
from nginx_redis_cache.entry import Marker, Tombstone, decode
from nginx_redis_cache.keys import KeyFault, split_url
from nginx_redis_cache.render import Mark, store_of
from nginx_redis_cache.store import literal

# How many keys `stats` looks at unless told otherwise.
SAMPLE = 100_000


class Command(BaseCommand):
    help = "Purges, shows, counts and warms the pages that nginx serves from Redis."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True)
        purge = words.add_parser("purge", help="remove pages by URL, path or tag")
        purge.add_argument("urls", nargs="*", metavar="URL", help="a URL, or a path on all ORIGINS")
        purge.add_argument("--tag", action="append", default=[], help="all pages with this tag")
        purge.add_argument("--all", action="store_true", help="all pages, by SCAN; slow")
        show = words.add_parser("show", help="what is stored for a URL")
        show.add_argument("urls", nargs="+", metavar="URL")
        stats = words.add_parser("stats", help="how many pages there are, and how large")
        stats.add_argument("--limit", type=int, default=SAMPLE, help="look at no more keys")
        warm = words.add_parser("warm", help="ask for pages, so that they are stored")
        warm.add_argument("urls", nargs="+", metavar="URL")
        warm.add_argument("--connect", metavar="HOST:PORT", help="where nginx is, if not there")
        config = words.add_parser("config", help="print a configuration of nginx")
        config.add_argument("--balancer", metavar="ADDRESS", action="append", default=[],
                            help="who ends TLS in front of nginx")  # fmt: skip
        config.add_argument("--application", default="http://127.0.0.1:8000", metavar="URL",
                            help="where Django is for nginx")  # fmt: skip
        for word in (purge, show, stats):
            word.add_argument("--cache", help="another alias than CACHE_MIDDLEWARE_ALIAS")
        for word in (purge, show):
            word.add_argument("--key-prefix", help="as in cache_page")
            word.add_argument("--cookie", action="append", default=[], metavar="NAME=VALUE",
                              help="the page of who has this one of COOKIES")  # fmt: skip

    def handle(self, *, word: str, **options: Any) -> None:
        try:
            getattr(self, f"do_{word}")(**options)
        except (KeyFault, ValueError) as error:
            raise CommandError(str(error)) from error
        except TROUBLE as error:
            raise CommandError(f"Redis or nginx could not be asked: {error}") from error

    def do_purge(self, urls: list[str], tag: list[str], all: bool, cache: str | None,
                 key_prefix: str | None, cookie: list[str], **_: Any) -> None:  # fmt: skip
        if not (urls or tag or all):
            raise CommandError("purge needs URLs, --tag or --all")
        removed = 0
        if urls:
            removed += invalidation.purge(*urls, cache=cache, key_prefix=key_prefix,
                                          cookies=_pairs(cookie)) or 0  # fmt: skip
        if tag:
            removed += invalidation.purge_tags(*tag, cache=cache) or 0
        if all:
            removed += store_of(Mark(alias=cache), get_settings()).purge_all()
        self.stdout.write(f"{removed} purged")

    def do_show(self, urls: list[str], cache: str | None, key_prefix: str | None,
                cookie: list[str], **_: Any) -> None:  # fmt: skip
        cookies = _pairs(cookie)
        for url in urls:
            keys = invalidation.keys_of(url, cache=cache, key_prefix=key_prefix, cookies=cookies)
            for key in keys:
                self._show(client_for(Mark(alias=cache).cache_alias, key), key)

    def _show(self, client: Any, key: bytes) -> None:
        value = client.get(key)
        self.stdout.write(f"{_text(key)}")
        if value is None:
            self.stdout.write("  nothing")
            return
        self.stdout.write(f"  {kind_of(value)}, {len(value)} bytes, {client.pttl(key)} ms left")
        head, end, _ = value.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n") if end else []:
            self.stdout.write(f"  {_text(line)}")
        if isinstance(decode(value), Marker):
            for variant in client.scan_iter(match=literal(key) + b"|*", count=500):
                self._show(client, variant)

    def do_stats(self, limit: int, cache: str | None, **_: Any) -> None:
        store = store_of(Mark(alias=cache), get_settings())
        count = dict.fromkeys(("pages", "markers", "tombstones", "tag sets"), 0)
        size = looked_at = 0
        for key in store.scan():
            if looked_at == limit:
                break
            looked_at += 1
            count["tag sets"] += key.startswith(store.own + b"tag:")
            if store.is_page(key):
                client = store.client_for(key)
                count[f"{kind_of(client.getrange(key, 0, 1023))}s"] += 1
                size += client.strlen(key)
        more = " or more" if looked_at == limit else ""
        for name, number in count.items():
            self.stdout.write(f"{name}: {number}{more}")
        self.stdout.write(f"bytes: {size}{more}")
        self.stdout.write(
            f"purges by tag: {int(store.client_for(store.own).get(store.own + b'purges') or 0)}"
        )

    def do_warm(self, urls: list[str], connect: str | None, **_: Any) -> None:
        failed = 0
        for url in _absolute(urls):
            status, cache_status = _fetch(url, connect)
            failed += status >= 400
            self.stdout.write(f"{status} {url} {cache_status}")
        if failed:
            raise CommandError(f"{failed} of the pages could not be had")

    def do_config(self, application: str, balancer: list[str], **_: Any) -> None:
        self.stdout.write(nginx_conf.nginx_conf(application, balancer), ending="")


def _pairs(cookies: list[str]) -> dict[str, str]:
    pairs = [cookie.partition("=") for cookie in cookies]
    if not all(equals for _, equals, _ in pairs):
        raise CommandError("--cookie needs NAME=VALUE")
    return {name: value for name, _, value in pairs}


def kind_of(value: bytes) -> str:
    found = decode(value)
    if isinstance(found, Tombstone):
        return "tombstone"
    return "marker" if isinstance(found, Marker) else "page"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _absolute(urls: list[str]) -> list[str]:
    origins = get_settings().all_origins
    paths = [url for url in urls if url.startswith("/")]
    if paths and not origins:
        raise KeyFault(f"{paths[0]!r} has no host: set ORIGINS in NGINX_REDIS_CACHE")
    whole = [url for url in urls if url not in paths]
    return whole + [origin + path for path in paths for origin in origins]


def _fetch(url: str, connect: str | None) -> tuple[int, str]:
    """Status and Cache-Status of a page, as a visitor without cookies gets it."""
    scheme, host, target = split_url(url)
    address = connect or urlsplit(url).netloc
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(address, timeout=60)
    try:
        headers = {"Host": host.decode(), "User-Agent": "nginx-redis-cache warm"}
        connection.request("GET", target.decode(), headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("Cache-Status") or ""
    finally:
        connection.close()
