"""Stored pages as any writer makes them: by joining strings."""

import time


def page(body=b"stored", status="200 OK", headers=(), line=None) -> bytes:
    """The http form. `headers` are pairs; `line` is the value of the Redis-Cache line."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if line is not None:
        lines.append(f"Redis-Cache: {line}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def fresh_line(fresh=60_000, age=0, extra="") -> str:
    """A Redis-Cache line of a page stored `age` seconds ago, fresh for `fresh` milliseconds."""
    stored = int((time.time() - age) * 1000)
    return f"v=1, stored={stored}, fresh={fresh}{extra}"


def key_of(nginx, target="/", host=None) -> str:
    """The default key of the http form."""
    return f"page:http://{host or f'127.0.0.1:{nginx.port}'}{target}"
