"""A configuration of nginx for the settings of this project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from django.conf import settings as django_settings
from django.core.cache import caches

from .conf import Settings, get_settings
from .keys import digest
from .request import words
from .upstream import PASSWORD_FILE, Server, Upstream, configured

# The name of the `redis_cache_upstream`, where there is one.
_NAME = "pages"

# Where the Redis of the printed configuration has a password.
_LOGIN = """
            # A file that only root can read, with the password of Redis alone.
            {user}redis_cache_password_file {file};
"""


def _key_lines() -> str:
    """Form and key, where they are not what nginx takes by itself."""
    settings = get_settings()
    if settings.form == "http":
        counted = _counted(settings)
        if (settings.key_prefix, settings.key_hash) == ("page:", "none"):
            return counted
        shape = f"hash={settings.key_hash} prefix={settings.key_prefix}"
        return f"\n            redis_cache_key      $redis_cache_uri {shape};{counted}"
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


def _counted(settings: Settings) -> str:
    """What of a request makes a page, and how it is coded."""
    lines = []
    if settings.args is not None:
        lines.append(f"redis_cache_args     {_parameters(words(settings.args))};")
    if settings.compress is not None:
        lines.append(f"redis_cache_compress {settings.compress};")
    if settings.cookies is not None:
        lines.append(f"redis_cache_cookies  {_parameters(settings.cookies) or 'none'};")
    return "".join(f"\n            {line}" for line in lines)


def _parameters(given: Iterable[str]) -> str:
    """Parameters of a directive, in quotes where nginx would read something else."""
    return " ".join(word if re.fullmatch(r"[\w.,=*+!%^|~-]+", word, re.A) else _in_quotes(word)
                    for word in given)  # fmt: skip


def _in_quotes(word: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", word)
    return f'"{escaped}"'


def _balancer(addresses: Sequence[str]) -> str:
    """Who is believed to say under which scheme clients came."""
    believed = " ".join(f"from={address}" for address in addresses)
    return f"\n            redis_cache_forwarded proto {believed};" if believed else ""


def _login(server: Server) -> str:
    tls = "".join(f"\n            redis_cache_{line}" for line in server.tls)
    tls += "\n" if server.tls else ""
    if not server.has_password:
        return tls
    user = f"redis_cache_username      {server.username};\n            " if server.username else ""
    return tls + _LOGIN.format(user=user, file=PASSWORD_FILE)


def _block(upstream: Upstream) -> str:
    lines = "".join(f"        {line}\n" for line in upstream.lines)
    files = "    # Passwords stand in files that only root can read, and nothing else in them.\n"
    return f"""
{files if "password_file" in lines else ""}    redis_cache_upstream {_NAME} {{
{lines}    }}
"""


def _cookies() -> str:
    """The cookies whose owners have pages of their own."""
    settings = django_settings
    named = [settings.SESSION_COOKIE_NAME, "messages", settings.LANGUAGE_COOKIE_NAME]
    # Those of COOKIES are in the keys.
    bypassed = [name for name in dict.fromkeys(named) if name not in (get_settings().cookies or ())]
    return "\n".join(f"        {_quoted(re.escape(name)):<40} 1;" for name in bypassed)


def _quoted(name: str) -> str:
    return rf'"~(^|;\s*){name}="'


def nginx_conf(application: str = "http://127.0.0.1:8000", balancers: Sequence[str] = ()) -> str:
    """A whole nginx.conf. `balancers` end TLS in front of it."""
    redis = configured()
    hosts = [host.removeprefix("*") for host in django_settings.ALLOWED_HOSTS if host != "*"]
    template = files(__package__).joinpath("nginx.conf.template").read_text()
    # The template marks its fields with `@{...}`: `$` begins nginx's own variables.
    fields = {
        "upstream": _block(redis) if isinstance(redis, Upstream) else "",
        "redis": redis.url if isinstance(redis, Server) else _NAME,
        "key": _key_lines() + _balancer(balancers),
        "scheme": "$redis_cache_scheme" if balancers else "$scheme",
        "login": _login(redis) if isinstance(redis, Server) else "",
        "cookies": _cookies(),
        "hosts": " ".join(hosts) or "www.example.com",
        "application": application,
    }
    return re.sub(r"@\{([a-z]+)\}", lambda match: fields[match[1]], template)
