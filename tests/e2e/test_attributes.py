"""RESP3 attributes stand in front of a reply. Without end they are a fault of the server's, and no end of
a worker."""

import pytest
from support.fake_redis import bulk
from support.ports import wait_for
from support.stored import page

pytestmark = pytest.mark.engines("event", "blocking")

ENDLESS = b"|0\r\n" * 1_000_000
AGGREGATES = [b"*1\r\n" * 1_000_000, b"*1\r\n|1\r\n+k\r\n" * 300_000, b"%1\r\n+k\r\n" * 300_000]
SETTINGS = "redis_cache_breaker off; redis_cache_status_header on;"


@pytest.mark.engines("event")
def test_a_few_are_read_over(serve, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(b"|1\r\n+ttl\r\n:9\r\n" + bulk(page("x")))
    assert serve(SETTINGS, target=fake_redis.url).get("/p").body == b"x"


# A size that nobody has the memory for.
VAST = b"%0\r\n$90000000000000\r\n"


@pytest.mark.parametrize(
    "endless", [VAST, ENDLESS, *AGGREGATES], ids=["vast", "attributes", "arrays", "both", "maps"]
)
@pytest.mark.parametrize("place", ["hello", "get"])
def test_a_worker_outlives_them(serve, fake_redis, place, endless):
    def on_command(conn, words):
        if words[0].upper() == {"hello": b"HELLO", "get": b"GET"}[place]:
            conn.sendall(endless)
            return True
        return False

    nginx = serve(SETTINGS, target=fake_redis.url)
    assert nginx.get("/before").body == b"app GET /before"
    workers = nginx.workers()
    fake_redis.on_command = on_command
    fake_redis.cut()
    for target in ["/a", "/b"]:
        response = nginx.get(target)
        assert response.body == f"app GET {target}".encode()
        assert response.cache[1] in ("protocol", "closed", "too_large"), response.cache
    assert nginx.workers() == workers
    fake_redis.on_command = lambda conn, words: False
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(page("back")))
    fake_redis.cut()
    wait_for(lambda: nginx.get("/c").body == b"back", "the page of Redis")
