"""A backup is asked while the server of a key is out, and hears of every invalidation."""

import time

import pytest
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.redis_server import RedisServer
from support.stored import key_of
from support.upstream import BREAKER, QUICK, asked, put, start, stored


@pytest.fixture
def servers(tmp_path):
    servers = [RedisServer(tmp_path / f"server{n}").start() for n in range(2)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def nginx(store, servers, origin):
    origin.answer = lambda asked: Answer(b"app " + asked.target.encode(), headers=FRESH)
    primary, backup = servers
    block = f"server {primary.url}; server {backup.url} backup; {BREAKER}"
    return start(store, block, QUICK)


def of(server, target="/p") -> bytes:
    return f"{server.port} {target}".encode()


def gone(server, nginx, target="/p") -> bool:
    with server.client() as client:
        return b"gone=" in (client.get(key_of(nginx, target)) or b"")


def test_it_is_left_alone_while_the_primary_is_well(nginx, servers):
    put(servers, nginx, "/p")
    for _ in range(10):
        assert nginx.get("/p").body == of(servers[0])
    for n in range(10):
        nginx.get(f"/{n}")
    with servers[1].client() as client:
        assert client.keys("page:*") == [key_of(nginx, "/p").encode()]
        assert client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"] == 0


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_it_is_asked_while_the_primary_is_out(nginx, servers, fault):
    primary, backup = servers
    put(servers, nginx, "/p")
    assert nginx.get("/p").body == of(primary)
    getattr(primary, fault)()
    wait_for(lambda: nginx.get("/p").body == of(backup), "the backup's page", 5)
    # Only the requests that find out may cost the application something.
    found = [nginx.get("/p").body for _ in range(30)]
    assert set(found) <= {of(backup), b"app /p"} and found.count(of(backup)) >= 25
    primary.start() if fault == "kill" else primary.resume()
    put(servers, nginx, "/p")
    wait_for(lambda: nginx.get("/p").body == of(primary), "the primary's page", 5)
    time.sleep(0.3)
    assert all(asked(nginx.get("/p")) == primary.port for _ in range(10))


def test_it_is_asked_where_the_primary_was_never_there(store, servers):
    primary, backup = servers
    primary.kill()
    nginx = start(store, f"server {primary.url}; server {backup.url} backup; {BREAKER}", QUICK)
    put([backup], nginx, "/p")
    wait_for(lambda: nginx.get("/p").body == of(backup), "the backup's page", 3)


def test_pages_are_stored_in_it_meanwhile(nginx, servers):
    primary, backup = servers
    primary.kill()

    def hit():
        return nginx.get("/new").cache[0] == "hit"

    wait_for(hit, "a hit of the backup", 5, 0.05)
    assert asked(nginx.get("/new")) == backup.port


def test_both_out(nginx, servers):
    for server in servers:
        server.kill()
    for n in range(10):
        assert nginx.get(f"/{n}").body == f"app /{n}".encode()
    servers[1].start()
    put(servers[1:], nginx, "/p")
    wait_for(lambda: nginx.get("/p").body == of(servers[1]), "the backup's page", 5)


def test_an_invalidation_reaches_both(nginx, servers):
    put(servers, nginx, "/p")
    assert nginx.request("POST", "/p", body=b"x").status == 200
    assert gone(servers[0], nginx) and gone(servers[1], nginx)


@pytest.mark.parametrize("out", [0, 1])
def test_an_invalidation_while_one_of_them_is_out(nginx, servers, out):
    put(servers, nginx, "/p")
    nginx.get("/p")
    servers[out].kill()
    began = time.monotonic()
    assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
    assert time.monotonic() - began < 1.5
    assert gone(servers[1 - out], nginx)


def test_a_page_that_the_backup_kept_is_not_older_than_an_invalidation(nginx, servers):
    """Stored in the backup while the primary was out, invalidated when it was back."""
    primary, backup = servers
    primary.kill()
    wait_for(lambda: nginx.get("/p").cache[0] == "hit", "a hit of the backup", 5, 0.05)
    primary.start()
    wait_for(lambda: asked(nginx.get("/p")) == primary.port, "the primary", 5, 0.05)
    nginx.request("POST", "/p", body=b"x")
    assert gone(backup, nginx)
    primary.kill()
    assert nginx.get("/p").body == b"app /p"


def test_a_value_that_is_no_page_is_no_reason_to_ask_the_backup(nginx, servers):
    servers[0].set(key_of(nginx, "/p"), "no page")
    servers[1].set(key_of(nginx, "/p"), stored("backup"))
    for _ in range(5):
        assert nginx.get("/p").body == b"app /p"


def test_with_several_servers_it_stands_in_for_each(store, servers, tmp_path, origin):
    third = RedisServer(tmp_path / "third").start()
    try:
        first, second = servers
        block = f"server {first.url}; server {second.url}; server {third.url} backup; {BREAKER}"
        nginx = start(store, block, QUICK)
        for n in range(20):
            put([first, second, third], nginx, f"/{n}")
        found = {n: asked(nginx.get(f"/{n}")) for n in range(20)}
        first.kill()
        wait_for(lambda: any(asked(nginx.get(f"/{n}")) == third.port for n in range(20)), "it", 5)
        for n in range(20):
            wanted = of(third if found[n] == first.port else second, f"/{n}")
            wait_for(lambda n=n, w=wanted: nginx.get(f"/{n}").body == w, f"/{n}", 3)
    finally:
        third.stop()
