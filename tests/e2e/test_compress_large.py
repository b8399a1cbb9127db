"""Large pages are coded beside the event loop."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for

LINE = b'<li class="entry"><a href="/page/%d/">Page %d</a></li>\n'
TEXT = b"".join(LINE % (n, n) for n in range(120_000))


@pytest.fixture
def sized(origin):
    """The application answers `/SIZE` with so many bytes of HTML."""
    origin.answer = lambda asked: Answer(TEXT[: int(asked.target[1:])], headers=FRESH)


def test_a_client_that_leaves_takes_nothing_back(store, stored, sized):
    nginx = store("redis_cache_compress br level=9;")
    with nginx.client() as client:
        assert client.get("/300000").body == TEXT[:300_000]
    value = stored(nginx, "/300000", within=20)
    assert b"coded=" in value.partition(b"\r\n\r\n")[0]


def test_many_at_once_are_coded_one_after_another(store, stored, sized):
    nginx = store("redis_cache_compress gzip level=9;")
    sizes = range(200_000, 220_000, 1000)
    with ThreadPoolExecutor(10) as clients:
        list(clients.map(lambda size: nginx.get(f"/{size}"), sizes))
    for size in sizes:
        value = stored(nginx, f"/{size}", within=20)
        assert b"coded=" in value.partition(b"\r\n\r\n")[0]
        assert nginx.get(f"/{size}").body == TEXT[:size]


def test_what_finds_no_room_for_both_forms_is_stored_as_it_is(store, stored, sized):
    room = "redis_cache_buffers 1m; redis_cache_max_size 1m;"
    nginx = store(f"redis_cache_compress gzip; {room}")
    nginx.get("/400000")
    value = stored(nginx, "/400000", within=5)
    assert value.endswith(TEXT[:400_000][-100:])


def test_a_worker_that_ends_meanwhile_ends(store, sized):
    nginx = store("redis_cache_compress br level=9;")
    nginx.get("/1000000")
    old = nginx.workers()
    nginx.reload()
    time.sleep(0.2)
    assert nginx.get("/1000").status == 200
    wait_for(lambda: not set(nginx.workers()) & set(old), "the old worker to end", 60)
