"""Only a whole answer is stored: one that is cut off, reset, too large, endless, or whose client
left is not, whatever the load."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.http import Client
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.raw_origin import Reset
from support.stored import key_of

pytestmark = pytest.mark.engines("event", "blocking")

CACHED = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
BODY = b"x" * 5000


def truncated(asked):
    return CACHED + b"Content-Length: 9000\r\n\r\n" + BODY


def truncated_chunked(asked):
    return CACHED + b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + BODY + b"\r\n"


def reset(asked):
    yield CACHED + b"Content-Length: 9000\r\n\r\n" + BODY
    time.sleep(0.005)
    yield Reset()


def without_length(asked):
    return CACHED + b"\r\n" + BODY


def http_1_0(asked):
    return CACHED.replace(b"1.1", b"1.0", 1) + b"\r\n" + BODY


def oversized(asked):
    return CACHED + b"Content-Length: 40000\r\n\r\n" + b"x" * 40_000


def oversized_chunked(asked):
    chunk = b"1388\r\n" + BODY + b"\r\n"
    return CACHED + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8 + b"0\r\n\r\n"


def bad_chunk(asked):
    return CACHED + b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + BODY + b"\r\nnonsense\r\n"


FAULTS = {
    "truncated": (truncated, {"incomplete"}),
    "truncated chunked": (truncated_chunked, {"incomplete"}),
    "reset": (reset, {"incomplete", ""}),
    "without length": (without_length, {"length_unknown"}),
    "http 1.0": (http_1_0, {"length_unknown"}),
    "oversized": (oversized, {"too_large"}),
    "oversized chunked": (oversized_chunked, {"too_large"}),
    "bad chunk": (bad_chunk, {"incomplete"}),
}


def good(asked):
    body = b"good " + asked.target.encode()
    return CACHED + b"Content-Length: %d\r\n\r\n" % len(body) + body


def fetch(nginx, target):
    with Client(nginx.port) as client:
        try:
            return client.get(target).body
        except Exception:
            return None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_under_load(store, raw_origin, redis, fault, buffering):
    answer, reasons = FAULTS[fault]
    raw_origin.answer = lambda asked: (good if "good" in asked.target else answer)(asked)
    nginx = store(
        "redis_cache_max_size 32k;",
        app=f"proxy_http_version 1.1; proxy_buffering {buffering};",
        url=raw_origin.url,
    )
    targets = [f"/bad{n}" if n % 2 else f"/good{n}" for n in range(100)]
    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda target: fetch(nginx, target), targets))
    time.sleep(0.1)
    with redis.client() as client:
        keys = {key.decode() for key in client.keys()}
        for target, body in zip(targets, bodies, strict=True):
            if "good" in target:
                assert body == b"good " + target.encode()
                assert key_of(nginx, target) in keys
            else:
                assert key_of(nginx, target) not in keys
    words = {line.rpartition("w=")[2] for line in nginx.logged(100) if "/bad" in line}
    assert words <= reasons


@pytest.mark.parametrize("fault", ["without length", "http 1.0"])
def test_an_answer_that_ends_with_its_connection_is_passed_on(store, raw_origin, fault):
    raw_origin.answer = FAULTS[fault][0]
    nginx = store(url=raw_origin.url)
    for _ in range(2):
        assert nginx.get("/p").body == BODY
    assert len(raw_origin.requests) == 2


def endless(asked):
    yield CACHED + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1388\r\n" + BODY + b"\r\n"
        time.sleep(0.01)


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_client_that_leaves_in_the_middle(store, raw_origin, redis, buffering):
    raw_origin.answer = endless
    nginx = store(
        app=f"proxy_http_version 1.1; proxy_buffering {buffering};", url=raw_origin.url
    )

    def abort(n):
        with Raw(nginx.port) as raw:
            raw.send(request_bytes(f"/{n}"))
            assert raw.socket.recv(1000)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(abort, range(100)))
    wait_for(lambda: not raw_origin.open, "nginx to leave the application", 10)
    words = [line.rpartition("w=")[2] for line in nginx.logged(100)]
    assert set(words) == {"incomplete"}
    with redis.client() as client:
        assert not client.keys()


def test_a_stream_is_not_held_back(store, raw_origin):
    def events(asked):
        yield CACHED + b"Transfer-Encoding: chunked\r\n\r\n"
        for n in range(3):
            yield b"8\r\nevent %d\n\r\n" % n
            time.sleep(0.2)
        yield b"0\r\n\r\n"

    raw_origin.answer = events
    nginx = store(app="proxy_http_version 1.1; proxy_buffering off;", url=raw_origin.url)
    with Raw(nginx.port) as raw:
        began = time.monotonic()
        raw.send(request_bytes("/p"))
        while b"event 0" not in raw.reader.readline():
            pass
        assert time.monotonic() - began < 0.15


def test_a_slow_client_gets_its_page_and_it_is_stored(store, raw_origin, stored):
    body = bytes(range(256)) * 8000
    raw_origin.answer = lambda asked: CACHED + b"Content-Length: %d\r\n\r\n" % len(body) + body
    nginx = store(url=raw_origin.url, app="proxy_buffers 4 8k; proxy_max_temp_file_size 0;")
    with Raw(nginx.port, receive_buffer=4096) as raw:
        raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
        got = b""
        while len(got) < 100_000:
            got += raw.socket.recv(5000)
            time.sleep(0.002)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while len(got.partition(b"\r\n\r\n")[2]) < len(body):
            got += raw.socket.recv(1 << 16)
    assert got.partition(b"\r\n\r\n")[2] == body
    assert stored(nginx, within=2).endswith(body)


def test_memory_is_bounded_by_the_buffers(store, raw_origin, redis):
    held = []

    def half(asked):
        yield CACHED + b"Transfer-Encoding: chunked\r\n\r\n"
        for _ in range(12):
            yield b"1388\r\n" + BODY + b"\r\n"
        while not held:
            time.sleep(0.02)
        yield b"0\r\n\r\n"

    raw_origin.answer = half
    nginx = store(
        "redis_cache_buffers 128k; redis_cache_max_size 100k;",
        app="proxy_http_version 1.1;",
        url=raw_origin.url,
    )
    with ThreadPoolExecutor(12) as threads:
        bodies = [threads.submit(fetch, nginx, f"/{n}") for n in range(12)]
        wait_for(lambda: len(raw_origin.requests) == 12, "all requests")
        time.sleep(0.3)
        held.append(True)
        assert {len(body.result()) for body in bodies} == {60_000}
    words = [line.rpartition("w=")[2] for line in nginx.logged(12)]
    assert set(words) <= {"overload", "queued", "fault"} and "overload" in words


def test_an_empty_and_a_204_answer(store, raw_origin, stored):
    raw_origin.answer = lambda asked: (
        CACHED + b"Content-Length: 0\r\n\r\n"
        if asked.target == "/empty"
        else CACHED.replace(b"200 OK", b"204 No Content") + b"\r\n"
    )
    nginx = store(url=raw_origin.url)
    assert nginx.get("/empty").status == 200
    assert stored(nginx, "/empty", within=2).endswith(b"\r\n\r\n")
    assert nginx.get("/empty").cache == ("hit", "fresh")
    assert nginx.get("/none").status == 204
    assert stored(nginx, "/none", within=2).endswith(b"\r\n\r\n")
    assert nginx.get("/none").cache == ("hit", "fresh")
