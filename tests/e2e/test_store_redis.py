"""Writing never costs a client anything: a Redis that is slow, full, dead, read-only or refuses makes
a write be dropped and counted in the error log."""

import socket
import time

import pytest
from support.documented import acl
from support.fake_redis import bulk
from support.origin import Answer
from support.redis_server import RedisServer
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

HEADERS = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]


@pytest.fixture(autouse=True)
def cacheable(origin):
    origin.answer = lambda asked: Answer(b"page " + asked.target.encode(), headers=HEADERS)


def dropped(nginx):
    return [line.partition("dropped: ")[2] for line in nginx.warnings() if "dropped" in line]


def words(fake_redis, name):
    return [words for words in fake_redis.commands if words[0] == name]


ERRORS = {
    "oom": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "noperm": b"-NOPERM this user has no permissions to run the 'set' command\r\n",
    "readonly": b"-READONLY You can't write against a read only replica.\r\n",
    "moved": b"-MOVED 3999 127.0.0.1:6381\r\n",
    "error_reply": b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    "protocol": b"$1\r\nx\r\n",
}


@pytest.mark.parametrize("reason", ERRORS)
def test_a_write_that_is_refused(store, fake_redis, reason):
    fake_redis.on_command = lambda conn, words: words[0] == b"SET" and not conn.sendall(ERRORS[reason])
    nginx = store(target=fake_redis.url)
    for n in range(5):
        assert nginx.get(f"/{n}").body == b"page /%d" % n
        time.sleep(0.02)
    assert [line.partition(":")[0] for line in dropped(nginx)] == [reason]


def test_nothing_waits_for_a_slow_redis(store, fake_redis, io):
    if io == "blocking":
        pytest.skip("a blocking query holds its worker")

    def on_command(conn, words):
        if words[0] == b"SET":
            time.sleep(0.5)
            conn.sendall(b"+OK\r\n")
        return words[0] == b"SET"

    fake_redis.on_command = on_command
    nginx = store(target=fake_redis.url)
    began = time.monotonic()
    assert nginx.get("/p").body == b"page /p"
    assert time.monotonic() - began < 0.3


def test_a_write_is_dropped_when_its_time_is_over(store, fake_redis):
    fake_redis.on_command = lambda conn, words: words[0] == b"SET"
    nginx = store("redis_cache_timeout 150ms; redis_cache_breaker off;", target=fake_redis.url)
    nginx.get("/p")
    time.sleep(0.4)
    assert dropped(nginx)[0].startswith("timeout")
    assert nginx.get("/q").body == b"page /q"


def test_a_connection_that_ends_behind_a_write(store, fake_redis):
    """It may have been carried out, so it is not sent again."""

    def on_command(conn, words):
        if words[0] == b"SET":
            conn.shutdown(socket.SHUT_RDWR)
        return words[0] == b"SET"

    fake_redis.on_command = on_command
    nginx = store(target=fake_redis.url)
    assert nginx.get("/p").body == b"page /p"
    time.sleep(0.2)
    assert len(words(fake_redis, b"SET")) == 1
    assert dropped(nginx)[0].startswith("closed")


def test_after_a_fault_nothing_is_written(store, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(b"-LOADING x\r\n")
    nginx = store(target=fake_redis.url)
    assert nginx.get("/p").cache[1] == "loading/fault"
    time.sleep(0.1)
    assert words(fake_redis, b"SET") == []


def test_values_that_are_no_pages_are_left_alone(store, redis, stored):
    nginx = store()
    for value, reason in [(b"foreign", "entry"), (b"\x80\x04x.", "pickle"),
                          (page("x", line="v=2"), "version")]:  # fmt: skip
        redis.set(key_of(nginx, "/p"), value)
        assert nginx.get("/p").cache[1] == f"{reason}/fault"
        time.sleep(0.05)
        assert stored(nginx) == value


def test_a_page_that_came_in_between_stays(store, redis, origin, stored):
    nginx = store()
    theirs = page("theirs", line=fresh_line())

    def answer(asked):
        redis.set(key_of(nginx, "/p"), theirs)
        return Answer(b"ours", headers=HEADERS)

    origin.answer = answer
    assert nginx.get("/p").body == b"ours"
    time.sleep(0.1)
    assert stored(nginx) == theirs and dropped(nginx) == []


@pytest.mark.parametrize("purge", ["tombstone", "unlink"])
def test_a_purge_of_an_expired_page_in_between_wins(store, redis, origin, stored, purge):
    nginx = store()
    redis.set(key_of(nginx, "/p"), page("old", line=fresh_line(1000, age=9)))
    gone = page(b"", line='v=1, gone="abc"')

    def answer(asked):
        with redis.client() as client:
            client.unlink(key_of(nginx, "/p"))
            if purge == "tombstone":
                client.set(key_of(nginx, "/p"), gone)
        return Answer(b"ours", headers=HEADERS)

    origin.answer = answer
    assert nginx.get("/p").cache == ("fwd=stale", "stale")
    time.sleep(0.1)
    assert stored(nginx) == (gone if purge == "tombstone" else None)


def test_a_user_without_scripts(store, tmp_path, stored, redis):
    with redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "nginx", "on", ">secret", "~page:*", "+get", "+set", "+select",
            "+hello", "+auth", "+ping", "+client|setname",
        )  # fmt: skip
    nginx = store(target=f"redis://nginx:secret@127.0.0.1:{redis.port}/1")
    nginx.get("/new")
    assert stored(nginx, "/new", within=2)
    redis.set(key_of(nginx, "/old"), page("old", line=fresh_line(1000, age=9)))
    nginx.get("/old")
    time.sleep(0.1)
    assert b"page /old" in stored(nginx, "/old")
    assert nginx.request("POST", "/old", body=b"x").status == 200
    assert b"gone=" in stored(nginx, "/old")
    assert dropped(nginx) == []


def test_the_documented_user_may_do_all_of_it(store, redis, origin, stored):
    with redis.client() as client:
        client.execute_command(*acl("+set"))
    headers = [*HEADERS, ("Vary", "X-Kind")]
    origin.answer = lambda asked: Answer(b"page " + asked.target.encode(), headers=headers)
    nginx = store(target=f"redis://nginx:secret@127.0.0.1:{redis.port}/1")
    redis.set(key_of(nginx, "/old"), page("old", line=fresh_line(1000, age=9)))
    for target in ["/new", "/old"]:
        for kind in "ab":
            nginx.get(target, {"X-Kind": kind})
            time.sleep(0.05)
        for kind in "ab":
            assert nginx.get(target, {"X-Kind": kind}).cache == ("hit", "fresh")
    nginx.request("POST", "/old", body=b"x")
    assert b"gone=" in stored(nginx, "/old")
    assert dropped(nginx) == []


def test_a_user_that_may_only_read(store, redis, stored):
    with redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "nginx", "on", ">secret", "~page:*", "+get", "+select", "+hello",
            "+auth", "+ping", "+client|setname",
        )  # fmt: skip
    nginx = store(target=f"redis://nginx:secret@127.0.0.1:{redis.port}/1")
    assert nginx.get("/p").body == b"page /p"
    assert nginx.request("POST", "/p", body=b"x").body == b"page /p"
    time.sleep(0.1)
    assert stored(nginx) is None
    assert dropped(nginx)[0].startswith("noperm")
    assert "secret" not in nginx.error_log()


def test_a_full_redis(store, tmp_path, io):
    full = RedisServer(tmp_path / "full", "--maxmemory", "100kb", "--maxmemory-policy", "noeviction")
    full.start()
    try:
        nginx = store(target=full.url)
        for n in range(3):
            assert nginx.get(f"/{n}").body == b"page /%d" % n
            time.sleep(0.03)
        assert dropped(nginx)[0].startswith("oom")
    finally:
        full.stop()


def test_redis_goes_and_comes_back(store, redis, stored):
    nginx = store("redis_cache_breaker fails=2 timeout=100ms;")
    redis.kill()
    for n in range(10):
        assert nginx.get(f"/{n}").body == b"page /%d" % n
    redis.start()
    end = time.monotonic() + 10
    while nginx.get("/p").cache[0] != "hit":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_reload_waits_for_a_write(store, fake_redis, io):
    if io == "blocking":
        pytest.skip("a blocking write is over before the reload")
    done = []

    def on_command(conn, words):
        if words[0] == b"SET":
            time.sleep(0.4)
            conn.sendall(b"+OK\r\n")
            done.append(words)
        return words[0] == b"SET"

    fake_redis.on_command = on_command
    nginx = store(target=fake_redis.url)
    nginx.get("/p")
    nginx.reload()
    time.sleep(1)
    assert len(done) == 1 and dropped(nginx) == []


def test_lookups_behind_a_write_see_it(store, redis, origin, stored):
    """All commands of one key take one connection, so a page that was sent off is found."""
    nginx = store()
    with nginx.client() as client:
        for n in range(50):
            assert client.get(f"/{n}").cache[0] != "hit"
            assert client.get(f"/{n}").cache == ("hit", "fresh")


def test_the_value_and_its_time_to_live_are_one_command(store, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(b"_\r\n" if b"new" in key else bulk(
        page("old", line=fresh_line(1000, age=9))))  # fmt: skip
    nginx = store(target=fake_redis.url)
    nginx.get("/new")
    nginx.get("/old")
    time.sleep(0.1)
    [new] = words(fake_redis, b"SET")
    assert new[1] == key_of(nginx, "/new").encode() and new[3] == b"PX" and new[5] == b"NX"
    [old] = words(fake_redis, b"EVAL")
    assert old[2:4] == [b"1", key_of(nginx, "/old").encode()]
