"""After a number of connection faults in a row Redis is left alone for a while, and then one probe
decides; what is no fault of the connection does not count."""

import threading
import time

import pytest
from support.fake_redis import bulk
from support.ports import wait_for
from support.stored import page

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on;"


def reasons(nginx, count):
    return [nginx.get(f"/{n}").cache[1] for n in range(count)]


def until_open(nginx):
    """The reasons until the breaker is open. A connection that could not be made is not tried again
    at once, so one fault may be reported several times."""
    found = []
    while (reason := nginx.get("/p").cache[1]) != "breaker":
        found.append(reason)
        assert len(found) < 100
        time.sleep(0.02)
    return found


def fail(conn, key):
    conn.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")


def test_opens_after_the_faults_and_asks_nothing(serve, fake_redis):
    fake_redis.on_get = fail
    nginx = serve(f"{STATUS} redis_cache_breaker fails=3 timeout=1h;", target=fake_redis.url)
    assert reasons(nginx, 8) == ["loading"] * 3 + ["breaker"] * 5
    assert len(fake_redis.gets()) == 3


def test_the_default_is_five_faults(serve, fake_redis):
    fake_redis.on_get = fail
    nginx = serve(STATUS, target=fake_redis.url)
    assert reasons(nginx, 7) == ["loading"] * 5 + ["breaker"] * 2


def test_one_probe_closes_it(serve, fake_redis):
    fake_redis.on_get = fail
    nginx = serve(f"{STATUS} redis_cache_breaker fails=2 timeout=150ms;", target=fake_redis.url)
    assert reasons(nginx, 3) == ["loading", "loading", "breaker"]
    fake_redis.on_get = lambda conn, key: conn.sendall(bulk(page("back")))
    wait_for(lambda: nginx.get("/p").body == b"back", "the breaker to close", 3)
    assert reasons(nginx, 10) == ["fresh"] * 10


def test_a_failed_probe_keeps_it_open(serve, fake_redis):
    fake_redis.stop()
    nginx = serve(f"{STATUS} redis_cache_breaker fails=2 timeout=100ms;", target=fake_redis.url)
    assert set(until_open(nginx)) == {"refused"}
    for _ in range(3):
        time.sleep(0.15)
        found = reasons(nginx, 10)
        assert found.count("breaker") >= 9, found


@pytest.mark.parametrize("fault", ["refused", "timeout", "closed", "protocol", "noauth"])
def test_faults_of_the_connection_count(serve, fake_redis, fault):
    replies = {"protocol": b"+OK\r\n", "noauth": b"-NOAUTH x\r\n", "timeout": b"$5\r\n"}
    if fault == "refused":
        fake_redis.stop()
    elif fault == "closed":
        fake_redis.on_get = lambda conn, key: conn.shutdown(2)
    else:
        fake_redis.on_get = lambda conn, key: conn.sendall(replies[fault])
    nginx = serve(
        f"{STATUS} redis_cache_breaker fails=2 timeout=1h; redis_cache_timeout 60ms;",
        target=fake_redis.url,
    )
    assert set(until_open(nginx)) == {fault}
    assert reasons(nginx, 5) == ["breaker"] * 5
    # A lookup whose connection breaks is tried once more before it is a fault.
    assert len(fake_redis.gets()) <= 4


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"_\r\n", "absent"),
        (b"-WRONGTYPE x\r\n", "wrong_type"),
        (b"-OOM x\r\n", "oom"),
        (b"-ERR x\r\n", "error_reply"),
        (b"-NOPERM x\r\n", "noperm"),
        (b"$3\r\nabc\r\n", "entry"),
        (b"$90000000\r\n", "too_large"),
    ],
)
def test_other_answers_do_not(serve, fake_redis, reply, reason):
    fake_redis.on_get = lambda conn, key: conn.sendall(reply)
    nginx = serve(f"{STATUS} redis_cache_breaker fails=2 timeout=1h;", target=fake_redis.url)
    assert reasons(nginx, 6) == [reason] * 6


def test_a_good_answer_begins_the_count_anew(serve, fake_redis):
    def every_third_is_fine(conn, key):
        conn.sendall(b"_\r\n" if int(key.rsplit(b"/", 1)[1]) % 3 == 2 else b"-LOADING x\r\n")

    fake_redis.on_get = every_third_is_fine
    nginx = serve(f"{STATUS} redis_cache_breaker fails=3 timeout=1h;", target=fake_redis.url)
    assert reasons(nginx, 12) == ["loading", "loading", "absent"] * 4


def test_off_asks_for_ever(serve, fake_redis):
    fake_redis.on_get = fail
    nginx = serve(f"{STATUS} redis_cache_breaker off;", target=fake_redis.url)
    assert reasons(nginx, 20) == ["loading"] * 20


def test_an_open_breaker_answers_at_once(serve, fake_redis):
    nginx = serve(
        f"{STATUS} redis_cache_breaker fails=1 timeout=1h; redis_cache_timeout 100ms;",
        target=fake_redis.url,
    )
    fake_redis.on_get = lambda conn, key: None
    assert set(until_open(nginx)) == {"timeout"}
    began = time.monotonic()
    assert reasons(nginx, 20) == ["breaker"] * 20
    assert time.monotonic() - began < 1


def test_one_probe_at_a_time(serve, fake_redis):
    probes = []

    def loading(conn, words):
        if words[0].upper() not in (b"GET", b"PING"):
            return False
        probes.append(words)
        time.sleep(0.06)
        fail(conn, None)
        return True

    fake_redis.on_command = loading
    nginx = serve(
        f"{STATUS} redis_cache_breaker fails=1 timeout=300ms; redis_cache_timeout 1s;",
        target=fake_redis.url,
    )
    assert reasons(nginx, 2) == ["loading", "breaker"]
    probes.clear()
    time.sleep(0.35)
    threads = [threading.Thread(target=nginx.get, args=(f"/{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(probes) == 1


@pytest.mark.parametrize("answer", [b"-LOADING x\r\n", b"-NOAUTH x\r\n"])
def test_a_probe_that_is_answered_with_an_error_keeps_it_open(serve, fake_redis, answer):
    def refuse(conn, words):
        if words[0].upper() not in (b"GET", b"PING"):
            return False
        conn.sendall(answer)
        return True

    fake_redis.on_command = refuse
    nginx = serve(f"{STATUS} redis_cache_breaker fails=3 timeout=100ms;", target=fake_redis.url)
    until_open(nginx)
    for _ in range(3):
        time.sleep(0.12)
        nginx.get("/probe")
        time.sleep(0.03)
        assert reasons(nginx, 3) == ["breaker"] * 3


def test_each_endpoint_has_its_own(serve, redis, fake_redis):
    fake_redis.on_get = fail
    nginx = serve(
        STATUS,
        locations=f"location /bad {{ redis_cache_pass {fake_redis.url};"
        f" redis_cache_fallback @app; {STATUS} }}",
    )
    for _ in range(8):
        nginx.get("/bad")
    assert nginx.get("/bad").cache[1] == "breaker"
    assert nginx.get("/good").cache[1] == "absent"
