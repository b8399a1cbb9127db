"""Purging: by URL, by view, by tag, and when a model changes.

Within a transaction a purge waits for its commit: a page that was made anew before it would show
the old data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.urls import reverse
from django.utils.http import urlencode

from .conf import Settings, get_settings
from .connection import TROUBLE
from .keys import KeyFault, http_text, raw_text, split_url
from .render import Mark, as_tags, shape_of, store_of
from .request import args, field_of, selected, suffix_of

log = logging.getLogger("nginx_redis_cache")


def keys_of(
    url: str, *, cache: str | None = None, key_prefix: str | None = None,
    cookies: Mapping[str, str] | None = None,
) -> list[bytes]:  # fmt: skip
    """The keys of a URL, or of a path under each of ORIGINS; with `cookies`, of who has them."""
    settings = get_settings()
    urls = [url]
    if url.startswith("/") and not url.startswith("//"):
        urls = [origin + url for origin in settings.all_origins]
        if not urls:
            raise KeyFault(f"{url!r} has no host: set ORIGINS in NGINX_REDIS_CACHE")
    prefixes = [key_prefix]
    if settings.form == "raw" and settings.stores_all_pages and key_prefix is None:
        # That of pages that no cache_page marked.
        prefixes.append(django_settings.CACHE_MIDDLEWARE_KEY_PREFIX)
    added = _cookies(cookies or {}, settings)
    texts = [_text(url, settings) + added for url in urls]
    shapes = [shape_of(Mark(alias=cache, key_prefix=prefix), settings) for prefix in prefixes]
    return list(dict.fromkeys(key(text) for key in shapes for text in texts))


def _text(url: str, settings: Settings) -> bytes:
    scheme, host, target = split_url(url)
    if settings.form == "raw":
        return raw_text(host, target)
    counted = args(settings.args)
    return http_text(scheme, host, counted.target(target) if counted else target)


def _cookies(cookies: Mapping[str, str], settings: Settings) -> bytes:
    if unknown := sorted(set(cookies) - set(settings.cookies or ())):
        raise KeyFault(f"{', '.join(unknown)}: not among COOKIES in NGINX_REDIS_CACHE")
    pairs = sorted((name.encode(), value.encode()) for name, value in cookies.items())
    sent = field_of(pairs) or b""
    if selected(list(cookies), sent) != pairs:
        raise KeyFault(f"{sent.decode()!r} has values that do not count")
    return suffix_of(pairs)


def purge(
    *urls: str, cache: str | None = None, key_prefix: str | None = None,
    cookies: Mapping[str, str] | None = None, using: str = DEFAULT_DB_ALIAS,
) -> int | None:  # fmt: skip
    """Purges pages with all their variants. A URL is absolute, or a path under each of ORIGINS.
    With COOKIES it is the page of who has none of them, or has `cookies`; tags find all.

    Returns how many there were, or None where the purge waits for the commit of a transaction.
    Raises a RedisError where Redis could not be asked.
    """
    one = partial(keys_of, cache=cache, key_prefix=key_prefix, cookies=cookies)
    keys = [key for url in urls for key in one(url)]
    store = store_of(Mark(alias=cache, key_prefix=key_prefix), get_settings())
    return _after_commit(lambda: store.purge(keys), using)


def purge_view(
    name: Any, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, *,
    query: Mapping[str, Any] | None = None, urlconf: str | None = None, **options: Any,
) -> int | None:  # fmt: skip
    """Purges the page of a view, as `reverse` finds it, under each of ORIGINS."""
    path = reverse(name, urlconf, args, dict(kwargs) if kwargs else None)
    return purge(f"{path}?{urlencode(query, doseq=True)}" if query else path, **options)


def purge_tags(*tags: str, cache: str | None = None, using: str = DEFAULT_DB_ALIAS) -> int | None:
    """Purges all pages with one of the tags. Returns and raises as `purge`."""
    listed = as_tags(tags)
    store = store_of(Mark(alias=cache), get_settings())
    return _after_commit(lambda: store.purge_tags(listed), using)


apurge = sync_to_async(purge)
apurge_view = sync_to_async(purge_view)
apurge_tags = sync_to_async(purge_tags)


def _after_commit(purging: Callable[[], int], using: str) -> int | None:
    if not connections[using].in_atomic_block:
        return purging()
    # Robust: a Redis that is down fails no transaction, and is logged by Django.
    transaction.on_commit(purging, using=using, robust=True)
    return None


Names = Callable[[Any], Iterable[str]]


def purge_on_change(
    model: type[Model], *, tags: Names | None = None, urls: Names | None = None,
    cache: str | None = None,
) -> None:  # fmt: skip
    """Purges when an object of `model` is saved or deleted, or its many-to-many relations change.

    `tags` and `urls` are functions of the object. `QuerySet.update()`, `bulk_create()` and raw SQL
    send no signals: purge by hand there.
    """
    if tags is None and urls is None:
        raise TypeError("purge_on_change needs tags or urls")

    def changed(sender: Any, instance: Any, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
        if not isinstance(instance, model):
            return
        # Named now: a deleted object has lost its primary key by the commit.
        try:
            if tags is not None:
                purge_tags(*tags(instance), cache=cache, using=using)
            if urls is not None:
                purge(*urls(instance), cache=cache, using=using)
        except TROUBLE as error:
            log.error("pages of %s were not purged: %s", model._meta.label, error)

    def related(action: str, **kwargs: Any) -> None:
        if action.startswith("post_"):
            changed(**kwargs)

    post_save.connect(changed, sender=model, weak=False)
    post_delete.connect(changed, sender=model, weak=False)
    for many in model._meta.many_to_many:
        m2m_changed.connect(related, sender=many.remote_field.through, weak=False)
