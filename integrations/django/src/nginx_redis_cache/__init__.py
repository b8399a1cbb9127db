"""Django's side of nginx-redis-cache: pages that nginx serves from Redis.

The way of a page: `decorators` marks its request and `render.begin` notes what lies under its key;
`middleware` hands the answer to `render.finish`, which asks `policy` whether everybody may see it,
has `entry` encode it, and `store` write it if nothing changed meanwhile.

The other rooms: `keys` (the same keys as nginx), `fields` (HTTP header fields), `connection`
(clients of Redis), `invalidation` (purging), `clients` (the names of 2014), `conf` (settings),
`checks`, `nginx_conf` and the command `nginx_cache`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .decorators import cache_page
    from .invalidation import (
        apurge,
        apurge_tags,
        apurge_view,
        purge,
        purge_on_change,
        purge_tags,
        purge_view,
    )
    from .render import add_tags

__version__ = "1.0.0"

_HOMES = {
    "cache_page": "decorators",
    "add_tags": "render",
    **dict.fromkeys(
        ("apurge", "apurge_tags", "apurge_view", "purge", "purge_on_change", "purge_tags",
         "purge_view"),
        "invalidation",
    ),
}  # fmt: skip

__all__ = ["add_tags", "apurge", "apurge_tags", "apurge_view", "cache_page", "purge",
           "purge_on_change", "purge_tags", "purge_view"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loaded when asked for: INSTALLED_APPS names this package before Django is set up."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
