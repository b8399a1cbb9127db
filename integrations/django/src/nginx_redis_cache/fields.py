"""HTTP header fields: lists, Cache-Control, Vary, and the normal form of request headers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"|")+', re.S)
_BLANK = " \t\r\n\f"


def members(value: str) -> list[str]:
    """The members of a list, trimmed, without empty ones. Commas in quoted strings stay."""
    found = (member.strip(_BLANK) for member in _MEMBER.findall(value))
    return [member for member in found if member]


def cache_control(value: str) -> dict[str, str | None]:
    """Directives by name in lower case; an argument without its quotes, or None."""
    directives: dict[str, str | None] = {}
    for member in members(value):
        name, equals, argument = member.partition("=")
        argument = argument.strip(_BLANK)
        if len(argument) > 1 and argument[0] == argument[-1] == '"':
            argument = argument[1:-1]
        directives.setdefault(name.strip(_BLANK).lower(), argument if equals else None)
    return directives


def seconds(directives: dict[str, str | None], name: str) -> int | None:
    """The argument of a directive such as max-age; 0 for one that is no number."""
    if name not in directives:
        return None
    argument = directives[name] or ""
    return int(argument) if argument.isascii() and argument.isdigit() else 0


def names(value: str) -> frozenset[str]:
    """The names that a Vary field lists, in lower case."""
    return frozenset(name.lower() for name in members(value))


def normalised(name: str, value: str) -> str:
    """The normal form of a request header, whose lines are joined with `, `."""
    if name == "accept-encoding":
        return ",".join(coding for coding in ("br", "gzip", "zstd") if accepts(value, coding))
    if name == "accept-language":
        return ",".join(languages(value))
    return ", ".join(members(value))


def accepts(accept_encoding: str, coding: str) -> bool:
    """Whether an Accept-Encoding value admits a content coding."""
    by_star = False
    for member in members(accept_encoding):
        name, *parameters = (part.strip(_BLANK) for part in member.split(";"))
        admitted = not any(re.fullmatch(r"[qQ]=0[0.]*", parameter) for parameter in parameters)
        if name.lower().removeprefix("x-") == coding:
            return admitted
        by_star |= name == "*" and admitted
    return by_star


def languages(accept_language: str) -> Iterable[str]:
    """The languages in lower case, by falling weight and then as sent, without refused ones."""
    weighted = []
    for member in members(accept_language):
        name, *parameters = (part.strip(_BLANK) for part in member.split(";"))
        weights = [_weight(p[2:]) for p in parameters if p[:2] in ("q=", "Q=")]
        weighted.append((weights[0] if weights else 1000, name.lower()))
    ordered = sorted((item for item in weighted if item[0] > 0), key=lambda item: -item[0])
    return [name for _, name in ordered]


def _weight(value: str) -> int:
    """Thousandths; a weight that is none counts as 0 (RFC 9110 section 12.4.2)."""
    match = re.fullmatch(r"([01])(?:\.?([0-9]{0,3}))?", value, re.ASCII)
    if not match:
        return 0
    return 1000 if match[1] == "1" else int((match[2] or "").ljust(3, "0"))
