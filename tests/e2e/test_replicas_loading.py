"""A replica that is loading its data is left out, whatever it says meanwhile."""

import os
import shutil
import time

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.ports import wait_for
from support.redis_server import RedisServer
from support.stored import key_of
from support.upstream import BREAKER, QUICK, asked, put, start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


def is_loading(server) -> bool:
    with server.client(retry=Retry(NoBackoff(), 0)) as client:
        return client.info("persistence")["loading"] == 1


@pytest.fixture
def slow_replica(redis, tmp_path):
    """A replica with data that takes it some seconds to load."""
    with redis.client() as client:
        for n in range(400):
            client.set(f"filler:{n}", os.urandom(1100))
        client.save()
    replica = RedisServer(
        tmp_path / "replica", "--key-load-delay", "10000",
        "--loading-process-events-interval-bytes", "1024", "--repl-ping-replica-period", "1",
        "--replicaof", f"127.0.0.1 {redis.port}", "--repl-diskless-sync-delay", "0",
    )  # fmt: skip
    shutil.copy(redis.directory / "dump.rdb", replica.directory / "dump.rdb")
    yield replica
    replica.stop()


def block(primary, replica):
    return f"server {primary.url}; server {replica.url} replica; read replica; {BREAKER}"


def test_a_replica_that_loads(store, redis, slow_replica):
    slow_replica.start()
    assert is_loading(slow_replica)
    nginx = start(store, block(redis, slow_replica), QUICK)
    redis.set(key_of(nginx, "/p"), stored("primary's"))
    wait_for(lambda: nginx.get("/p").body == b"primary's", "the page of the primary", 3)
    seen = 0
    while is_loading(slow_replica):
        assert nginx.get("/p").body == b"primary's"
        seen += 1
    assert seen > 20
    wait_for(lambda: asked(nginx.get("/p")) == slow_replica.port, "the replica to be asked", 20)
    assert nginx.get("/p").body == b"primary's"


def test_a_replica_that_is_started_anew_while_it_is_asked(store, redis, slow_replica):
    with slow_replica.start().client() as client:
        client.config_set("key-load-delay", 0)
        wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the link", 30)
    nginx = start(store, block(redis, slow_replica), QUICK)
    redis.set(key_of(nginx, "/p"), stored("page"))
    wait_for(lambda: asked(nginx.get("/p")) == slow_replica.port, "the replica", 5)
    wait_for(lambda: nginx.get("/p").body == b"page", "the page", 5)
    slow_replica.kill()
    slow_replica.start()
    assert is_loading(slow_replica)
    wait_for(lambda: nginx.get("/p").body == b"page", "the page of the primary", 3)
    while is_loading(slow_replica):
        response = nginx.get("/p")
        assert (response.body, asked(response)) == (b"page", redis.port)
    wait_for(lambda: asked(nginx.get("/p")) == slow_replica.port, "the replica again", 30)


@pytest.mark.parametrize("says", ["everything", "reads"])
def test_a_server_that_says_so_for_ever(store, redis, fake_redis, says):
    def on_command(conn, words):
        name = words[0].upper()
        mute = name == b"GET" if says == "reads" else name not in (b"HELLO", b"AUTH", b"SELECT")
        if mute:
            conn.sendall(LOADING)
        return mute

    fake_redis.on_command = on_command
    nginx = start(store, block(redis, fake_redis), QUICK)
    put([redis], nginx, "/p")
    page = f"{redis.port} /p".encode()
    wait_for(lambda: nginx.get("/p").body == page, "the page of the primary", 5)
    bodies = []
    for _ in range(60):
        bodies.append(nginx.get("/p").body)
        time.sleep(0.02)
    assert set(bodies) <= {page, b"app /p"} and bodies.count(page) >= 50, bodies
