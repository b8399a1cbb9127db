"""An invalidation while the server of a page is out is carried out where the page is then: on that
server, on the one that took its place, on a backup."""

import time

import pytest
from support.cluster import Cluster
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.redis_server import RedisServer
from support.sentinel import Watched
from support.stored import key_of
from support.upstream import BREAKER, QUICK, start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
SECONDS = 3


class Pair:
    """A server of several, or one with a backup."""

    def __init__(self, directory, backup):
        self.servers = [RedisServer(directory / f"server{n}") for n in range(2)]
        self.block = f"server {self.servers[0].url}; {BREAKER}"
        self.block += f"server {self.servers[1].url} backup;" if backup else ""

    def start(self):
        for server in self.servers:
            server.start()
        return self

    def stop(self):
        for server in self.servers:
            server.stop()

    def lay(self, key, value):
        self.servers[0].set(key, value)
        return self.servers[0]

    def recover(self, server):
        server.resume()


class Sentinels(Watched):
    block = property(lambda self: f"{self.directive} db 1;")

    def lay(self, key, value):
        self.set(key, value)
        for server in self.replicas:
            self.wait_for_key(server, key)
        return self.primary

    def recover(self, server):
        self.wait_primary(server)


class Nodes(Cluster):
    """All primaries are in the configuration: the one that dies is too."""

    @property
    def block(self) -> str:
        return "cluster;" + "".join(f" server {node.url};" for node in self.primaries)

    def lay(self, key, value):
        self.set(key, value)
        owner = self.owner_of(key)
        with self.connect(owner) as client:
            client.wait(1, 2000)
        return owner

    def start(self):
        super().start()
        self.heirs = {node.port: self.replica_of(node) for node in self.primaries}
        return self

    def recover(self, server):
        self.wait_primary(self.heirs[server.port])


@pytest.fixture(params=["one", "backup", "sentinels", "cluster"])
def place(request, tmp_path):
    place = {
        "one": lambda: Pair(tmp_path, False),
        "backup": lambda: Pair(tmp_path, True),
        "sentinels": lambda: Sentinels(tmp_path),
        "cluster": lambda: Nodes(tmp_path, replicas=1),
    }[request.param]()
    try:
        yield place.start()
    finally:
        place.stop()


@pytest.mark.parametrize("times", [1, 3])
def test_a_page_is_invalidated_while_its_server_hangs(store, place, times):
    """Three times, so that the first finds out and the last finds the breaker open."""
    nginx = start(store, place.block)
    key = key_of(nginx, "/p")
    wait_for(lambda: nginx.get("/warm").cache[0] == "hit", "a hit", SECONDS)
    server = place.lay(key, stored("old"))
    assert nginx.get("/p").body == b"old"
    server.pause()
    for _ in range(times):
        response = nginx.request("POST", "/p", body=b"x")
        assert (response.status, response.body) == (200, b"app /p")
        time.sleep(0.2)
    place.recover(server)
    end = time.monotonic() + SECONDS
    seen = set()
    while time.monotonic() < end:
        response = nginx.get("/p")
        assert response.status == 200 and response.body == b"app /p", (response.cache, seen)
        seen.add(response.cache)
        time.sleep(0.01)
    assert ("hit", "fresh") in seen
    if server.paused:
        server.resume()
        for _ in range(50):
            assert nginx.get("/p").body == b"app /p"
            time.sleep(0.02)


def test_a_page_that_the_answer_names_is_invalidated_too(store, place, origin):
    """The first of two tombstones has used up the time of its request."""
    nginx = start(store, place.block)
    wait_for(lambda: nginx.get("/warm").cache[0] == "hit", "a hit", SECONDS)
    server = place.lay(key_of(nginx, "/p"), stored("old"))
    laid = (f"/named{n}" for n in range(50))
    named = next(to for to in laid if place.lay(key_of(nginx, to), stored("old")) is server)
    assert nginx.get("/p").body == nginx.get(named).body == b"old"

    def answer(asked):
        location = [("Location", named)] if asked.method == "POST" else []
        return Answer(b"app", headers=[*FRESH, *location])

    origin.answer = answer
    server.pause()
    assert nginx.request("POST", "/p", body=b"x").body == b"app"
    place.recover(server)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert nginx.get("/p").body == nginx.get(named).body == b"app"
        time.sleep(0.01)


def test_every_backup_is_told(store, tmp_path):
    servers = [RedisServer(tmp_path / f"server{n}").start() for n in range(3)]
    try:
        first, *backups = servers
        block = f"server {first.url};" + "".join(f"server {s.url} backup;" for s in backups)
        nginx = start(store, f"{block} {BREAKER}", QUICK)
        key = key_of(nginx, "/p")
        for server in servers:
            server.set(key, stored("old"))
        assert nginx.get("/p").body == b"old"
        backups[1].pause()
        assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
        assert all(b"gone=" in server.client().get(key) for server in servers[:2])
        backups[1].resume()
        wait_for(lambda: b"gone=" in backups[1].client().get(key), "the second backup", SECONDS)
        first.kill()
        backups[0].kill()
        for _ in range(30):
            assert nginx.get("/p").body == b"app /p"
            time.sleep(0.02)
    finally:
        for server in servers:
            server.stop()
