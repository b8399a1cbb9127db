"""`manage.py check`: each misconfiguration with its hint, and silence where all is well."""

import pytest
from django.core.checks import run_checks

from nginx_redis_cache.checks import GZIP, check, check_server

OWN = "nginx_redis_cache.middleware.UpdateCacheMiddleware"


def ids(found=None):
    found = check(None) if found is None else found
    for message in found:
        assert message.hint
    return [message.id.removeprefix("nginx_redis_cache.") for message in found]


def test_the_site_of_the_tests_is_well(redis, kind):
    assert ids() == []
    assert ids(check_server(None)) == []


def test_the_checks_are_registered(redis, settings):
    settings.MIDDLEWARE = []
    assert "nginx_redis_cache.E003" in [message.id for message in run_checks()]
    settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
    found = [message.id for message in run_checks(include_deployment_checks=True)]
    assert "nginx_redis_cache.W015" in found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"FROM": "raw"}, "FROM is not known"),
        ({"FORM": "html"}, "FORM is 'html'"),
        ({"KEY_HASH": "crc"}, "KEY_HASH"),
        ({"KEY_PREFIX": 5}, "KEY_PREFIX"),
        ({"VARY": "Accept-Language"}, "VARY"),
        ({"VARY": ["Cookie"]}, "VARY"),
        ({"VARY": ["*"]}, "VARY"),
        ({"DROP_HEADERS": "X-A"}, "DROP_HEADERS"),
        ({"ORIGINS": ["www.example.com"]}, "ORIGINS"),
        ({"STATUSES": {400: 5}}, "STATUSES"),
        ({"STATUSES": {500: 5}}, "STATUSES"),
        ({"STATUSES": {404: "5"}}, "STATUSES"),
        ({"MAX_SIZE": 0}, "MAX_SIZE"),
        ({"TIMEOUT": "1"}, "TIMEOUT"),
        ({"CLIENT_MAX_AGE": -1}, "CLIENT_MAX_AGE"),
    ],
)
def test_settings(settings, given, words):
    settings.NGINX_REDIS_CACHE = given
    [fault] = check(None)
    assert fault.id == "nginx_redis_cache.E001"
    assert words in fault.msg


def test_a_cache_that_is_not_in_redis(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert ids() == ["E002"]
    settings.CACHE_MIDDLEWARE_ALIAS = "missing"
    assert ids() == ["E002"]


def middleware(settings, *names):
    settings.MIDDLEWARE = list(names)
    return ids()


def test_middleware(redis, settings):
    session = "django.contrib.sessions.middleware.SessionMiddleware"
    security = "django.middleware.security.SecurityMiddleware"
    site = "nginx_redis_cache.middleware.CacheMiddleware"
    stock = "django.middleware.cache.FetchFromCacheMiddleware"
    assert middleware(settings, session) == ["E003"]
    assert middleware(settings, "not.there") == ["E003"]
    assert middleware(settings, session, OWN) == ["E004"]
    assert middleware(settings, GZIP, security, OWN, session) == []
    assert middleware(settings, site, session) == []
    assert middleware(settings, OWN, site, session) == ["W010"]
    assert middleware(settings, OWN, GZIP) == ["W011"]
    assert middleware(settings, OWN, stock) == ["W012"]


@pytest.mark.parametrize(
    "name",
    [
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.locale.LocaleMiddleware",
    ],
)
def test_what_has_to_stand_inside(redis, settings, name):
    assert middleware(settings, name, OWN) == ["E004"]


def test_the_key_function(redis, settings):
    settings.NGINX_REDIS_CACHE = {"FORM": "raw"}
    cache = settings.CACHES["default"]
    settings.CACHES = {"default": {**cache, "KEY_FUNCTION": "test_checks.suffixed"}}
    assert ids() == ["E005"]
    settings.CACHES = {"default": {**cache, "KEY_FUNCTION": "test_checks.prefixed"}}
    assert ids() == []
    settings.CACHES = {"default": {**cache, "KEY_FUNCTION": "test_checks.suffixed"}}
    settings.NGINX_REDIS_CACHE = {}
    assert ids() == []


def suffixed(key, prefix, version):
    return f"{key}:{version}"


def prefixed(key, prefix, version):
    return f"v{version}/{key}"


def test_options(redis, settings, redis_server):
    from conftest import caches_of

    settings.CACHES = caches_of("django", redis_server.url, {"decode_responses": True})
    assert ids() == ["W006"]
    pool = {"CONNECTION_POOL_KWARGS": {"decode_responses": True}}
    settings.CACHES = caches_of("django-redis", redis_server.url, pool)
    assert ids() == ["W006"]
    zlib = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}
    settings.CACHES = caches_of("django-redis", redis_server.url, zlib)
    assert ids() == ["I007"]
    shards = {"CLIENT_CLASS": "nginx_redis_cache.clients.ShardClient"}
    two = [redis_server.url, redis_server.url[:-1] + "2"]
    settings.CACHES = caches_of("django-redis", two, shards)
    assert ids() == ["W008"]


def test_sessions_beside_pages(redis, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    assert ids() == ["W009"]
    settings.CACHES = {**settings.CACHES, "sessions": settings.CACHES["default"]}
    settings.SESSION_CACHE_ALIAS = "sessions"
    assert ids() == []


def test_debug_and_hosts(redis, settings):
    settings.DEBUG = True
    assert ids() == ["W013"]
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["*"]
    assert ids() == ["W014"]


def test_origins_of_a_site_that_is_https(redis, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.NGINX_REDIS_CACHE = {"ORIGINS": ["http://www.example.com"]}
    assert ids() == ["W018"]
    settings.NGINX_REDIS_CACHE = {"ORIGINS": ["http://www.example.com", "https://www.example.com"]}
    assert ids() == []
    settings.NGINX_REDIS_CACHE = {}
    assert ids() == []


def test_the_server(redis, settings):
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert ids(check_server(None)) == ["W017"]
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    from nginx_redis_cache.checks import _of_server

    assert ids(list(_of_server({"redis_version": "6.2.14"}))) == ["W016"]
    settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
    assert ids(check_server(None)) == ["W015"]
