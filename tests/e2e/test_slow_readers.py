"""Clients that read a large page slowly hold its memory, and nothing else: not Redis, not the worker,
and no more with every round."""

from contextlib import ExitStack

import pytest
from support.memory import resident
from support.ports import wait_for
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

BODY = bytes(range(256)) * (7 << 12)


def test_six_slow_readers_of_seven_megabytes(serve, redis):
    nginx = serve(
        "redis_cache_status_header on; redis_cache_timeout 10s;",
        listen="sndbuf=128k",
        # What is freed stays as it was: its pages are counted here.
        environment={"MALLOC_PERTURB_": "0"},
    )
    host = f"127.0.0.1:{nginx.port}"
    redis.set(key_of(nginx, "/big"), page(BODY, line=fresh_line()))
    redis.set(key_of(nginx, "/small"), page("small"))
    assert nginx.get("/big").body == BODY
    before = resident(nginx.workers())
    seen = []
    for _ in range(12):
        with ExitStack() as stack:
            readers = [stack.enter_context(Raw(nginx.port, receive_buffer=65536)) for _ in range(6)]
            for reader in readers:
                reader.send(request_bytes("/big", host=host))
                assert reader.reader.readline() == b"HTTP/1.1 200 OK\r\n"
            with nginx.client() as client:
                for _ in range(20):
                    response = client.get("/small")
                    assert (response.body, response.cache[0]) == (b"small", "hit")
            for reader in readers:
                while reader.reader.readline() != b"\r\n":
                    pass
                assert reader.reader.read(len(BODY)) == BODY
        wait_for(lambda: len(nginx.access_log()) == 1 + 26 * len(seen) + 26, "the end of all")
        seen.append(resident(nginx.workers()))
    # The allocator keeps what six pages took, and takes no more, whatever the number of rounds; how
    # many of the six there are at a time is the readers' doing.
    assert max(seen) <= before + (6 * 8 << 10)
