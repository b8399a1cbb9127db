"""System checks: what keeps pages from being stored or served, or endangers who visits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import NAME, faults, get_settings
from .connection import TROUBLE, alias_client, client_for
from .middleware import UpdateCacheMiddleware

GZIP = "django.middleware.gzip.GZipMiddleware"

# What these add to a response, or to what is known of a request, has to be seen.
INSIDE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
)

STOCK = ("django.middleware.cache.UpdateCacheMiddleware",
         "django.middleware.cache.FetchFromCacheMiddleware",
         "django.middleware.cache.CacheMiddleware")  # fmt: skip

MINIMUM = (7, 0)


@register(Tags.caches)
def check(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    wrong = faults(getattr(django_settings, NAME, None) or {})
    if wrong:
        return [Error(f"{NAME}: {fault}.", hint="See docs/django.md.", id=_id("E001"))
                for fault in wrong]  # fmt: skip
    return [*_of_alias(), *_of_middleware(), *_of_site()]


def _id(name: str) -> str:
    return f"nginx_redis_cache.{name}"


def _of_alias() -> Iterator[CheckMessage]:
    alias = django_settings.CACHE_MIDDLEWARE_ALIAS
    settings = get_settings()
    try:
        cache = caches[alias]
        client = client_for(alias, b"") if settings.url else alias_client(alias)
    except (ImproperlyConfigured, InvalidCacheBackendError) as error:
        yield Error(
            f"Pages cannot be stored in the cache {alias!r}: {error}.",
            hint="CACHE_MIDDLEWARE_ALIAS has to name a cache of django-redis or of "
            "django.core.cache.backends.redis.RedisCache; or set URL in NGINX_REDIS_CACHE.",
            id=_id("E002"),
        )
        return
    yield from _of_key_function(cache)
    yield from _of_options(alias, cache, client)


def _of_key_function(cache: Any) -> Iterator[CheckMessage]:
    digits = "d41d8cd98f00b204e9800998ecf8427e"
    if get_settings().form == "raw" and not cache.make_key(digits).endswith(digits):
        yield Error(
            "The key function of the cache puts something behind the MD5, or changes it: nginx "
            "can make no such key.",
            hint="Leave KEY_FUNCTION out, or have it return a prefix and then the key.",
            id=_id("E005"),
        )


def _of_options(alias: str, cache: Any, client: Any) -> Iterator[CheckMessage]:
    options = django_settings.CACHES.get(alias, {}).get("OPTIONS", {})
    if options.get("CONNECTION_POOL_KWARGS", options).get("decode_responses"):
        yield Warning(
            f"The cache {alias!r} decodes what Redis answers; pages are bytes.",
            hint="Leave decode_responses out.",
            id=_id("W006"),
        )
    changed = [name for name in options if name.upper() in ("SERIALIZER", "COMPRESSOR")]
    if changed:
        yield Info(
            f"{' and '.join(changed)} of the cache {alias!r} do not touch pages, but what is set "
            "through the cache itself is in a form that nginx cannot read.",
            hint="Nothing to do for pages of cache_page. Store no pages by cache.set().",
            id=_id("I007"),
        )
    servers = getattr(getattr(cache, "client", None), "_serverdict", {})
    if len(servers) > 1:
        yield Warning(
            f"The cache {alias!r} spreads its keys over {len(servers)} servers; nginx asks one.",
            hint="Give pages a cache of their own with one server, or use a Redis Cluster.",
            id=_id("W008"),
        )
    if (
        "cache" in django_settings.SESSION_ENGINE.rsplit(".", 1)[-1]
        and alias == django_settings.SESSION_CACHE_ALIAS
    ):
        yield Warning(
            f"Sessions lie in the database of the pages (cache {alias!r}), which nginx reads; "
            "and cache.clear() empties both.",
            hint="Give pages a cache with another database number.",
            id=_id("W009"),
        )


def _of_middleware() -> Iterator[CheckMessage]:
    names = list(django_settings.MIDDLEWARE)
    own = [index for index, name in enumerate(names) if _is_own(name)]
    if not own:
        yield Error(
            "No middleware stores pages.",
            hint="Put nginx_redis_cache.middleware.UpdateCacheMiddleware first in MIDDLEWARE, or "
            "right behind GZipMiddleware.",
            id=_id("E003"),
        )
        return
    outside = [name for name in names[: own[0]] if name in INSIDE]
    if outside:
        yield Error(
            f"{names[own[0]]} stands behind {', '.join(outside)}, and does not see the cookies "
            "that they set.",
            hint="Put it first in MIDDLEWARE, or right behind GZipMiddleware.",
            id=_id("E004"),
        )
    if len(own) > 1:
        yield Warning(
            "MIDDLEWARE names more than one middleware that stores pages.",
            hint="One is enough: CacheMiddleware for the whole site, else UpdateCacheMiddleware.",
            id=_id("W010"),
        )
    if GZIP in names[own[0] :]:
        yield Warning(
            f"{GZIP} stands behind {names[own[0]]}: pages that it compresses are not stored.",
            hint="Put it in front; or leave it out and let nginx compress.",
            id=_id("W011"),
        )
    if stock := [name for name in names if name in STOCK]:
        yield Warning(
            f"{', '.join(stock)} caches too, pages that nginx cannot read and a purge does not "
            "reach.",
            hint="Remove it.",
            id=_id("W012"),
        )


def _is_own(name: str) -> bool:
    try:
        found = import_string(name)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, UpdateCacheMiddleware)


def _of_site() -> Iterator[CheckMessage]:
    if django_settings.DEBUG:
        yield Warning(
            "DEBUG is on: what developers see is stored for everybody.",
            hint="Switch it off, or use a Redis database of your own while you develop.",
            id=_id("W013"),
        )
    elif "*" in django_settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS admits every host, and every host has pages of its own in Redis.",
            hint="Name the hosts, here and in server_name of nginx.",
            id=_id("W014"),
        )
    origins = get_settings().origins
    is_https = any(origin.startswith("https://") for origin in origins)
    if django_settings.SECURE_SSL_REDIRECT and origins and not is_https:
        yield Warning(
            "Visitors are sent to https, but ORIGINS names http alone: purges by path miss pages.",
            hint="Name the https origin. Where a balancer ends TLS, nginx has to be told: "
            "redis_cache_forwarded, manage.py nginx_cache config --balancer ADDRESS.",
            id=_id("W018"),
        )


@register(Tags.caches, deploy=True)
def check_server(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What only Redis itself knows; part of `manage.py check --deploy`."""
    if faults(getattr(django_settings, NAME, None) or {}):
        return []
    try:
        info = client_for(django_settings.CACHE_MIDDLEWARE_ALIAS, b"").info()
    except (ImproperlyConfigured, InvalidCacheBackendError):
        return []
    except TROUBLE as error:
        hint = "Pages are served by Django until it can."
        return [Warning(f"Redis cannot be asked: {error}.", hint=hint, id=_id("W015"))]
    return list(_of_server(info))


def _of_server(info: dict[str, Any]) -> Iterator[CheckMessage]:
    version = str(info.get("redis_version", "0.0"))
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM:
        yield Warning(
            f"Redis is {version}; tags need 7.0 or newer.", hint="Upgrade it.", id=_id("W016")
        )
    if str(info.get("maxmemory_policy", "")).startswith("allkeys"):
        yield Warning(
            "Redis may drop the index of tags before the pages in it (maxmemory-policy "
            f"{info['maxmemory_policy']}).",
            hint="Use volatile-lru or volatile-ttl: every page has a time to live.",
            id=_id("W017"),
        )
