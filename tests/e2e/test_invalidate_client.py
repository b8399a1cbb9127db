"""An answer that waits for its invalidation cannot be sent when its time comes: the client has gone, or
a filter answers something else. Whoever produces the answer may be in the middle of it."""

import socket
import struct
import threading

import pytest
from support.h2client import H2Client
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.raw_origin import RawOrigin
from support.stored import fresh_line, key_of, page

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nCache-Control: max-age=60\r\n\r\n"
HALF = b"x" * 100_000


class Application(RawOrigin):
    """Answers DELETE with the first half of a page, and with the second when it is told to."""

    def __init__(self):
        self.second_half = threading.Event()
        super().__init__()
        self.answer = self._answer

    def _answer(self, asked):
        if asked.method != "DELETE":
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            return
        yield HEAD + HALF
        self.second_half.wait(10)
        yield HALF


@pytest.fixture
def application():
    application = Application()
    yield application
    application.stop()


@pytest.fixture
def held(store, fake_redis, application):
    """`held(app, ...)`: an nginx whose Redis writes no tombstone before `written` is set."""
    written = threading.Event()

    def on_command(conn, words):
        if words[0].upper() in (b"SET", b"EVAL", b"EVALSHA"):
            asked.set()
            written.wait(10)
        return False

    asked = threading.Event()
    fake_redis.on_command = on_command

    def start(app="", **more):
        nginx = store(
            app=f"proxy_ignore_client_abort on; proxy_http_version 1.1; {app}",
            url=application.url,
            target=fake_redis.url,
            **more,
        )
        nginx.written, nginx.asked = written, asked
        return nginx

    yield start
    written.set()
    application.second_half.set()


def workers(nginx) -> list[int]:
    """Those that answer."""
    assert nginx.get("/").body == b"ok"
    return nginx.workers()


def reset(raw):
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


SETTINGS = ["", "proxy_buffering off;", "post_action /action;", "limit_rate 50k;"]


@pytest.mark.parametrize("is_whole", [False, True], ids=["half", "whole"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_client_resets_the_connection(held, application, setting, is_whole):
    nginx = held(setting)
    before = workers(nginx)
    for _ in range(3):
        client = Raw(nginx.port).send(request_bytes("/p", method="DELETE"))
        assert nginx.asked.wait(10)
        if is_whole:
            application.second_half.set()
            wait_for(lambda: not application.open, "the end of the answer")
        reset(client)
        nginx.written.set()
        assert workers(nginx) == before
        for event in (nginx.asked, nginx.written, application.second_half):
            event.clear()


def test_the_client_resets_the_stream(held, application):
    nginx = held(listen="http2")
    with H2Client(nginx.port) as client:
        assert client.get("/").body == b"ok"
        before = nginx.workers()
        stream = client.start("/p", method="DELETE")
        assert nginx.asked.wait(10)
        client.reset(stream)
        nginx.written.set()
        application.second_half.set()
        assert client.get("/").body == b"ok"
    assert nginx.workers() == before


@pytest.mark.parametrize("is_whole", [False, True], ids=["half", "whole"])
@pytest.mark.parametrize("page_of_error", ["", "error_page 416 /sorry;", "error_page 416 @sorry;"])
def test_a_filter_answers_something_else(held, application, page_of_error, is_whole):
    nginx = held(
        f"proxy_force_ranges on; {page_of_error}",
        locations="location = /sorry { return 200 sorry; } location @sorry { return 200 sorry; }",
    )
    before = workers(nginx)
    ranges = [("Range", "bytes=300000-")]
    with Raw(nginx.port) as client:
        client.send(request_bytes("/p", method="DELETE", headers=ranges))
        assert nginx.asked.wait(10)
        if is_whole:
            application.second_half.set()
            wait_for(lambda: not application.open, "the end of the answer")
        nginx.written.set()
        response = client.response()
        assert (response.status, b"sorry" in response.body) == (416, bool(page_of_error))
    application.second_half.set()
    assert workers(nginx) == before


def test_its_pages_are_gone_all_the_same(store, redis, application, stored):
    nginx = store(app="proxy_ignore_client_abort on;", url=application.url)
    redis.set(key_of(nginx, "/p"), page("old", line=fresh_line()))
    host = f"127.0.0.1:{nginx.port}"
    client = Raw(nginx.port).send(request_bytes("/p", method="DELETE", host=host))
    wait_for(lambda: application.requests, "the application being asked")
    reset(client)
    wait_for(lambda: b"gone=" in stored(nginx), "a tombstone")
    application.second_half.set()
