"""Everything that can go wrong with Redis and with clients, under load. Every response is checked
against the key that was asked for: no wrong page, no 5xx, no request that hangs, and at the end no
memory or descriptor more than at the beginning.

SOAK=full (`make soak`) runs the long form; `make test` the short one.
"""

import os
import signal
import subprocess
import time

import pytest
from support.load import Load
from support.memory import resident
from support.ports import wait_for
from support.proxy import Proxy
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

FULL = os.environ.get("SOAK") == "full"


def scaled(short, full):
    return full if FULL else short


LOCATION = """
    redis_cache_breaker fails=5 timeout=100ms;
    redis_cache_timeout 150ms;
    redis_cache_status_header on;
"""


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.stop()


def fill(nginx, redis, size=0):
    """Pages for /0 to /9 as support.load expects them; `size` pads them with a header."""
    headers = [("X-Padding", "x" * size)] if size else []
    for n in range(10):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored /{n}", headers=headers, line=fresh_line(10**8)))


def check(load, hits=True):
    assert not load.wrong, load.wrong[:5]
    assert load.slowest < 5
    assert load.done
    if hits:
        assert load.stored


def hits_return(nginx):
    wait_for(lambda: nginx.get("/1").body == b"stored /1", "hits to return", 10)


def descriptors(nginx) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in nginx.workers())


def test_redis_killed_and_restarted(serve, redis):
    nginx = serve(LOCATION)
    fill(nginx, redis)
    with Load(nginx, threads=8) as load:
        for _ in range(scaled(3, 20)):
            time.sleep(0.3)
            redis.kill()
            time.sleep(0.3)
            redis.start()
            fill(nginx, redis)
    check(load)
    hits_return(nginx)


def test_redis_stopped_and_continued(serve, redis):
    nginx = serve(LOCATION)
    fill(nginx, redis)
    with Load(nginx, threads=8) as load:
        for _ in range(scaled(3, 20)):
            time.sleep(0.3)
            redis.pause()
            time.sleep(0.4)
            redis.resume()
    check(load)
    hits_return(nginx)


@pytest.mark.parametrize("fault", ["cut", "delay", "cut and delay", "garbage", "endless", "reset"])
def test_a_bad_line_to_redis(serve, redis, proxy, fault):
    nginx = serve(LOCATION, target=proxy.url)
    fill(nginx, redis, size=3000)
    hits_return(nginx)
    proxy.cut = "cut" in fault
    proxy.delay = 0.05 if "delay" in fault else 0
    with Load(nginx, threads=8) as load:
        for _ in range(scaled(4, 40)):
            proxy.garbage = fault == "garbage"
            proxy.endless = fault == "endless"
            if fault == "reset":
                proxy.break_all()
            time.sleep(0.25)
            proxy.garbage = proxy.endless = False
            time.sleep(0.25)
    check(load)
    proxy.cut, proxy.delay = False, 0
    hits_return(nginx)


def test_late_replies_after_timeouts(serve, redis, proxy):
    """Replies come just before and just after the deadline, for hours in the long form."""
    nginx = serve("redis_cache_timeout 30ms; redis_cache_breaker off;", target=proxy.url)
    fill(nginx, redis)
    hits_return(nginx)
    proxy.delay = 0.06
    with Load(nginx, threads=8) as load:
        time.sleep(scaled(3, 60))
    check(load)
    assert load.application, "no reply was late"


def test_clients_that_leave(serve, redis, proxy):
    nginx = serve("redis_cache_timeout 2s;", target=proxy.url)
    fill(nginx, redis)
    hits_return(nginx)
    proxy.delay = 0.02
    before, workers = descriptors(nginx), nginx.workers()
    for _ in range(scaled(10, 200)):
        clients = [Raw(nginx.port) for _ in range(50)]
        for n, client in enumerate(clients):
            client.send(request_bytes(f"/{n % 10}", host=f"127.0.0.1:{nginx.port}"))
        for n, client in enumerate(clients):
            if n % 5 == 0:
                assert client.response().body == f"stored /{n % 10}".encode()
            client.close()
    proxy.delay = 0
    hits_return(nginx)
    wait_for(lambda: descriptors(nginx) <= before + 2, "descriptors to close")
    assert nginx.workers() == workers


def test_reloads_under_load(serve, redis):
    nginx = serve(LOCATION)
    fill(nginx, redis)
    with Load(nginx, threads=4, keepalive=False) as load:
        for _ in range(scaled(10, 100)):
            nginx.reload()
            time.sleep(0.15)
    check(load)
    wait_for(lambda: len(nginx.workers()) == 1, "old workers to end", 20)


def test_a_worker_killed_under_load(serve, redis):
    """What the killed worker held is lost with it, as with any nginx; nothing else is."""
    nginx = serve(LOCATION, workers=2, allow_alerts=True)
    fill(nginx, redis)
    with Load(nginx, threads=4, keepalive=False) as load:
        for _ in range(scaled(3, 20)):
            time.sleep(0.3)
            os.kill(nginx.workers()[0], signal.SIGKILL)
            wait_for(lambda: len(nginx.workers()) == 2, "a new worker")
    served_wrong = [entry for entry in load.wrong if not isinstance(entry[1], str)]
    assert not served_wrong, served_wrong[:5]
    assert load.stored > len(load.wrong)
    hits_return(nginx)


def test_memory_stays_flat(serve, redis):
    nginx = serve("redis_cache_timeout 2s;", http="keepalive_requests 10000000;")
    fill(nginx, redis, size=3000)
    large = b"x" * 1_000_000
    redis.set(key_of(nginx, "/large"), page(large, line=fresh_line(10**8)))

    def burst(requests):
        for path, share in [("/large", 0.1), ("/missing", 0.2), ("/1", 0.7)]:
            command = ["wrk", "-t1", "-c32", f"-d{max(1, round(requests * share))}s"]
            subprocess.run([*command, f"http://127.0.0.1:{nginx.port}{path}"], check=True,
                           stdout=subprocess.DEVNULL)  # fmt: skip

    for _ in range(2):
        burst(scaled(3, 30))
    before = resident(nginx.workers())
    for _ in range(scaled(2, 5)):
        burst(scaled(3, 30))
    after = resident(nginx.workers())
    assert after <= before * 1.15 + 4096, (before, after)
    assert descriptors(nginx) < 100
