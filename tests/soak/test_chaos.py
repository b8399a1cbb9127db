"""Clients that reset connections and streams at any moment, changes whose answers are held,
includes, granted pages, reloads and a wire to Redis that is cut, all at once: nobody gets a wrong
page, no worker dies, and nothing stays parked.

CHAOS_SECONDS is how long each takes, CHAOS_SEED the seed that a run before printed.
"""

import os
import random
import re
import threading
import time

import pytest
from support.chaos import HOST, Application, Chaos, text, trouble
from support.ports import free_port, wait_for
from support.proxy import Proxy

pytestmark = pytest.mark.engines("event", "blocking")

SECONDS = float(os.environ.get("CHAOS_SECONDS") or (60 if os.environ.get("SOAK") == "full" else 2.5))
RELOADS_EVERY = min(7, SECONDS / 2)
WORKERS = 2
CACHE = """
    redis_cache_connect_timeout 300ms;
    redis_cache_timeout 300ms;
    redis_cache_breaker fails=5 timeout=100ms;
    redis_cache_revalidate on;
    redis_cache_status_header on;
"""


@pytest.fixture
def seed():
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")
    return seed


@pytest.fixture
def proxy(redis, seed):
    proxy = Proxy(redis.port, seed)
    yield proxy
    proxy.stop()


@pytest.fixture
def application(raw_origin, seed):
    raw_origin.answer = Application(random.Random(f"{seed} application"))
    return raw_origin


def places(door, redis, application) -> str:
    app = f"proxy_pass {application.url}; proxy_set_header Host $http_host;"
    cache = {
        "pass": f"redis_cache_pass {redis.url}; redis_cache_fallback @app;",
        "in_place": f"redis_cache {redis.url}; {app}",
    }[door]
    return f"""
        ssi on;
        redis_cache_store on;
        location / {{ {cache} redis_cache_compress gzip min_length=0 types=*; }}
        location /granted/ {{ auth_request /auth; {cache} }}
        location @app {{ {app} }}
        location = /auth {{
            {app} proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
        location = /nginx {{ stub_status; }}
    """


def connections(nginx) -> int:
    """How many there are, without the one that asks."""
    return int(re.search(rb"Active connections: (\d+)", nginx.get("/nginx").body)[1]) - 1


def test_chaos(start_nginx, door, io, proxy, application, seed):
    http2 = free_port()
    nginx = start_nginx(
        http=f"redis_cache_io {io}; {CACHE}",
        server=f"listen 127.0.0.1:{http2} http2; {places(door, proxy, application)}",
        workers=WORKERS,
    )
    over, reloads = threading.Event(), 0
    wire = threading.Thread(target=trouble, args=(proxy, random.Random(f"{seed} wire"), over))
    with Chaos(nginx, http2, seed) as chaos:
        wire.start()
        end = time.monotonic() + SECONDS
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(RELOADS_EVERY, left))
            nginx.reload()
            reloads += 1
        over.set()
        wire.join()
    print(dict(chaos.done), "reloads", reloads, "lost", chaos.lost)
    assert not chaos.wrong, chaos.wrong[:5]
    assert min(chaos.done.get(action, 0) for action in ("ask", "leave", "streams")) > 3
    # A worker that exits closes idle connections; each client has one of either kind.
    assert chaos.lost <= 2 * reloads * len(chaos.running)
    wait_for(lambda: len(nginx.workers()) == WORKERS, "old workers to end", 20)
    wait_for(lambda: connections(nginx) == len(nginx.left_open()), "nobody to be left", 10)
    hits = lambda: (r := nginx.client(host=HOST).get("/p/1")).body == text("/p/1") and r.cache  # noqa: E731
    wait_for(lambda: (hits() or ("",))[0] == "hit", "hits to return", 10)
    died = re.findall(r".*exited (?!with code 0).*", nginx.error_log())
    assert not died, died
