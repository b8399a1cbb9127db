"""A site of very many locations: nginx starts, reloads, and finds the one that is meant; a process
keeps no memory of a configuration that is gone."""

import pytest
from support.memory import resident
from support.ports import wait_for
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

COUNT = 9_000


def test_nine_thousand_locations(serve, redis, origin):
    places = "".join(
        f"location /{n}/ {{ redis_cache_pass {redis.url}; redis_cache_fallback @app;"
        f" redis_cache_key $uri prefix={n}:; }}\n"
        for n in range(COUNT)
    )
    nginx = serve(locations=places)
    for n in [0, 1, COUNT // 2, COUNT - 1]:
        redis.set(f"{n}:/{n}/p", page(f"stored {n}"))
        assert nginx.get(f"/{n}/p").body == b"stored %d" % n
        assert nginx.get(f"/{n}/q").body == b"app GET /%d/q" % n
    redis.set(key_of(nginx, f"/{COUNT}/p"), page("of no location"))
    assert nginx.get(f"/{COUNT}/p").body == b"of no location"
    with redis.client() as client:
        ours = [entry for entry in client.client_list() if entry["name"] == "nginx-redis-cache"]
    assert len(ours) <= 2
    memory = []
    for _ in range(2):
        before = set(nginx.workers())
        nginx.reload()
        wait_for(lambda b=before: set(nginx.workers()).isdisjoint(b), "a reload", 60)
        wait_for(nginx.workers, "a new worker")
        assert nginx.get("/1/p").body == b"stored 1"
        memory.append(resident([nginx.process.pid]))
    assert memory[-1] <= memory[0] * 1.1
