"""An answer without an end: it reaches its client as it comes, is not stored, and takes no more
memory than `redis_cache_max_size`."""

import pytest
from support.memory import resident
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.site import LIFETIME, message

pytestmark = pytest.mark.engines("event", "blocking")

PIECE = bytes(range(256)) * 256


def endless(asked):
    yield message(headers=[LIFETIME, ("Transfer-Encoding", "chunked")])
    while True:
        yield b"%x\r\n%s\r\n" % (len(PIECE), PIECE)


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_an_endless_stream(store, raw_origin, redis, buffering):
    raw_origin.answer = endless
    nginx = store(
        "redis_cache_max_size 1m;",
        app=f"proxy_http_version 1.1; proxy_buffering {buffering}; proxy_max_temp_file_size 0;",
        url=raw_origin.url,
    )

    def visit(megabytes):
        with Raw(nginx.port) as raw:
            raw.send(request_bytes("/p"))
            while raw.reader.readline() != b"\r\n":
                pass
            seen, wanted = 0, PIECE + PIECE
            while seen < megabytes << 20:
                part = raw.reader.read(int(raw.reader.readline(), 16))
                raw.reader.readline()
                at = seen % len(PIECE)
                while part:
                    room = part[: len(PIECE)]
                    assert room == wanted[at : at + len(room)]
                    part, seen = part[len(room) :], seen + len(room)

    visit(2)
    before = resident(nginx.workers())
    for _ in range(2):
        visit(16)
    assert resident(nginx.workers()) <= before + 4096
    wait_for(lambda: not raw_origin.open, "nginx to leave the application")
    assert {line.rpartition("w=")[2] for line in nginx.logged(3)} == {"too_large"}
    with redis.client() as client:
        assert not client.keys()
