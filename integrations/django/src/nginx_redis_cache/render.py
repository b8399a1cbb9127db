"""One page on its way: what was seen before it was made, and what becomes of it afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.utils.http import http_date

from . import entry, keys, policy
from .coding import coded
from .conf import Settings, get_settings
from .connection import TROUBLE, client_for
from .fields import members, names
from .request import args, cookies_of
from .store import HttpStore, Page, RawStore, Seen, Store

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

log = logging.getLogger("nginx_redis_cache")

_ATTRIBUTE = "_nginx_redis_cache"

EXPLANATION = "X-Redis-Cache-Store"

# Never stored: they belong to one connection or client, or nginx states them anew.
_NEVER_STORED = names(
    "age, connection, content-length, date, keep-alive, proxy-authenticate, proxy-authorization,"
    "proxy-connection, redis-cache, server, set-cookie, set-cookie2, te, trailer,"
    "transfer-encoding, upgrade, x-redis-cache-key, x-redis-cache-store"
)


@dataclass(frozen=True)
class Mark:
    """What `cache_page` says of a view, or CacheMiddleware of the whole site."""

    timeout: float | None = None
    alias: str | None = None
    key_prefix: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def cache_alias(self) -> str:
        return self.alias or django_settings.CACHE_MIDDLEWARE_ALIAS


@dataclass
class Render:
    """The state of one request between its beginning and its response."""

    mark: Mark
    key: bytes = b""
    # What was hashed into the key, where that is known.
    key_text: bytes | None = None
    seen: Seen | None = None
    # Why the response will not be stored, whatever it is.
    reason: str | None = None
    tags: set[str] = field(default_factory=set)


def shape_of(mark: Mark, settings: Settings) -> Callable[[bytes], bytes]:
    """The key function: the text of a request to the key."""
    if settings.form == "http":
        prefix = settings.key_prefix if mark.key_prefix is None else mark.key_prefix
        return keys.KeyShape(prefix.encode(), settings.key_hash).key
    return _django_key(mark)


def _django_key(mark: Mark) -> Callable[[bytes], bytes]:
    """As the package of 2014: the MD5, through the key function of the cache."""
    cache = caches[mark.cache_alias]
    prefix = cache.key_prefix if mark.key_prefix is None else mark.key_prefix

    def key(text: bytes) -> bytes:
        digits = keys.digest("md5", text).decode()
        made: str = cache.key_func(digits, prefix, cache.version)
        return made.encode()

    return key


def store_of(mark: Mark, settings: Settings) -> Store:
    """The store of an alias. Its own keys have the prefix of the pages, so that one pattern in
    the ACL of Redis covers both."""
    alias = mark.cache_alias
    if settings.form == "http":
        digits = keys.DIGITS[settings.key_hash]
        return HttpStore(lambda key: client_for(alias, key), settings.key_prefix.encode(), digits)
    cache = caches[alias]
    prefix: str = cache.key_func("", cache.key_prefix, cache.version)
    return RawStore(lambda key: client_for(alias, key), prefix.encode(), keys.DIGITS["md5"])


def begin(request: HttpRequest, mark: Mark) -> None:
    """Marks a request, and notes what lies under its key before the page is made."""
    earlier = of(request)
    render = Render(mark, tags=set(mark.tags))
    setattr(request, _ATTRIBUTE, render)
    if request.method != "GET":
        return
    settings = get_settings()
    try:
        render.key, render.key_text = _key_of(request, mark, settings)
        if earlier and earlier.seen and earlier.key == render.key:
            render.seen = earlier.seen
        else:
            render.seen = store_of(mark, settings).observe(render.key)
    except keys.KeyFault as fault:
        render.reason = str(fault)
    except TROUBLE as error:
        log.warning("Redis was not asked, so the page will not be stored: %s", error)
        render.reason = "redis"


def of(request: HttpRequest) -> Render | None:
    found = getattr(request, _ATTRIBUTE, None)
    return found if isinstance(found, Render) else None


def _key_of(request: HttpRequest, mark: Mark, settings: Settings) -> tuple[bytes, bytes | None]:
    """The key, and the text in it where a hash hides that."""
    given = request.META.get(keys.HEADER)
    host = request.META.get("HTTP_HOST", "").encode("latin-1", "replace")
    targets = keys.raw_targets(request)
    if settings.form == "raw":
        return _raw_key(given, host, targets, shape_of(mark, settings)), None
    if given is None:
        raise keys.KeyFault("no_key")
    prefix = settings.key_prefix if mark.key_prefix is None else mark.key_prefix
    shape = keys.KeyShape(prefix.encode(), settings.key_hash)
    key = keys.from_header(given)
    counted = args(settings.args)
    if counted and targets and all(counted.target(target) != target for target in targets):
        raise keys.KeyFault("other_query")
    cookies = cookies_of(request, settings.cookies)
    shape.check(key, cookies)
    if shape.hash == "none":
        return key, None
    texts = [keys.http_text(s, host, target) for s in ("https", "http") for target in targets]
    text = next((text for text in texts if shape.key(text + cookies) == key), None)
    if text is None and settings.cookies:
        raise keys.KeyFault("other_cookies")
    return key, text and text + cookies


def _raw_key(
    given: str | None,
    host: bytes,
    targets: tuple[bytes, ...],
    key_of: Callable[[bytes], bytes],
) -> bytes:
    """The key of 2014, computed here; what nginx hands over may not be another."""
    if targets and host:
        own = [key_of(keys.raw_text(host, target)) for target in targets]
        key = own[0] if given is None else keys.from_header(given)
        if key not in own:
            raise keys.KeyFault("other_key")
        return key
    if given is None:
        raise keys.KeyFault("no_target")
    key = keys.from_header(given)
    # The same key with other digits, whatever the key function of the cache puts around them.
    pattern = re.escape(key_of(b"")).replace(keys.digest("md5", b""), b"[0-9a-f]{32}")
    if not re.fullmatch(pattern, key):
        raise keys.KeyFault("key_shape")
    return key


def finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Stores the response if everybody may see it. Never raises what Redis did wrong."""
    settings = get_settings()
    render = of(request)
    outcome = "unmarked" if render is None else _outcome(request, response, render, settings)
    if settings.explains:
        response[EXPLANATION] = outcome


def _outcome(request: HttpRequest, response: HttpResponseBase, render: Render,
             settings: Settings) -> str:  # fmt: skip
    refused = policy.refusal(request, response, settings) or render.reason
    if refused or render.seen is None or not isinstance(response, HttpResponse):
        return refused or "unmarked"
    try:
        page = _page(response, render, settings)
        if isinstance(page, str):
            return page
        store = store_of(render.mark, settings)
        return store.fill(render.key, render.seen, page, _headers_of(request))
    except entry.EntryFault as fault:
        log.warning("%s is not stored: %s", request.path, fault)
        return "entry"
    except TROUBLE as error:
        log.warning("%s was not stored: %s", request.path, error)
        return "redis"


def _headers_of(request: HttpRequest) -> Callable[[str], str | None]:
    return lambda name: request.META.get("HTTP_" + name.upper().replace("-", "_"))


def _page(response: HttpResponse, render: Render, settings: Settings) -> Page | str:
    """What is stored of a response, or why it is not."""
    lifetime = policy.lifetime(response, render.mark.timeout, settings)
    ttl = int(lifetime * 1000)
    if ttl <= 0:
        return "timeout"
    tags = tuple(sorted(render.tags | tags_of(response)))
    if not all(is_tag(tag) for tag in tags):
        return "tags"
    # nginx decodes a coded page for who does not take the coding: its body counts as well.
    if len(response.content) > settings.max_size:
        return "size"
    value, kept = response.content, 0
    if settings.form == "http":
        swr, sie = (seconds * 1000 for seconds in policy.stale_windows(response))
        kept = max(swr, sie)
        value = _http_value(response, render, settings, (ttl, swr, sie), tags)
    if len(value) > settings.max_size:
        return "size"
    return Page(value, ttl + kept, policy.variation(response), tags)


def _http_value(response: HttpResponse, render: Render, settings: Settings,
                times: tuple[int, int, int], tags: tuple[str, ...]) -> bytes:  # fmt: skip
    if settings.client_max_age is not None and not response.has_header("Cache-Control"):
        patch_cache_control(response, max_age=settings.client_max_age)
    body = response.content
    if response.status_code == 200 and not response.has_header("ETag"):
        response["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    now = time.time()
    age = response.get("Age", "")
    stored = int(now * 1000) - (int(age) * 1000 if age.isascii() and age.isdigit() else 0)
    left_out = _NEVER_STORED | set(settings.drop_headers)
    left_out |= {name.lower() for name in members(response.get("Connection", ""))}
    headers = [item for item in response.items() if item[0].lower() not in left_out]
    headers.append(("Date", http_date(now)))
    fresh, swr, sie = times
    facts = entry.Facts(stored, fresh, render.key_text, tags, swr=swr, sie=sie)
    status, reason = response.status_code, response.reason_phrase
    found = coded(settings.compress, headers, body) if settings.compress else None
    if found is not None:
        # A few lines more may be too many.
        with contextlib.suppress(entry.EntryFault):
            of_coded = replace(facts, coded=found.tag)
            return entry.page(status, reason, found.headers, of_coded, found.body)
    return entry.page(status, reason, headers, facts, body)


def tags_of(response: HttpResponseBase) -> set[str]:
    """The tags that the headers of a response name: Surrogate-Key and Cache-Tag."""
    tags = set(response.get("Surrogate-Key", "").split())
    return tags | set(members(response.get("Cache-Tag", "")))


def is_tag(tag: str) -> bool:
    """Tags are printable ASCII: they stand in a header line of the stored page."""
    return 0 < len(tag) <= 256 and tag.isascii() and tag.isprintable()


def add_tags(request: HttpRequest, *tags: str) -> None:
    """Tags the page that this request makes, from within its view."""
    render = of(getattr(request, "_request", request))
    if render is not None:
        render.tags.update(tags)


def as_tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    listed = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in listed:
        if not is_tag(tag):
            raise ValueError(f"{tag!r} is no tag: 1 to 256 characters of printable ASCII are")
    return listed
