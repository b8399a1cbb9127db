"""Whatever Redis does, Django answers, and in time."""

import time

import pytest
from conftest import caches_of
from support.fake_redis import FakeRedis
from support.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("explained")


@pytest.fixture
def own(tmp_path, settings, kind):
    server = RedisServer(tmp_path / "own")
    server.start()
    settings.CACHES = caches_of(kind, server.url)
    settings.NGINX_REDIS_CACHE = {"TIMEOUT": 0.3, "EXPLAIN": True}
    yield server
    server.stop()


def test_redis_is_down(site, own):
    own.stop()
    response = site.get("/page/")
    assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")
    own.start()
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"


@pytest.mark.parametrize("how", ["get", "aget"])
def test_redis_hangs(site, own, how):
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    own.pause()
    began = time.monotonic()
    response = getattr(site, how)("/page/a/")
    assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")
    assert time.monotonic() - began < 1
    own.resume()
    assert site.get("/page/a/")["X-Redis-Cache-Store"] == "stored"


def test_redis_restarts_between_requests(site, own):
    assert site.get("/page/a/")["X-Redis-Cache-Store"] == "stored"
    own.stop()
    own.start()
    assert site.get("/page/b/")["X-Redis-Cache-Store"] == "stored"


def test_redis_goes_while_a_page_is_made(site, own, settings):
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], "test_trouble.stops", *settings.MIDDLEWARE[1:]]
    stops.server = own
    response = site.get("/page/")
    assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")


def stops(get_response):
    def middleware(request):
        response = get_response(request)
        stops.server.stop()
        return response

    return middleware


def test_redis_is_full(site, own):
    with own.client() as client:
        client.config_set("maxmemory", 1)
        response = site.get("/page/")
        assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")
        assert client.keys() == []


def test_the_key_holds_something_else(site, redis):
    redis.sadd(site.key("/page/"), "x")
    assert site.get("/page/")["X-Redis-Cache-Store"] == "redis"


def test_the_user_may_not_write(site, redis, redis_server, settings):
    redis.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], reset=True,
                      commands=["+@read", "+@connection"])  # fmt: skip
    url = f"redis://reader:x@127.0.0.1:{redis_server.port}/{redis_server.db}"
    settings.NGINX_REDIS_CACHE = {"URL": url, "EXPLAIN": True}
    assert site.get("/page/")["X-Redis-Cache-Store"] == "redis"
    assert redis.keys() == []


def test_no_secret_is_logged(site, settings, caplog):
    settings.NGINX_REDIS_CACHE = {"URL": "redis://me:secretword@127.0.0.1:1/0", "EXPLAIN": True}
    assert site.get("/page/")["X-Redis-Cache-Store"] == "redis"
    assert caplog.text
    assert "secretword" not in caplog.text


def test_nonsense_on_the_wire(site, settings):
    server = FakeRedis()
    server.on_command = lambda conn, words: words[0] != b"HELLO" and not conn.sendall(b"?!\r\n")
    settings.NGINX_REDIS_CACHE = {"URL": server.url, "EXPLAIN": True, "TIMEOUT": 0.3}
    try:
        assert site.get("/page/")["X-Redis-Cache-Store"] == "redis"
        assert server.commands
    finally:
        server.stop()


def test_an_index_that_cannot_be_written_takes_its_page_along(site, redis):
    for shard in range(8):
        redis.set(f"page:!tag:{shard}:tag-a", "no sorted set")
    assert site.get("/tagged/a/")["X-Redis-Cache-Store"] == "redis"
    assert not redis.exists(site.key("/tagged/a/"))


@pytest.mark.parametrize("counter", ["page:!purges", "page:!gone:tag-a"])
def test_a_counter_that_is_none(site, redis, counter):
    redis.set(counter, "no number")
    assert site.get("/tagged/a/")["X-Redis-Cache-Store"] == "redis"
    assert not redis.exists(site.key("/tagged/a/"))


def test_a_cache_that_decodes(site, redis_server, redis, settings):
    settings.CACHES = caches_of("django", redis_server.url, {"decode_responses": True})
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
