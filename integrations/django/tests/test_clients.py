"""The clients of django-redis under the names of 2014: each caches as its own, and stores pages."""

import time

import django_redis.client
import pytest
from conftest import caches_of
from django.core.cache import cache
from support.redis_server import RedisServer
from support.sentinel import Sentinel

from nginx_redis_cache import clients, purge, purge_tags

NAMES = ["DefaultClient", "HerdClient", "ShardClient"]


def test_there_is_one_for_every_client_of_django_redis():
    own = set(clients.__all__) - {"RawBody"}
    assert own == set(django_redis.client.__all__)
    for name in own:
        assert issubclass(getattr(clients, name), getattr(django_redis.client, name))


@pytest.fixture(params=NAMES)
def client_class(request, redis, redis_server, settings):
    path = f"nginx_redis_cache.clients.{request.param}"
    settings.CACHES = caches_of("django-redis", redis_server.url, {"CLIENT_CLASS": path})
    return request.param


# django-redis warns of its own call.
@pytest.mark.filterwarnings("ignore:get on sharded client:UserWarning")
def test_values_come_back(client_class):
    for value in ["text", b"bytes", 5, {"a": [1]}, None]:
        cache.set("k", value, 60)
        assert cache.get("k") == value


def test_a_raw_body_lies_there_as_it_is(client_class, redis):
    cache.set("k", clients.RawBody(b"<h1>x</h1>"), 60)
    assert redis.get(":1:k") == b"<h1>x</h1>"
    assert redis.ttl(":1:k") > 0


def test_pages(client_class, site, redis, explained):
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert redis.exists(site.key("/page/"))
    assert purge("http://testserver/page/") == 1


def test_pages_on_several_shards(site, redis_server, tmp_path, settings, explained):
    other = RedisServer(tmp_path / "other").start()
    try:
        options = {"CLIENT_CLASS": "nginx_redis_cache.clients.ShardClient"}
        urls = [redis_server.url, other.url]
        settings.CACHES = caches_of("django-redis", urls, options)
        targets = [f"/page/{n}/" for n in range(20)]
        for target in targets:
            assert site.get(target)["X-Redis-Cache-Store"] == "stored"
        with redis_server.client() as one, other.client() as two:
            found = [{key for key in c.keys() if b"!" not in key} for c in (one, two)]
            assert all(found)
            assert found[0] | found[1] == {site.key(target) for target in targets}
        assert purge(*(f"http://testserver{target}" for target in targets)) == 20
        # Tags have one index, wherever their pages lie.
        for _ in range(2):
            for n in range(20):
                assert site.get(f"/tagged/{n}/")["X-Redis-Cache-Store"] == "stored"
            assert purge_tags("all") == 20
    finally:
        other.stop()


def test_pages_behind_sentinel(site, redis_server, redis, tmp_path, settings, explained):
    sentinel = Sentinel(tmp_path / "sentinel", "main", redis_server.port).start()
    try:
        options = {
            "CLIENT_CLASS": "nginx_redis_cache.clients.SentinelClient",
            "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
            "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
            "SENTINELS": [("127.0.0.1", sentinel.port)],
        }
        url = f"redis://main/{redis_server.db}"
        settings.CACHES = caches_of("django-redis", url, options)
        settings.DJANGO_REDIS_CONNECTION_FACTORY = options["CONNECTION_FACTORY"]
        deadline = time.monotonic() + 10
        while (outcome := site.get("/page/")["X-Redis-Cache-Store"]) == "redis":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert outcome == "stored"
        assert redis.exists(site.key("/page/"))
        assert purge("http://testserver/page/") == 1
    finally:
        sentinel.stop()


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("127.0.0.1:6379:1", "redis://127.0.0.1:6379/1"),
        ("redis.example:6379", "redis://redis.example:6379/0"),
        ("unix:/run/redis.sock:2", "unix:///run/redis.sock?db=2"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
        ("redis://a:1/0,redis://b:1/0", "redis://a:1/0,redis://b:1/0"),
        (["a:1:2", "redis://b:1/0"], ["redis://a:1/2", "redis://b:1/0"]),
        (None, None),
    ],
)
def test_a_location_of_2014(then, now):
    assert clients.as_url(then) == now


def test_pages_with_a_location_of_2014(site, redis, redis_server, settings, explained):
    location = f"127.0.0.1:{redis_server.port}:{redis_server.db}"
    settings.CACHES = caches_of("django-redis", location)
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert redis.exists(site.key("/page/"))
