"""Clients that leave while Redis is asked leave nothing behind: no descriptor, no crash, no reply
that another request could get."""

import os
import time

import pytest
from support.fake_redis import bulk
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import page

pytestmark = pytest.mark.engines("event", "blocking")


def descriptors(nginx) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in nginx.workers())


def slow(seconds):
    def answer(conn, key):
        time.sleep(seconds)
        conn.sendall(bulk(page(b"page of " + key.rsplit(b"/", 1)[1])))

    return answer


def settled(nginx):
    """The number of descriptors once it no longer changes."""
    last = descriptors(nginx)
    for _ in range(50):
        time.sleep(0.05)
        now = descriptors(nginx)
        if now == last:
            return now
        last = now
    raise AssertionError("the number of descriptors does not settle")


def test_two_hundred_clients_one_after_the_other(serve, fake_redis):
    fake_redis.on_get = slow(0.01)
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 5s;", target=fake_redis.url)
    assert nginx.get("/first").body == b"page of first"
    before = settled(nginx)
    worker = nginx.workers()
    for n in range(200):
        with Raw(nginx.port) as client:
            client.send(request_bytes(f"/{n}"))
            if n % 2:
                time.sleep(0.001)
    for n in range(10):
        assert nginx.get(f"/after{n}").body == f"page of after{n}".encode()
    assert settled(nginx) <= before + 2
    assert nginx.workers() == worker


def test_many_clients_at_a_time(serve, fake_redis):
    fake_redis.on_get = slow(0.005)
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 5s;", target=fake_redis.url)
    assert nginx.get("/first").body == b"page of first"
    before = settled(nginx)
    for _ in range(4):
        clients = [Raw(nginx.port) for _ in range(50)]
        for n, client in enumerate(clients):
            client.send(request_bytes(f"/{n}"))
        for client in clients:
            client.close()
    wait_for(lambda: nginx.get("/after").body == b"page of after", "a hit", 5)
    assert settled(nginx) <= before + 2


def test_half_of_the_clients_leave_and_the_other_half_gets_its_pages(serve, fake_redis):
    fake_redis.on_get = slow(0.005)
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 3s;", target=fake_redis.url)
    clients = [Raw(nginx.port) for _ in range(60)]
    for n, client in enumerate(clients):
        client.send(request_bytes(f"/{n}"))
    for client in clients[::2]:
        client.close()
    for n, client in list(enumerate(clients))[1::2]:
        response = client.response()
        assert (response.status, response.body) == (200, f"page of {n}".encode())
        client.close()


def test_clients_that_reset_the_connection(serve, fake_redis):
    fake_redis.on_get = slow(0.005)
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 5s;", target=fake_redis.url)
    for n in range(50):
        with Raw(nginx.port) as client:
            client.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER, 0 seconds
            client.send(request_bytes(f"/{n}"))
    assert nginx.get("/after").body == b"page of after"


def test_a_client_that_leaves_while_a_big_page_is_sent(serve, fake_redis):
    reply = bulk(page(b"x" * 4_000_000))
    fake_redis.on_get = lambda conn, key: conn.sendall(reply)
    nginx = serve("redis_cache_timeout 2s; redis_cache_buffers 16m;", target=fake_redis.url)
    for _ in range(20):
        with Raw(nginx.port, receive_buffer=4096) as client:
            client.send(request_bytes("/big"))
            client.socket.recv(1000)
    assert len(nginx.get("/big").body) == 4_000_000


def test_the_first_of_many_who_ask_for_one_page_leaves(serve, fake_redis):
    fake_redis.on_get = slow(0.05)
    nginx = serve("redis_cache_breaker off; redis_cache_timeout 5s;", target=fake_redis.url)
    for n in range(10):
        clients = [Raw(nginx.port) for _ in range(5)]
        for client in clients:
            client.send(request_bytes(f"/{n}"))
        time.sleep(0.01)
        clients[0].close()
        for client in clients[1:]:
            assert client.response().body == f"page of {n}".encode()
            client.close()


def test_a_redis_that_is_down_costs_no_descriptor(serve, fake_redis):
    fake_redis.stop()
    nginx = serve("redis_cache_breaker off;", target=fake_redis.url)
    nginx.get("/first")
    before = settled(nginx)
    for n in range(200):
        assert nginx.get(f"/{n}").body == f"app GET /{n}".encode()
    assert settled(nginx) <= before + 2
