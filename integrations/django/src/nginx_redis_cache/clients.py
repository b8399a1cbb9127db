"""The clients of django-redis under the names that the package of 2014 gave them.

They cache values as django-redis does. `RawBody` alone is written as it is, without serializer
and compressor, for nginx to read.
"""

from __future__ import annotations

import re
from typing import Any

try:
    from django_redis import client as _clients
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "nginx_redis_cache.clients needs django-redis: pip install django-redis"
    ) from error


class RawBody(bytes):
    """A value for `cache.set` that lies in Redis byte for byte."""


def as_url(location: Any) -> Any:
    """A LOCATION of 2014, `host:port:db` or `unix:/path:db`, as a URL; any other as it is."""
    if isinstance(location, (list, tuple)):
        return [as_url(item) for item in location]
    if isinstance(location, str):
        if match := re.fullmatch(r"unix:(/[^:?]+):(\d+)", location):
            return f"unix://{match[1]}?db={match[2]}"
        if match := re.fullmatch(r"([\w.-]+):(\d+)(?::(\d+))?", location):
            return f"redis://{match[1]}:{match[2]}/{match[3] or 0}"
    return location


class _Raw:
    def __init__(self, server: Any, params: dict[str, Any], backend: Any) -> None:
        super().__init__(as_url(server), params, backend)  # type: ignore[call-arg]

    def encode(self, value: Any) -> Any:
        if isinstance(value, RawBody):
            return bytes(value)
        return super().encode(value)  # type: ignore[misc]


class DefaultClient(_Raw, _clients.DefaultClient):  # type: ignore[misc]
    pass


class HerdClient(_Raw, _clients.HerdClient):  # type: ignore[misc]
    def _pack(self, value: Any, timeout: float) -> Any:
        return value if isinstance(value, RawBody) else super()._pack(value, timeout)


class SentinelClient(_Raw, _clients.SentinelClient):  # type: ignore[misc]
    pass


class ShardClient(_Raw, _clients.ShardClient):  # type: ignore[misc]
    pass


__all__ = ["DefaultClient", "HerdClient", "RawBody", "SentinelClient", "ShardClient"]
