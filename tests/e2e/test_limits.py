"""Values, waiting lookups and memory have limits; beyond each the application answers."""

import threading
import time

import pytest
from support.fake_redis import bulk
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on;"


def sized(size: int) -> bytes:
    """A page whose whole value has this many bytes."""
    return page(b"x" * (size - len(page(b""))))


def asked(redis) -> int:
    with redis.client() as client:
        return client.info("commandstats").get("cmdstat_get", {}).get("calls", 0)


def test_the_largest_value_is_served_and_one_byte_more_is_not(serve, redis):
    nginx = serve(f"{STATUS} redis_cache_max_size 100k;")
    redis.set(key_of(nginx, "/fits"), sized(102_400))
    redis.set(key_of(nginx, "/large"), sized(102_401))
    assert nginx.get("/fits").cache == ("hit", "fresh")
    response = nginx.get("/large")
    assert (response.body, response.cache) == (b"app GET /large", ("fwd=miss", "too_large"))
    assert nginx.get("/fits").cache == ("hit", "fresh")


def test_the_default_is_eight_mebibytes(serve, redis):
    nginx = serve(f"{STATUS} redis_cache_timeout 5s;")
    redis.set(key_of(nginx, "/fits"), sized(8 << 20))
    redis.set(key_of(nginx, "/large"), sized((8 << 20) + 1))
    assert nginx.get("/fits").cache == ("hit", "fresh")
    assert nginx.get("/large").cache == ("fwd=miss", "too_large")


def test_a_large_value_is_remembered_for_a_while(serve, redis):
    nginx = serve(f"{STATUS} redis_cache_max_size 10k;")
    redis.set(key_of(nginx, "/large"), sized(20_000))
    for _ in range(5):
        assert nginx.get("/large").cache == ("fwd=miss", "too_large")
    assert asked(redis) == 1
    redis.set(key_of(nginx, "/large"), sized(2_000))
    wait_for(lambda: nginx.get("/large").cache == ("hit", "fresh"), "the key to be asked again", 8)


def test_a_large_value_does_not_hurt_other_lookups(serve, redis):
    nginx = serve("redis_cache_max_size 100k; redis_cache_timeout 3s;")
    redis.set(key_of(nginx, "/p"), page("stored"))
    for n in range(20):
        redis.set(key_of(nginx, f"/large{n}"), sized(3_000_000))
    wrong = []

    def small():
        with nginx.client() as client:
            for _ in range(100):
                if client.get("/p").body != b"stored":
                    wrong.append(1)

    threads = [threading.Thread(target=small) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(20):
        assert nginx.get(f"/large{n}").body == f"app GET /large{n}".encode()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not [line for line in nginx.access_log() if " r=closed " in line]


def test_memory_of_pages_being_sent_is_bounded(serve, redis):
    nginx = serve(
        f"{STATUS} redis_cache_buffers 4m; redis_cache_max_size 3m; redis_cache_timeout 5s;",
        listen="sndbuf=128k",
    )
    redis.set(key_of(nginx, "/big"), sized(3 << 20))
    redis.set(key_of(nginx, "/big", host="h"), sized(3 << 20))
    with Raw(nginx.port, receive_buffer=4096) as slow:
        slow.send(request_bytes("/big"))
        slow.socket.recv(1000)
        response = nginx.get("/big")
        assert (response.body, response.cache) == (b"app GET /big", ("fwd=miss", "overload"))
    wait_for(lambda: nginx.get("/big").cache == ("hit", "fresh"), "memory to be free again", 3)
    for _ in range(5):
        assert nginx.get("/big").cache == ("hit", "fresh")


def test_waiting_lookups_are_bounded(serve, io, fake_redis):
    if io == "blocking":
        pytest.skip("blocking queries never wait")

    def slow(conn, key):
        time.sleep(0.5)
        conn.sendall(bulk(page("late")))

    fake_redis.on_get = slow
    nginx = serve(f"{STATUS} redis_cache_queue 2; redis_cache_timeout 3s;", target=fake_redis.url)
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(nginx.get(f"/{n}"))) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reasons = sorted(response.cache[1] for response in found)
    assert reasons == ["fresh"] * 2 + ["overload"] * 4


def test_an_overload_does_not_open_the_breaker(serve, redis):
    nginx = serve(
        f"{STATUS} redis_cache_buffers 2m; redis_cache_max_size 2m; redis_cache_timeout 5s;"
        "redis_cache_breaker fails=1 timeout=1h;",
        listen="sndbuf=128k",
    )
    redis.set(key_of(nginx, "/big", host="h"), sized(2 << 20))
    redis.set(key_of(nginx, "/p"), page("stored"))
    with Raw(nginx.port, receive_buffer=4096) as slow:
        slow.send(request_bytes("/big"))
        slow.socket.recv(1000)
        for _ in range(5):
            assert nginx.get("/p").cache == ("fwd=miss", "overload")
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "memory to be free again", 3)
