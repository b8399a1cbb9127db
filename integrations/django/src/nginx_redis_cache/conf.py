"""The settings: `NGINX_REDIS_CACHE`, a dictionary, read once and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .coding import CODINGS
from .request import MOST_NAMES, args

NAME = "NGINX_REDIS_CACHE"

FORMS = ("http", "raw")
HASHES = ("none", "md5", "sha1", "sha256")

# Headers that belong to one request, or that nginx states anew.
DROPPED = ("server-timing", "x-correlation-id", "x-request-id")


@dataclass(frozen=True)
class Settings:
    """`NGINX_REDIS_CACHE` with its defaults; the keys of the dictionary are these in capitals."""

    # The stored form: `http`, or `raw` as the package of 2014 wrote it.
    form: str = "http"
    # `prefix=` and `hash=` of nginx's `redis_cache_key`; of the http form.
    key_prefix: str = "page:"
    key_hash: str = "none"
    # Whether pages are stored that no `cache_page` marked; None is: in the raw form only.
    all_pages: bool | None = None
    # Request headers on which a response may vary.
    vary: tuple[str, ...] = ("accept-language",)
    # `redis_cache_args` and `redis_cache_cookies` of nginx, where they are on; of the http form.
    args: str | None = None
    cookies: tuple[str, ...] | None = None
    # The coding in which pages are stored, as `redis_cache_compress` of nginx; of the http form.
    compress: str | None = None
    # Other statuses than 200 that are stored, and for how many seconds.
    statuses: Mapping[int, int] | None = None
    # Response headers that are not stored, beside those that never are.
    drop_headers: tuple[str, ...] = DROPPED
    # The largest value, in bytes, head and all.
    max_size: int = 8 * 1024 * 1024
    # `Cache-Control: max-age` for browsers where the response has no Cache-Control; None: none.
    client_max_age: int | None = None
    # Seconds that connecting to Redis, or one answer of it, may take.
    timeout: float = 1.0
    # Another Redis than that of the cache alias, and whether it is a Cluster.
    url: str | None = None
    cluster: bool = False
    # Scheme, host and port under which clients reach the site, to purge by path.
    origins: tuple[str, ...] = ()
    # Whether responses say in X-Redis-Cache-Store what became of them; None is: where DEBUG is on.
    explain: bool | None = None

    @property
    def stores_all_pages(self) -> bool:
        return self.form == "raw" if self.all_pages is None else self.all_pages

    @property
    def explains(self) -> bool:
        return bool(django_settings.DEBUG) if self.explain is None else self.explain

    @property
    def all_origins(self) -> tuple[str, ...]:
        """`ORIGINS`, or what ALLOWED_HOSTS names without a wildcard."""
        if self.origins:
            return self.origins
        named = [h for h in django_settings.ALLOWED_HOSTS if "*" not in h and h[:1] != "."]
        schemes = ("http",) if self.form == "raw" else ("http", "https")
        return tuple(f"{scheme}://{host}" for host in named for scheme in schemes)


def faults(given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the dictionary, in sentences."""
    known = {field.name.upper() for field in fields(Settings)}
    found = [f"{name} is not known" for name in sorted(set(given) - known)]
    checks: list[tuple[str, Any, str]] = [
        ("FORM", lambda v: v in FORMS, f"one of {', '.join(FORMS)}"),
        ("KEY_HASH", lambda v: v in HASHES, f"one of {', '.join(HASHES)}"),
        ("KEY_PREFIX", lambda v: isinstance(v, str) and v.isascii(), "an ASCII string"),
        ("VARY", _are_names, "a list of header names, without *, Cookie and Authorization"),
        ("ARGS", _is_args, "what redis_cache_args of nginx has, such as 'drop=tracking sort'"),
        ("COOKIES", _are_cookies, "a list of cookies, none of them of one visitor alone"),
        ("COMPRESS", _is_coding, f"None or {' or '.join(CODINGS)}"),
        ("DROP_HEADERS", _are_strings, "a list of header names"),
        ("ORIGINS", _are_origins, "a list such as ['https://www.example.com']"),
        ("STATUSES", _are_statuses, "a dictionary of statuses and seconds, such as {404: 10}"),
        ("MAX_SIZE", lambda v: type(v) is int and v > 0, "a number of bytes"),
        ("TIMEOUT", lambda v: isinstance(v, (int, float)) and v > 0, "a number of seconds"),
        ("CLIENT_MAX_AGE", lambda v: v is None or (type(v) is int and v >= 0), "seconds or None"),
    ]
    for name, is_right, allowed in checks:
        if name in given and not is_right(given[name]):
            found.append(f"{name} is {given[name]!r}, but has to be {allowed}")
    if given.get("FORM") == "raw":
        of_http = ("ARGS", "COOKIES", "COMPRESS")
        found += [f"{n} needs FORM http" for n in of_http if given.get(n) is not None]
    return found


def _is_coding(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in CODINGS)


def _are_strings(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _are_names(value: Any) -> bool:
    never = {"*", "cookie", "authorization"}
    return _are_strings(value) and not never & {name.lower() for name in value}


def _is_args(value: Any) -> bool:
    try:
        args(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


# A token of RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _are_cookies(value: Any) -> bool:
    personal = {django_settings.SESSION_COOKIE_NAME, django_settings.CSRF_COOKIE_NAME, "messages"}
    return value is None or (
        _are_strings(value)
        and len(value) <= MOST_NAMES
        and all(_TOKEN.fullmatch(name) for name in value)
        and not ({"off", "none"} | personal) & set(value)
    )


def _are_origins(value: Any) -> bool:
    return _are_strings(value) and all(o.startswith(("http://", "https://")) for o in value)


# A response with one of these is never stored: it is part of a page, or the request was at fault.
NEVER_STORED = frozenset({206, 304, 400, 401, 403, 405, 407, 413, 414, 416, 431})


def _are_statuses(value: Any) -> bool:
    def is_right(status: Any, seconds: Any) -> bool:
        return (
            type(status) is int
            and 200 < status <= 499
            and status not in NEVER_STORED
            and (type(seconds) is int and seconds >= 0)
        )

    return value is None or (
        isinstance(value, Mapping) and all(is_right(*item) for item in value.items())
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    given = getattr(django_settings, NAME, None) or {}
    if found := faults(given):
        raise ImproperlyConfigured(f"{NAME}: {'; '.join(found)}")
    values = {name.lower(): value for name, value in given.items()}
    for name in ("vary", "drop_headers"):
        if name in values:
            values[name] = tuple(item.lower() for item in values[name])
    if values.get("cookies") is not None:
        values["cookies"] = tuple(sorted(set(values["cookies"])))
    if "origins" in values:
        values["origins"] = tuple(origin.rstrip("/") for origin in values["origins"])
    return Settings(**values)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        get_settings.cache_clear()


setting_changed.connect(_forget)
