"""The Redis of a project's settings in the words of nginx: a URL, or a `redis_cache_upstream` where
there are several servers, a Sentinel or a Cluster."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings as django_settings
from django.core.cache import caches
from redis import ConnectionPool, SSLConnection
from redis.sentinel import SentinelConnectionPool

from .conf import get_settings
from .connection import client_for, is_sharded

PASSWORD_FILE = "/etc/nginx/redis.password"  # noqa: S105
SENTINEL_PASSWORD_FILE = "/etc/nginx/sentinel.password"  # noqa: S105

# Settings of redis-py that nginx has too: files, as they lie on the machine of Django.
_TLS_FILES = {
    "ssl_ca_certs": "ssl_trusted_certificate",
    "ssl_certfile": "ssl_certificate",
    "ssl_keyfile": "ssl_certificate_key",
}


class NotServed(ValueError):
    """A project for whose Redis nginx cannot be configured."""


@dataclass(frozen=True)
class Server:
    """A Redis as nginx names it; `tls` are directives without their `redis_cache_`."""

    url: str
    username: str | None = None
    has_password: bool = False
    tls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upstream:
    """What stands between the braces of a `redis_cache_upstream`."""

    lines: tuple[str, ...]


def configured() -> Server | Upstream:
    settings = get_settings()
    if settings.url:
        server = server_of_url(settings.url)
        return _cluster(server) if settings.cluster else server
    alias = django_settings.CACHE_MIDDLEWARE_ALIAS
    if is_sharded(alias):
        raise NotServed("ShardClient spreads the keys in a way that nginx does not know")
    pool = client_for(alias, b"").connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return _sentinel(pool)
    primary, others = _server_of_pool(pool), _locations(alias)[1:]
    return _replicated(primary, pool.connection_kwargs, others) if others else primary


def server_of_url(url: str) -> Server:
    """The URL of redis-py as nginx has it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    db = query.get("db", ["0"])[-1]
    user, secret = parts.username, bool(parts.password)
    if parts.scheme == "rediss":
        return _server_of_pool(ConnectionPool.from_url(url))
    if parts.scheme == "unix":
        return Server(f"unix:{unquote(parts.path)}?db={db}", user, secret)
    db = parts.path.strip("/") or db
    return Server(f"redis://{parts.netloc.rpartition('@')[2]}/{db}", user, secret)


def _server_of_pool(pool: ConnectionPool) -> Server:
    kwargs = pool.connection_kwargs
    user, secret = kwargs.get("username"), bool(kwargs.get("password"))
    db = kwargs.get("db") or 0
    if "path" in kwargs:
        return Server(f"unix:{kwargs['path']}?db={db}", user, secret)
    secure = issubclass(pool.connection_class, SSLConnection)
    scheme, tls = ("rediss", _tls(kwargs)) if secure else ("redis", ())
    return Server(f"{scheme}://{_address(kwargs)}/{db}", user, secret, tls)


def _address(kwargs: dict[str, Any], port: int = 6379) -> str:
    host = kwargs.get("host", "localhost")
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{kwargs.get('port', port)}"


def _tls(kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The directives for the TLS of a connection."""
    lines = [f"{name} {kwargs[key]};" for key, name in _TLS_FILES.items() if kwargs.get(key)]
    if kwargs.get("ssl_cert_reqs", "required") in ("none", ssl.CERT_NONE):
        lines.append("ssl_verify off;")
    return tuple(lines)


def _locations(alias: str) -> list[str]:
    """The servers of a cache, of django-redis or of Django's RedisCache: the first is written."""
    cache: Any = caches[alias]
    of_django_redis = getattr(getattr(cache, "client", None), "_server", None)
    return list(of_django_redis or cache._cache._servers)


def _replicated(primary: Server, kwargs: dict[str, Any], urls: list[str]) -> Upstream:
    """Django reads all servers and writes to the first."""
    lines = [f"server {primary.url};"]
    for url in urls:
        replica = server_of_url(url)
        login = urlsplit(url)
        agrees = (
            (login.username or primary.username) == primary.username
            and unquote(login.password or "") in ("", kwargs.get("password"))
            and (replica.tls or primary.tls) == primary.tls
            and _of_all(replica) == _of_all(primary)
        )
        if not agrees:
            raise NotServed("nginx wants servers that agree in database, user, password and TLS")
        lines.append(f"server {replica.url} replica;")
    return Upstream((*lines, *_login(primary), *primary.tls, "read replica;"))


def _of_all(server: Server) -> tuple[bool, str]:
    """What the URLs of an upstream have in common: TLS, and the database."""
    separator = "?db=" if server.url.startswith("unix:") else "/"
    return server.url.startswith("rediss:"), server.url.rpartition(separator)[2]


def _cluster(seed: Server) -> Upstream:
    url = seed.url.rpartition("/")[0]
    return Upstream((f"server {url};", "cluster;", *_login(seed), *seed.tls))


def _sentinel(pool: SentinelConnectionPool) -> Upstream:
    kwargs = pool.connection_kwargs
    asked = [one.connection_pool for one in pool.sentinel_manager.sentinels]
    first = asked[0].connection_kwargs
    secure = issubclass(pool.connection_class, SSLConnection)
    if any(issubclass(one.connection_class, SSLConnection) != secure for one in asked):
        raise NotServed("nginx asks Sentinels and servers alike with TLS, or alike without")
    addresses = " ".join(_address(one.connection_kwargs, 26379) for one in asked)
    server = Server("", kwargs.get("username"), bool(kwargs.get("password")))
    at_sentinels = Server("", first.get("username"), bool(first.get("password")))
    db = kwargs.get("db") or 0
    return Upstream(
        (
            f"sentinel {pool.service_name} {addresses};",
            *([f"db {db};"] if db else []),
            *_login(server),
            *(f"sentinel_{line}" for line in _login(at_sentinels, SENTINEL_PASSWORD_FILE)),
            *(["ssl on;", *_tls(kwargs)] if secure else []),
        )
    )


def _login(server: Server, file: str = PASSWORD_FILE) -> tuple[str, ...]:
    if not server.has_password:
        return ()
    user = (f"username {server.username};",) if server.username else ()
    return (*user, f"password_file {file};")
