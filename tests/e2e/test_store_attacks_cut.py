"""An answer that is cut, over-long, or whose length lies is stored whole or not at all, and what stands
behind it reaches nobody."""

import time

import pytest
from support.raw_origin import Reset
from support.site import LIFETIME, message, site


@pytest.fixture(scope="module", params=["event", "blocking"])
def cache(request, tmp_path_factory):
    where = tmp_path_factory.mktemp("site")
    places = {"/any/": "redis_cache_valid any 1h;"}
    app = "proxy_http_version 1.1; proxy_set_header Connection '';"
    with site(where, places, app=app, io=request.param) as cache:
        yield cache


def broken(asked, kind):
    head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    return {
        "short": [head + b"Content-Length: 10\r\n\r\n12345"],
        "reset": [head + b"Content-Length: 10\r\n\r\n12345", Reset()],
        "no body": [head + b"Content-Length: 10\r\n\r\n"],
        "half a head": [head + b"Content-Len"],
        "no last chunk": [chunked + b"5\r\n12345\r\n"],
        "half a chunk": [chunked + b"a\r\n12345"],
        "a bad chunk": [chunked + b"5\r\n12345\r\nzz\r\n"],
        "a chunk reset": [chunked + b"5\r\n12345\r\n", Reset()],
        "a huge chunk": [chunked + b"ffffffffffffffffff\r\n12345"],
        "negative": [head + b"Content-Length: -1\r\n\r\n12345"],
        "no number": [head + b"Content-Length: 5x\r\n\r\n12345"],
        "two lengths": [head + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n12345"],
        "a list": [head + b"Content-Length: 5, 9\r\n\r\n12345"],
        "closed": [head + b"\r\n12345"],
        "closed 1.0": [head.replace(b"1.1", b"1.0") + b"\r\n12345"],
        "closed by reset": [head + b"\r\n12345", Reset()],
    }[kind]


@pytest.mark.parametrize("kind", ["short", "reset", "no body", "half a head", "no last chunk", "half a chunk",
                                  "a bad chunk", "a chunk reset", "a huge chunk", "negative", "no number",
                                  "two lengths", "a list", "closed", "closed 1.0", "closed by reset"])  # fmt: skip
@pytest.mark.parametrize("place", ["/", "/any/"])
def test_an_answer_that_may_be_cut_is_not_stored(cache, kind, place):
    target = cache.target(place)
    cache.origin.answer = lambda asked: broken(asked, kind)
    try:
        cache.get(target)
    except Exception:
        time.sleep(0.02)
    assert cache.stored(target) is None
    cache.answers([LIFETIME])
    assert cache.get(target).body.startswith(b"answer")


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x"])
@pytest.mark.parametrize("length", [[("Content-Length", "4")], [("Transfer-Encoding", "chunked")]])
def test_what_stands_behind_an_answer_belongs_to_nobody(cache, extra, length):
    target, other = cache.target(), cache.target()
    body = b"page" if length[0][0] == "Content-Length" else b"4\r\npage\r\n0\r\n\r\n"
    cache.origin.answer = lambda asked: message(headers=[LIFETIME, *length], body=body + extra)
    for _ in range(2):
        assert cache.get(target).body == b"page"
    value = cache.stored(target)
    assert value is None or value.endswith(b"\r\n\r\npage")
    cache.answers([LIFETIME])
    assert cache.get(other).body == b"answer 1"
