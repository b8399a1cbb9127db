"""Whatever Redis puts on the wire, the client gets the application's page with the application's
status, the reason stands in $redis_cache_reason, and the error log has one warning of it."""

import time

import pytest
from support.fake_redis import bulk
from support.faults import ERROR_REPLIES, OTHER_REPLIES, WRONG_REPLIES
from support.origin import Answer
from support.stored import page

pytestmark = pytest.mark.engines("event", "blocking")

REASONS = "redis_cache_breaker off; redis_cache_timeout 200ms; redis_cache_status_header on;"


def check_fault(nginx, origin, *reasons):
    """Two requests, both answered by the application; one warning."""
    origin.answer = lambda asked: Answer(b"application", 203)
    for target in ["/a", "/b"]:
        response = nginx.get(target)
        assert (response.status, response.body) == (203, b"application")
        assert response.cache[0] == "fwd=miss" and response.cache[1] in reasons, response.cache
        assert origin.last.header("X-Redis-Cache-Key") is None
    reason = response.cache[1]
    assert f"s=ERROR r={reason} " in nginx.logged(2)[-1]
    warnings = [line for line in nginx.warnings() if f"redis_cache: {reason}: " in line]
    assert len(warnings) == 1 and "[warn]" in warnings[0], nginx.error_log()


@pytest.mark.parametrize("name", ERROR_REPLIES)
def test_an_error_reply(serve, origin, fake_redis, name):
    fake_redis.on_get = lambda conn, key: conn.sendall(ERROR_REPLIES[name])
    check_fault(serve(REASONS, target=fake_redis.url), origin, name.split()[0])


@pytest.mark.parametrize("name", WRONG_REPLIES)
def test_a_reply_that_is_none_to_a_get(serve, origin, fake_redis, name):
    fake_redis.on_get = lambda conn, key: conn.sendall(WRONG_REPLIES[name])
    check_fault(serve(REASONS, target=fake_redis.url), origin, "protocol")


@pytest.mark.parametrize("name", OTHER_REPLIES)
def test_a_reply_with_more_than_one_right_name(serve, origin, fake_redis, name):
    reply, reasons = OTHER_REPLIES[name]
    fake_redis.on_get = lambda conn, key: conn.sendall(reply)
    check_fault(serve(REASONS, target=fake_redis.url), origin, *reasons)


@pytest.mark.parametrize("start", [b"", b"$", b"$5", b"$5\r\n", b"$5\r\nab", b"$1\r\na\r", b"-ER"])
def test_an_answer_that_breaks_off(serve, origin, fake_redis, start):
    def break_off(conn, key):
        conn.sendall(start)
        conn.shutdown(2)

    fake_redis.on_get = break_off
    check_fault(serve(REASONS, target=fake_redis.url), origin, "closed")


@pytest.mark.parametrize("start", [b"", b"$", b"$5\r\nab", b"$1\r\na\r", b"_", b"-ERR no end"])
def test_half_an_answer_and_then_silence(serve, origin, fake_redis, start):
    fake_redis.on_get = lambda conn, key: conn.sendall(start)
    nginx = serve(REASONS, target=fake_redis.url)
    began = time.monotonic()
    check_fault(nginx, origin, "timeout")
    assert time.monotonic() - began < 2


def test_an_answer_that_comes_too_slowly_is_a_timeout(serve, origin, fake_redis):
    def trickle(conn, key):
        conn.sendall(b"$1000\r\n")
        for _ in range(50):
            conn.sendall(b"a")
            time.sleep(0.02)

    fake_redis.on_get = trickle
    check_fault(serve(REASONS, target=fake_redis.url), origin, "timeout")


@pytest.mark.parametrize("start", [b"+", b"-ERR ", b"$1", b"*1000000\r\n"])
def test_an_answer_that_never_ends(serve, origin, fake_redis, start):
    def endless(conn, key):
        conn.sendall(start)
        fill = b":1\r\n" if start.startswith(b"*") else b"1"
        while True:
            conn.sendall(fill * 16384)

    fake_redis.on_get = endless
    nginx = serve(f"{REASONS} redis_cache_max_size 256k;", target=fake_redis.url)
    check_fault(nginx, origin, "protocol", "too_large", "timeout")


def test_a_huge_value_is_refused_before_it_comes(serve, origin, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(b"$400000000000\r\nabc")
    check_fault(serve(REASONS, target=fake_redis.url), origin, "too_large")


def test_nobody_listens(serve, origin, fake_redis):
    fake_redis.stop()
    check_fault(serve(REASONS, target=fake_redis.url), origin, "refused")


def test_a_unix_socket_that_is_not_there(serve, origin, tmp_path):
    check_fault(serve(REASONS, target=f"unix:{tmp_path}/none.sock"), origin, "refused")


def test_a_list_in_a_real_redis(serve, origin, redis):
    nginx = serve(f"{REASONS} redis_cache_key list;")
    with redis.client() as client:
        client.rpush("list", "a")
    check_fault(nginx, origin, "wrong_type")


def test_bytes_that_come_one_by_one_are_a_good_answer(serve, fake_redis):
    def one_by_one(conn, key):
        for byte in bulk(page("slow and fine")):
            conn.sendall(bytes([byte]))
            time.sleep(0.001)

    fake_redis.on_get = one_by_one
    nginx = serve("redis_cache_timeout 3s;", target=fake_redis.url)
    assert [nginx.get("/p").body for _ in range(3)] == [b"slow and fine"] * 3


@pytest.mark.parametrize("nil", [b"_\r\n", b"$-1\r\n"])
def test_both_forms_of_nil_are_a_miss(serve, fake_redis, nil):
    fake_redis.on_get = lambda conn, key: conn.sendall(nil)
    nginx = serve(REASONS, target=fake_redis.url)
    for _ in range(3):
        assert nginx.get("/p").cache == ("fwd=uri-miss", "absent")
    assert fake_redis.connections == 1
