"""Plain Redis clients: pages are written past serializers and compressors, and within a time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis
from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import BlockingConnectionPool, ConnectionPool
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from .conf import NAME, get_settings

# What talking to Redis may raise; the errors of a Cluster are a family of their own.
TROUBLE = (redis.RedisError, RedisClusterException, OSError)

_ADDRESS = ("host", "port", "path", "db", "username")

# Clients are safe to share between threads, and take long to make.
_clients: dict[tuple[Any, ...], Any] = {}


def client_for(alias: str, key: bytes) -> Any:
    """The Redis in which the page of `key` lies, for reading and writing."""
    settings = get_settings()
    if settings.url:
        return _from_url(settings.url, settings.cluster, settings.timeout)
    identity = (alias, settings.timeout)
    if identity not in _clients:
        client = _bounded(alias, alias_client(alias, key), settings.timeout)
        if is_sharded(alias):
            return client
        _clients[identity] = client
    return _clients[identity]


def alias_client(alias: str, key: bytes = b"") -> Any:
    """The redis-py client of a cache alias, of django-redis or of Django's RedisCache."""
    try:
        cache = caches[alias]
    except InvalidCacheBackendError as error:
        raise ImproperlyConfigured(f"CACHES has no {alias!r}: {error}") from error
    of_django_redis: Any = getattr(cache, "client", None)
    if is_sharded(alias):
        return of_django_redis.get_server(key.decode("latin-1"))
    if hasattr(of_django_redis, "get_client"):
        return of_django_redis.get_client(write=True)
    of_django: Any = getattr(cache, "_cache", None)
    if hasattr(of_django, "get_client"):
        return of_django.get_client(None, write=True)
    raise ImproperlyConfigured(f"CACHES[{alias!r}] is no cache in Redis")


def is_sharded(alias: str) -> bool:
    """Whether the key chooses the server: ShardClient of django-redis."""
    return hasattr(getattr(caches[alias], "client", None), "get_server")


def _bounded(alias: str, client: Any, timeout: float) -> Any:
    """A client with the address of `client` that waits `timeout` at most and returns bytes.

    One pool a process: Django makes a cache, and with it a pool, for every thread. Clients of
    Sentinel and Cluster keep their own pools and timeouts.
    """
    pool: Any = getattr(client, "connection_pool", None)
    given = getattr(pool, "connection_kwargs", {})
    if type(pool) not in (ConnectionPool, BlockingConnectionPool):
        if given.get("decode_responses"):
            raise ImproperlyConfigured(f"CACHES[{alias!r}] decodes what Redis answers")
        return client
    identity = (alias, pool.connection_class, timeout, *(given.get(name) for name in _ADDRESS))
    if identity not in _clients:
        passed = {n: v for n, v in given.items() if not n.startswith(("retry", "maint_", "event"))}
        passed.update(_limits(timeout), decode_responses=False)
        bounded = ConnectionPool(connection_class=pool.connection_class, **passed)
        _clients[identity] = redis.Redis(connection_pool=bounded)
    return _clients[identity]


def _limits(timeout: float) -> dict[str, Any]:
    # Once more on a connection that was closed while it was idle, never after a timeout.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": retry}


@lru_cache(maxsize=8)
def _from_url(url: str, cluster: bool, timeout: float) -> Any:
    if not cluster:
        return redis.Redis.from_url(url, **_limits(timeout))
    return RedisCluster.from_url(url, **_limits(timeout))


def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("CACHES", NAME):
        _clients.clear()
        _from_url.cache_clear()


setting_changed.connect(_forget)
