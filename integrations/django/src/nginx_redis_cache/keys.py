"""Keys: those that nginx hands over, and the same keys computed from a URL."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from django.utils.encoding import iri_to_uri

if TYPE_CHECKING:
    from django.http import HttpRequest

# The longest key, in bytes, and the longest value of the header that hands it over.
MAX_KEY = 64 * 1024
MAX_HEADER = 4096

HEADER = "HTTP_X_REDIS_CACHE_KEY"

# How many hexadecimal digits a hash has.
DIGITS = {"none": 0, "md5": 32, "sha1": 40, "sha256": 64}
_OWN_PORT = {"http": 80, "https": 443}


class KeyFault(ValueError):
    """A request or URL of which no key can be made, or a key that is none of ours.

    The text is one word for a request, and a sentence for a URL that a caller named.
    """


@dataclass(frozen=True)
class KeyShape:
    """`redis_cache_key` of nginx: what stands in front, and what the text goes through."""

    prefix: bytes
    hash: str

    def key(self, text: bytes) -> bytes:
        if not text or len(self.prefix) + len(text) > MAX_KEY:
            raise KeyFault("key")
        if self.hash == "none":
            return self.prefix + text
        return self.prefix + digest(self.hash, text)

    def check(self, key: bytes, cookies: bytes = b"") -> None:
        """Refuses a key that is not of this shape, or in which other cookies are than `cookies`,
        what those of the request add to its text."""
        if not key.startswith(self.prefix) or len(key) > MAX_KEY:
            raise KeyFault("key_prefix")
        rest = key[len(self.prefix) :]
        digits = DIGITS[self.hash]
        if not digits:
            text, mark, added = rest.partition(b"\0")
            if mark + added != cookies:
                raise KeyFault("other_cookies" if cookies else "key_shape")
            rest = text
        pattern = rb"[0-9a-f]{%d}" % digits if digits else rb"[^\0]+"
        # `!` begins the names of this package's own keys.
        if rest.startswith(b"!") or not re.fullmatch(pattern, rest, re.S):
            raise KeyFault("key_shape")


def digest(name: str, text: bytes) -> bytes:
    return hashlib.new(name, text, usedforsecurity=False).hexdigest().encode()


def header_form(key: bytes) -> str | None:
    """The value of X-Redis-Cache-Key, or None where it would be too long."""
    plain = (chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in key)
    value = "".join(plain)
    return value if len(value) <= MAX_HEADER else None


def from_header(value: str) -> bytes:
    """The key that a value of X-Redis-Cache-Key stands for."""
    if not re.fullmatch(r"(?:[!-$&-~]|%[0-9A-F]{2}){1,4096}", value) or len(value) > MAX_HEADER:
        raise KeyFault("key_header")
    return unquote_to_bytes(value)


def http_text(scheme: str, host: bytes, target: bytes) -> bytes:
    """`$redis_cache_uri` of a Host header and a request target as they were sent."""
    name, port = authority(host)
    text = scheme.encode() + b"://" + name.lower()
    if port is not None and port != _OWN_PORT[scheme]:
        text += b":%d" % port
    return text + (b"" if target.startswith(b"/") else b"/") + target


def raw_text(host: bytes, target: bytes) -> bytes:
    """`$http_host$request_uri`."""
    return host + target


def authority(value: bytes) -> tuple[bytes, int | None]:
    """Host, without one trailing dot, and port of a Host header."""
    match = re.fullmatch(rb"(\[[^\]]*\]|[^:\[][^:]*)(?::([0-9]*))?", value, re.S)
    host = match[1].removesuffix(b".") if match else b""
    port = int(match[2]) if match and match[2] else None
    if not host or (port or 0) > 65535:
        raise KeyFault("host")
    return host, port


def raw_targets(request: HttpRequest) -> tuple[bytes, ...]:
    """The request target as it was sent; none where the application server does not say, and two
    where ASGI does not tell `/p` from `/p?`.

    Django's own URL is decoded and encoded anew, so that one page could be stored as another.
    """
    scope = getattr(request, "scope", None)
    if scope is not None:
        path: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
        query = scope.get("query_string") or b""
        if isinstance(query, str):  # of Django's own test client
            query = query.encode("latin-1", "replace")
        targets = (path + b"?" + query,) if query else (path, path + b"?")
    else:
        sent = request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or ""
        targets = (sent.encode("latin-1", "replace"),)
    return targets if targets[0].startswith(b"/") else ()


def split_url(url: str) -> tuple[str, bytes, bytes]:
    """Scheme, Host header and request target that a browser sends for an absolute URL."""
    parts = urlsplit(url)
    if parts.scheme not in _OWN_PORT or not parts.netloc or "@" in parts.netloc:
        raise KeyFault(f"{url!r} is no absolute http or https URL")
    host = parts.netloc
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode() + colon + port
    # urlsplit() loses a `?` that nothing follows; to nginx it is another page.
    rest = url.split("#", 1)[0].split("//", 1)[1][len(parts.netloc) :]
    return parts.scheme, host.encode(), iri_to_uri(rest or "/").encode()
