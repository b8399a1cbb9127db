"""A configuration of nginx for the settings of this project."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings as django_settings
from django.core.cache import caches
from redis import ConnectionPool, SSLConnection

from .conf import get_settings
from .connection import client_for
from .keys import digest

# Where the Redis of the printed configuration has a password.
_LOGIN = """
            # A file that only root can read, with the password of Redis alone.
            {user}redis_cache_password_file /etc/nginx/redis.password;
"""


# Settings of redis-py that nginx has too: files, as they lie on the machine of Django.
_TLS_FILES = {
    "ssl_ca_certs": "redis_cache_ssl_trusted_certificate",
    "ssl_certfile": "redis_cache_ssl_certificate",
    "ssl_keyfile": "redis_cache_ssl_certificate_key",
}


class NotServed(ValueError):
    """A project for whose Redis nginx cannot be configured."""


@dataclass(frozen=True)
class Server:
    """A Redis as nginx names it."""

    url: str
    username: str | None = None
    has_password: bool = False
    tls: tuple[str, ...] = ()


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


def server_of_alias(alias: str) -> Server:
    return _server_of_pool(client_for(alias, b"").connection_pool)


def _server_of_pool(pool: ConnectionPool) -> Server:
    kwargs = pool.connection_kwargs
    user, secret = kwargs.get("username"), bool(kwargs.get("password"))
    db = kwargs.get("db") or 0
    if "path" in kwargs:
        return Server(f"unix:{kwargs['path']}?db={db}", user, secret)
    secure = issubclass(pool.connection_class, SSLConnection)
    scheme, tls = ("rediss", _tls(kwargs)) if secure else ("redis", ())
    host = kwargs.get("host", "localhost")
    host = f"[{host}]" if ":" in host else host
    return Server(f"{scheme}://{host}:{kwargs.get('port', 6379)}/{db}", user, secret, tls)


def _tls(kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The directives for the TLS of a connection."""
    lines = [f"{name} {kwargs[key]};" for key, name in _TLS_FILES.items() if kwargs.get(key)]
    if kwargs.get("ssl_cert_reqs", "required") in ("none", ssl.CERT_NONE):
        lines.append("redis_cache_ssl_verify off;")
    return tuple(lines)


def _server() -> Server:
    settings = get_settings()
    if settings.cluster:
        raise NotServed("the module of nginx cannot ask a Cluster yet")
    if settings.url:
        return server_of_url(settings.url)
    return server_of_alias(django_settings.CACHE_MIDDLEWARE_ALIAS)


def _key_lines() -> str:
    """Form and key, where they are not what nginx takes by itself."""
    settings = get_settings()
    if settings.form == "http":
        if (settings.key_prefix, settings.key_hash) == ("page:", "none"):
            return ""
        shape = f"hash={settings.key_hash} prefix={settings.key_prefix}"
        return f"\n            redis_cache_key      $redis_cache_uri {shape};"
    digits = digest("md5", b"").decode()
    prefix = caches[django_settings.CACHE_MIDDLEWARE_ALIAS].make_key(digits).removesuffix(digits)
    return f"""
            # The form of 2014: the body alone. This type is sent with the pages,
            # and no ending of the URI chooses another.
            redis_cache_format   raw;
            redis_cache_key      $http_host$request_uri hash=md5 prefix={prefix};
            types                {{}}
            default_type         text/html;
            charset              utf-8;"""


def _login(server: Server) -> str:
    tls = "".join(f"\n            {line}" for line in server.tls) + ("\n" if server.tls else "")
    if not server.has_password:
        return tls
    user = f"redis_cache_username      {server.username};\n            " if server.username else ""
    return tls + _LOGIN.format(user=user)


def _cookies() -> str:
    """The cookies whose owners have pages of their own."""
    settings = django_settings
    named = [settings.SESSION_COOKIE_NAME, "messages", settings.LANGUAGE_COOKIE_NAME]
    return "\n".join(f"        {_quoted(re.escape(name)):<40} 1;" for name in dict.fromkeys(named))


def _quoted(name: str) -> str:
    return rf'"~(^|;\s*){name}="'


def nginx_conf(application: str = "http://127.0.0.1:8000") -> str:
    """A whole nginx.conf."""
    server = _server()
    hosts = [host.removeprefix("*") for host in django_settings.ALLOWED_HOSTS if host != "*"]
    template = files(__package__).joinpath("nginx.conf.template").read_text()
    # The template marks its fields with `@{...}`: `$` begins nginx's own variables.
    fields = {
        "redis": server.url,
        "key": _key_lines(),
        "login": _login(server),
        "cookies": _cookies(),
        "hosts": " ".join(hosts) or "www.example.com",
        "application": application,
    }
    return re.sub(r"@\{([a-z]+)\}", lambda match: fields[match[1]], template)
