"""nginx's debug log tells what a lookup does, and says nothing of it at any other level."""

import pytest
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for

pytestmark = pytest.mark.engines("event", "blocking")

STORED = "redis_cache: a write to"


def told(nginx) -> list[str]:
    lines = [line for line in nginx.error_log().splitlines() if "redis_cache: " in line]
    return [line.split("redis_cache: ")[1].split(",")[0] for line in lines]


def test_a_miss_that_is_stored_and_a_hit(store, origin):
    origin.answer = lambda asked: Answer(b"page", headers=FRESH)
    nginx = store(error_level="debug")
    nginx.get("/p")
    wait_for(lambda: STORED in nginx.error_log(), "the page being stored")
    nginx.get("/p")
    lines = told(nginx)
    key = f"look up page:http://127.0.0.1:{nginx.port}/p"
    assert lines.count(key) == 2, lines
    for line in ["MISS: absent", "store: queued", "HIT: fresh"]:
        assert line in lines, lines
    assert any(line.startswith("asks ") for line in lines), lines


@pytest.mark.engines("event")
def test_a_fault(serve, fake_redis):
    fake_redis.on_get = lambda conn, key: conn.sendall(b"-OOM x\r\n")
    nginx = serve(error_level="debug", target=fake_redis.url)
    nginx.get("/p")
    assert "ERROR: oom" in told(nginx)
    fake_redis.on_get = lambda conn, key: conn.sendall(b"+\r\r\n")
    nginx.get("/p")
    assert any("ended: protocol" in line for line in told(nginx))


def test_nothing_at_level_info(store, origin):
    origin.answer = lambda asked: Answer(b"page", headers=FRESH)
    nginx = store(error_level="info")
    for _ in range(2):
        nginx.get("/p")
    assert told(nginx) == []
