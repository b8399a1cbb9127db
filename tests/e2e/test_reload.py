"""A reload loses no request and takes the new configuration over; a worker that exits waits for its
parked requests and for nothing else."""

import signal
import threading
import time

import pytest
from support.fake_redis import bulk
from support.load import Load
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")


def fill(nginx, redis):
    for n in range(10):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}"))


def reload(nginx):
    """Reloads and waits for the new worker."""
    before = set(nginx.workers())
    nginx.reload()
    wait_for(lambda: set(nginx.workers()) - before, "a new worker")
    return before


def gone(nginx, workers):
    wait_for(lambda: not set(nginx.workers()) & workers, "the old worker to end", 10)


def test_twenty_reloads_under_load(serve, redis):
    nginx = serve("redis_cache_timeout 2s;")
    fill(nginx, redis)
    old = set()
    with Load(nginx, threads=4, keepalive=False) as load:
        for _ in range(20):
            old |= reload(nginx)
            known = load.done
            wait_for(lambda known=known: load.done > known + 20, "requests")
    assert not load.wrong
    assert load.application == 0 and load.stored > 400
    gone(nginx, old)


def test_a_change_takes_effect(serve, redis):
    nginx = serve("redis_cache_key $uri prefix=old:;")
    redis.set("old:/p", page("old"))
    redis.set("new:/p", page("new"))
    assert nginx.get("/p").body == b"old"
    nginx.write_config(nginx.config.replace("prefix=old:", "prefix=new:"))
    gone(nginx, reload(nginx))
    assert nginx.get("/p").body == b"new"


def test_a_wrong_configuration_is_not_taken_over(serve, redis):
    nginx = serve(allow_alerts=True)
    fill(nginx, redis)
    nginx.write_config(nginx.config.replace("redis_cache_fallback @app", "redis_cache_queue x"))
    nginx.reload()
    wait_for(lambda: "redis_cache_queue" in nginx.error_log(), "the refusal")
    assert nginx.get("/1").body == b"stored /1"


def slow(seconds):
    def answer(conn, key):
        time.sleep(seconds)
        conn.sendall(bulk(page(b"page of " + key.rsplit(b"/", 1)[1])))

    return answer


@pytest.mark.parametrize("how", ["reload", "quit"])
def test_parked_requests_are_answered_before_the_worker_ends(serve, io, fake_redis, how):
    fake_redis.on_get = slow(0.1)
    nginx = serve("redis_cache_timeout 5s;", target=fake_redis.url)
    # A worker that is held by a query has not accepted the other clients yet.
    clients = [Raw(nginx.port) for _ in range(1 if io == "blocking" else 5)]
    for n, client in enumerate(clients):
        client.send(request_bytes(f"/{n}"))
    wait_for(lambda: fake_redis.gets(), "the first lookup")
    time.sleep(0.05)
    if how == "reload":
        old = reload(nginx)
    else:
        nginx.process.send_signal(signal.SIGQUIT)
    for n, client in enumerate(clients):
        assert client.response().body == b"page of %d" % n
        client.close()
    if how == "reload":
        gone(nginx, old)
    else:
        nginx.process.wait(5)


def test_quit_is_prompt_with_idle_connections_to_redis(serve, redis):
    nginx = serve("redis_cache_connections 8;")
    fill(nginx, redis)
    for n in range(10):
        assert nginx.get(f"/{n}").body == f"stored /{n}".encode()
    began = time.monotonic()
    nginx.stop()
    assert time.monotonic() - began < 2


def test_quit_while_redis_hangs_takes_no_longer_than_the_budget(serve, io, redis):
    nginx = serve("redis_cache_timeout 300ms; redis_cache_breaker off;")
    fill(nginx, redis)
    assert nginx.get("/1").body == b"stored /1"
    redis.pause()
    found = []
    # A worker that is held by a query has not accepted the other clients yet.
    count = 1 if io == "blocking" else 3
    threads = [
        threading.Thread(target=lambda: found.append(nginx.get("/1").body)) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    began = time.monotonic()
    nginx.stop()
    assert time.monotonic() - began < 3
    for thread in threads:
        thread.join()
    assert found == [b"app GET /1"] * count
    redis.resume()


def test_old_workers_leave_no_connection_to_redis(serve, redis):
    nginx = serve()
    fill(nginx, redis)

    def connections():
        with redis.client() as client:
            return sum(entry["name"] == "nginx-redis-cache" for entry in client.client_list())

    old = set()
    for _ in range(5):
        for n in range(10):
            nginx.get(f"/{n}")
        old |= reload(nginx)
    gone(nginx, old)
    nginx.get("/1")
    wait_for(lambda: connections() <= 2, "old connections to be closed", 3)


def test_several_workers(serve, redis):
    nginx = serve(workers=3)
    fill(nginx, redis)
    with Load(nginx, threads=4, keepalive=False) as load:
        for _ in range(3):
            reload(nginx)
            known = load.done
            wait_for(lambda known=known: load.done > known + 50, "requests")
    assert not load.wrong and load.application == 0
