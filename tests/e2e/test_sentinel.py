"""A primary that Sentinels name: found at the start, followed when it changes, whatever becomes of
some of the Sentinels."""

import re
import time

import pytest
from support.ports import free_port, wait_for
from support.sentinel import Watched
from support.stored import key_of
from support.upstream import asked, start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
# Hits come back within this many seconds of the servers' own recovery.
PROMISE = 2


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "watched")
    try:
        yield watched.start()
    finally:
        watched.stop()


def begin(store, watched, *before, more="", location="", name=None, **arguments):
    """An nginx that asks the Sentinels, and those at the ports `before` first."""
    first = "".join(f"127.0.0.1:{port} " for port in before)
    block = f"sentinel {name or watched.name} {first} {watched.addresses}; db 1; {more}"
    return start(store, block, location, **arguments)


def lay(watched, nginx, target="/p", text="stored"):
    """A page on all servers."""
    watched.set(key_of(nginx, target), stored(text))
    for server in watched.replicas:
        if server.answers():
            watched.wait_for_key(server, key_of(nginx, target))


def is_hit(nginx, server=None, target="/p", body=b"stored"):
    response = nginx.get(target)
    assert response.status == 200 and response.body in (body, b"app " + target.encode())
    return response.body == body and (server is None or asked(response) == server.port)


def hits(nginx, server, seconds=PROMISE, **arguments):
    """Waits for hits of a server, and sees that they stay."""
    wait_for(lambda: is_hit(nginx, server, **arguments), f"hits of {server.name}", seconds)
    assert all(is_hit(nginx, server, **arguments) for _ in range(20))


def primaries_in(log):
    return re.findall(r"upstream pages: the primary is \S*?:(\d+)", log)


def test_the_primary_is_found(store, watched):
    nginx = begin(store, watched)
    lay(watched, nginx)
    hits(nginx, watched.primary)
    assert nginx.get("/p").header("X-Server") == watched.primary.name
    assert primaries_in(nginx.error_log()) == [str(watched.primary.port)]


def test_the_first_request_waits_for_the_answer_within_its_budget(store, watched):
    nginx = begin(store, watched)
    response = nginx.get("/first")
    assert response.body == b"app /first"
    assert response.cache[1].partition("/")[0] in ("absent", "topology")


def test_the_database_is_0_by_default(store, watched):
    nginx = start(store, watched.directive)
    name = f"127.0.0.1:{watched.primary.port}/0"
    wait_for(lambda: nginx.get("/p").header("X-Server") == name, "its name", PROMISE)


def test_stores_and_invalidations(store, watched):
    nginx = begin(store, watched)
    wait_for(lambda: nginx.get("/p").cache == ("hit", "fresh"), "a hit", PROMISE)
    assert nginx.request("POST", "/p", body=b"x").status == 200
    with watched.connect(watched.primary) as client:
        assert b"gone=" in client.get(key_of(nginx, "/p"))
    assert nginx.get("/p").cache[0] != "hit"


@pytest.mark.parametrize("before", ["refusing", "silent", "both"])
def test_sentinels_that_are_dead_stand_first(store, watched, silent, before):
    dead = [free_port()] if before in ("refusing", "both") else []
    dead += [silent] if before in ("silent", "both") else []
    nginx = begin(store, watched, *dead)
    lay(watched, nginx)
    hits(nginx, watched.primary)
    new = watched.fail_over()
    hits(nginx, new)


def test_no_sentinel_is_there_yet(store, watched):
    for sentinel in watched.sentinels:
        sentinel.stop()
    nginx = begin(store, watched)
    for n in range(5):
        response = nginx.get(f"/{n}")
        assert response.body == f"app /{n}".encode()
        assert response.cache[1].partition("/")[0] == "topology"
    assert "topology" in nginx.error_log()
    watched.start_sentinels()
    lay(watched, nginx)
    hits(nginx, watched.primary)


def test_all_sentinels_die_later(store, watched):
    nginx = begin(store, watched)
    lay(watched, nginx)
    hits(nginx, watched.primary)
    primary = watched.primary
    for sentinel in watched.sentinels:
        sentinel.kill()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert is_hit(nginx, primary)
        time.sleep(0.02)
    nginx.reload()
    time.sleep(0.5)
    assert nginx.get("/p").body in (b"stored", b"app /p")


@pytest.mark.parametrize("how", ["told", "kill", "pause"])
def test_a_failover(store, watched, how):
    nginx = begin(store, watched)
    lay(watched, nginx)
    old = watched.primary
    hits(nginx, old)
    if how == "told":
        new = watched.fail_over()
    else:
        getattr(old, how)()
        new = watched.wait_primary(old)
    hits(nginx, new)
    assert primaries_in(nginx.error_log())[-1] == str(new.port)
    old.start() if how == "kill" else old.resume()
    watched.wait_replicas()
    hits(nginx, new)
    wait_for(lambda: nginx.get("/later").cache == ("hit", "fresh"), "a page to be stored", PROMISE)
    with watched.connect(new) as client:
        assert client.exists(key_of(nginx, "/later"))


def test_a_failover_and_back(store, watched):
    nginx = begin(store, watched)
    lay(watched, nginx)
    first = watched.primary
    hits(nginx, first)
    for _ in range(6):
        before = watched.primary
        # Sentinel chooses; with two replicas it may take some rounds until it is the first again.
        new = watched.fail_over()
        watched.wait_replicas()
        assert new is not before
        hits(nginx, new)
        if new is first:
            break
        time.sleep(0.5)


def test_a_failover_while_nothing_is_asked(store, watched):
    """Nobody has to fall over the old primary first."""
    nginx = begin(store, watched)
    lay(watched, nginx)
    hits(nginx, watched.primary)
    old = watched.primary
    old.kill()
    new = watched.wait_primary(old)
    time.sleep(PROMISE)
    assert all(is_hit(nginx, new) for _ in range(20))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_failover_while_a_sentinel_is_paused(store, watched, which):
    nginx = begin(store, watched)
    lay(watched, nginx)
    old = watched.primary
    hits(nginx, old)
    watched.sentinels[which].pause()
    old.kill()
    new = watched.wait_primary(old)
    hits(nginx, new)
    watched.sentinels[which].resume()
    time.sleep(1)
    assert all(is_hit(nginx, new) for _ in range(20))


def test_sentinels_come_and_go(store, watched):
    nginx = begin(store, watched)
    lay(watched, nginx)
    for sentinel in watched.sentinels:
        sentinel.kill()
        hits(nginx, watched.primary)
        sentinel.start()
        time.sleep(0.5)
    old = watched.primary
    old.kill()
    hits(nginx, watched.wait_primary(old, 60))


def test_reloads(store, watched):
    nginx = begin(store, watched)
    lay(watched, nginx)
    hits(nginx, watched.primary)
    for _ in range(3):
        nginx.reload()
        wait_for(lambda: is_hit(nginx, watched.primary), "hits", PROMISE)
    new = watched.fail_over()
    before = set(nginx.workers())
    nginx.reload()
    # They go on accepting for a moment.
    wait_for(lambda: not before & set(nginx.workers()), "the old workers to end", 10)
    hits(nginx, new)


def test_two_workers(store, watched):
    nginx = begin(store, watched, workers=2)
    lay(watched, nginx)
    old = watched.primary
    hits(nginx, old)
    old.kill()
    new = watched.wait_primary(old)
    time.sleep(PROMISE)
    assert all(is_hit(nginx, new) for _ in range(50))


def test_reads_from_the_replicas_that_sentinel_names(store, watched):
    nginx = begin(store, watched, more="read replica;")
    lay(watched, nginx)

    def served_by():
        with nginx.client() as client:
            return {asked(client.get(f"/{n}")) for n in range(40)}

    expected = {server.port for server in watched.replicas}
    wait_for(lambda: served_by() == expected, "reads from both replicas", 5)
    new = watched.fail_over()
    watched.wait_replicas()
    expected = {server.port for server in watched.replicas}
    assert new.port not in expected
    wait_for(lambda: served_by() == expected, "reads from the replicas of now", 10)
    wait_for(lambda: is_hit(nginx), "hits", PROMISE)
    gone = watched.replicas[0]
    gone.kill()
    wait_for(lambda: gone.port not in served_by() and is_hit(nginx), "reads from the other", 5)
    assert all(is_hit(nginx) for _ in range(20))
