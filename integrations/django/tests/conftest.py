"""A real Redis for all tests, and requests as nginx passes them on after a miss."""

import io
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from asgiref.sync import async_to_sync  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

from nginx_redis_cache import keys  # noqa: E402

VECTORS = ROOT / "tests/vectors"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def caches_of(kind, url, options=None):
    if kind == "django":
        backend = "django.core.cache.backends.redis.RedisCache"
        return {"default": {"BACKEND": backend, "LOCATION": url, "OPTIONS": options or {}}}
    options = {"CLIENT_CLASS": "nginx_redis_cache.clients.DefaultClient", **(options or {})}
    backend = "django_redis.cache.RedisCache"
    return {"default": {"BACKEND": backend, "LOCATION": url, "OPTIONS": options}}


def run(*words):
    """What `manage.py nginx_cache WORDS` prints."""
    out = io.StringIO()
    call_command("nginx_cache", *words, stdout=out)
    return out.getvalue()


@pytest.fixture(params=["django", "django-redis"])
def kind(request):
    """The cache: a test that asks for it runs once with each."""
    return request.param


@pytest.fixture
def redis(request, redis_server, settings):
    """An empty Redis that the site uses; a redis-py client of its database."""
    kind = request.getfixturevalue("kind") if "kind" in request.fixturenames else "django"
    settings.CACHES = caches_of(kind, redis_server.url)
    with redis_server.client() as client:
        client.flushall()
        yield client


class Site:
    """Requests with the key that nginx hands over."""

    host = "testserver"

    def key(self, target, prefix="page:", scheme="http"):
        return prefix.encode() + keys.http_text(scheme, self.host.encode(), target.encode())

    def extra(self, target, key, headers):
        key = self.key(target) if key is None else key
        given = {"X-Redis-Cache-Key": keys.header_form(key)} if key else {}
        return {**given, **(headers or {})}

    def get(self, target, key=None, headers=None, client=None, method="get", **extra):
        client = client or Client()
        extra = {"RAW_URI": target, "HTTP_HOST": self.host, **extra}
        return getattr(client, method)(target, headers=self.extra(target, key, headers), **extra)

    def aget(self, target, key=None, headers=None):
        """The same through Django's ASGI handler."""
        headers = self.extra(target, key, headers)
        return async_to_sync(AsyncClient().get)(target, headers=headers)


@pytest.fixture
def site(redis):
    return Site()


@pytest.fixture
def explained(settings):
    """Responses say in X-Redis-Cache-Store what became of them."""
    settings.NGINX_REDIS_CACHE = {"EXPLAIN": True}
