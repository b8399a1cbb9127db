"""A server that is there and refuses an invalidation, for a while or for good."""

import signal
import time

import pytest
from support.fake_redis import bulk
from support.ports import wait_for
from support.stored import key_of
from support.upstream import start, stored

pytestmark = [pytest.mark.usefixtures("cacheable"), pytest.mark.doors("in_place")]
QUICK = "redis_cache_timeout 300ms;"
PASSING = {
    "out of memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "disk full": b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    "busy": b"-BUSY Redis is busy running a script\r\n",
    "no replicas": b"-NOREPLICAS Not enough good replicas to write.\r\n",
    "moved, and no cluster": b"-MOVED 12182 127.0.0.1:7999\r\n",
    "ask, and no cluster": b"-ASK 12182 127.0.0.1:7999\r\n",
}


@pytest.fixture
def refusing(fake_redis):
    """It has an old page, and answers SET with `fake_redis.answer`; `sets` counts those."""
    fake_redis.sets = 0

    def on_command(conn, words):
        if words[0].upper() != b"SET":
            return False
        fake_redis.sets += 1
        conn.sendall(fake_redis.answer)
        return True

    fake_redis.on_command = on_command
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(stored("old")))
    return fake_redis


@pytest.mark.parametrize("why", PASSING)
def test_it_is_tried_again_in_measure(store, refusing, why):
    nginx = store(QUICK, target=refusing.url)
    refusing.answer = PASSING[why]
    assert nginx.get("/p").body == b"old"
    assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert nginx.get("/p").body == b"app /p"
        time.sleep(0.05)
    assert 2 <= refusing.sets < 20
    assert any("an invalidation is late" in line for line in nginx.warnings())
    refusing.answer = b"+OK\r\n"
    wait_for(lambda: nginx.get("/p").body == b"old", "it to be looked up again", 5)
    known = refusing.sets
    time.sleep(1)
    assert refusing.sets == known


@pytest.mark.parametrize("answer", [b"-MOVED 1 nonsense\r\n", b"-MOVED\r\n", b"-ASK 1 :0\r\n"])
def test_a_node_that_points_nowhere(store, refusing, answer):
    slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % refusing.port
    on_set = refusing.on_command

    def on_command(conn, words):
        if words[0].upper() == b"CLUSTER":
            conn.sendall(slots)
            return True
        return on_set(conn, words)

    refusing.on_command = on_command
    refusing.answer = answer
    nginx = start(store, f"cluster; server redis://127.0.0.1:{refusing.port};", QUICK)
    wait_for(lambda: nginx.get("/p").body == b"old", "a hit")
    assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
    time.sleep(2)
    assert refusing.sets < 20


def test_a_user_who_may_not_write(store, refusing):
    """There is no use in trying again."""
    nginx = store(QUICK, target=refusing.url)
    refusing.answer = b"-NOPERM this user has no permissions to run the 'set' command\r\n"
    assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
    assert any("an invalidation was dropped: noperm" in line for line in nginx.warnings())
    wait_for(lambda: nginx.get("/p").body == b"old", "it to be looked up", 3)
    assert refusing.sets == 1


def test_a_real_server_without_the_replicas_that_it_wants(store, redis):
    nginx = store(QUICK)
    redis.set(key_of(nginx, "/p"), stored("old"))
    with redis.client() as client:
        client.config_set("min-replicas-to-write", 1)
        assert nginx.request("POST", "/p", body=b"x").body == b"app /p"
        time.sleep(1.5)
        assert nginx.get("/p").body == b"app /p"
        client.config_set("min-replicas-to-write", 0)
        wait_for(lambda: b"gone=" in client.get(key_of(nginx, "/p")), "the tombstone", 3)
    assert nginx.get("/p").body == b"app /p"


def test_a_location_that_blocks_knows_of_it(store, refusing, origin):
    block = f"""location /blocking {{
        redis_cache_io blocking; redis_cache {refusing.url}; redis_cache_key $host/p;
        proxy_pass {origin.url};
    }}"""
    nginx = store(f"{QUICK} redis_cache_key $host/p;", target=refusing.url, locations=block)
    refusing.answer = PASSING["out of memory"]
    assert nginx.get("/blocking").body == b"old"
    nginx.request("POST", "/p", body=b"x")
    for _ in range(10):
        assert nginx.get("/blocking").body == b"app /blocking"
        time.sleep(0.1)


def test_a_process_of_its_own_that_is_told_to_forget_redis(store, refusing):
    """`master_process off`: nginx serves nobody after a reload then, but what is owed goes on."""
    nginx = store(QUICK, target=refusing.url, main="master_process off;", allow_alerts=True)
    refusing.answer = PASSING["out of memory"]
    nginx.request("POST", "/p", body=b"x")
    http = f"http {{ server {{ listen 127.0.0.1:{nginx.port}; return 200; }} }}"
    nginx.write_config(nginx.config[: nginx.config.index("http {")] + http)
    nginx.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reconfiguring" in nginx.error_log(), "the reload", 5)
    time.sleep(1)
    assert nginx.process.poll() is None
