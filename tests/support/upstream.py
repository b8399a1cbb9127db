"""Configurations with a redis_cache_upstream, and answers that show which server was asked."""

from .stored import fresh_line, key_of, page

# `add_header X-Server` of the server block reaches the location and its fallback.
SHOW = "add_header X-Server $redis_cache_server always;"
# Long enough for a busy machine, short enough for a test of faults.
QUICK = "redis_cache_timeout 500ms; redis_cache_connect_timeout 300ms;"
BREAKER = "breaker fails=2 timeout=100ms;"


def upstream(block: str, name: str = "pages") -> str:
    return f"redis_cache_upstream {name} {{ {block} }}\n"


def start(door, block, location="", http="", server="", **arguments):
    """An nginx of the fixture `serve` or `store` that asks the upstream `pages`."""
    return door(
        location,
        target="pages",
        http=f"{upstream(block)}{http}",
        server=f"{SHOW}{server}",
        **arguments,
    )


def asked(response) -> int | None:
    """The port of the server that was asked; None where it was not known whom to ask."""
    port = (response.header("X-Server") or "").partition("/")[0].rpartition(":")[2]
    return int(port) if port.isdigit() else None


def stored(text, age=0) -> bytes:
    """A page that is fresh for an hour."""
    return page(text, line=fresh_line(3_600_000, age=age))


def put(servers, nginx, target, host=None):
    """Lays a page on every server that tells which one it is."""
    for server in servers:
        server.set(key_of(nginx, target, host), stored(f"{server.port} {target}"))
