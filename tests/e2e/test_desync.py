"""A reply reaches the request that asked for it or none: not after a timeout, not after a client
left, not when Redis says more than it was asked."""

import contextlib
import threading
import time

import pytest
from support.fake_redis import bulk
from support.raw import Raw, request_bytes
from support.stored import page

pytestmark = pytest.mark.engines("event", "blocking")


def own(key: bytes) -> bytes:
    """A page that names its key."""
    return bulk(page(b"page of " + key))


def is_right(response, target):
    return response.status == 200 and (
        response.body == f"app GET {target}".encode()
        or response.body.endswith(target.encode()) and response.body.startswith(b"page of ")
    )


def test_a_second_reply_to_one_get_is_nobodys(serve, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(own(key) + own(b"/somebody/else"))
    nginx = serve("redis_cache_breaker off;", target=fake_redis.url)
    for n in range(20):
        assert is_right(nginx.get(f"/{n}"), f"/{n}")


def test_a_reply_to_no_get_at_all_is_nobodys(serve, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(own(key))
    nginx = serve("redis_cache_breaker off;", target=fake_redis.url)
    for n in range(20):
        assert is_right(nginx.get(f"/{n}"), f"/{n}")
        for conn in list(fake_redis.open):
            with contextlib.suppress(OSError):
                conn.sendall(own(b"/somebody/else"))
        time.sleep(0.005)


def test_a_push_between_two_lookups_is_nobodys_reply(serve, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(own(key) + b">1\r\n+invalidate\r\n")
    nginx = serve("redis_cache_breaker off;", target=fake_redis.url)
    for n in range(10):
        assert is_right(nginx.get(f"/{n}"), f"/{n}")


def test_a_reply_after_the_timeout_is_not_the_next_ones(serve, fake_redis):
    def slow_at_times(conn, key):
        if int(key.rsplit(b"/", 1)[1]) % 3 == 0:
            time.sleep(0.08)
        conn.sendall(own(key))

    fake_redis.on_get = slow_at_times
    nginx = serve("redis_cache_timeout 40ms; redis_cache_breaker off;", target=fake_redis.url)
    with nginx.client() as client:
        for n in range(30):
            assert is_right(client.get(f"/{n}"), f"/{n}")
    assert any(" r=timeout " in line for line in nginx.logged(30))
    assert any(" r=fresh " in line for line in nginx.logged(30))


def test_the_reply_for_a_client_that_left_is_not_the_next_ones(serve, fake_redis):
    def slow(conn, key):
        time.sleep(0.01)
        conn.sendall(own(key))

    fake_redis.on_get = slow
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 500ms;", target=fake_redis.url)
    for n in range(30):
        with Raw(nginx.port) as left:
            left.send(request_bytes(f"/left/{n}"))
            time.sleep(0.002)
        assert is_right(nginx.get(f"/{n}"), f"/{n}")


def test_many_at_a_time_with_replies_in_pieces(serve, fake_redis):
    def in_pieces(conn, key):
        reply = own(key)
        for start in range(0, len(reply), 7):
            conn.sendall(reply[start : start + 7])

    fake_redis.on_get = in_pieces
    nginx = serve(
        "redis_cache_timeout 2s; redis_cache_connections 2;", target=fake_redis.url
    )
    wrong = []

    def load(start):
        with nginx.client() as client:
            for n in range(start, start + 40):
                if not is_right(client.get(f"/{n}"), f"/{n}"):
                    wrong.append(n)

    threads = [threading.Thread(target=load, args=(n * 100,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
