"""A hit: the stored page, its status and headers, and nothing of ours that does not belong."""

import pytest
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")


def test_a_stored_page_is_sent_without_asking_the_application(serve, redis, origin):
    nginx = serve("redis_cache_status_header on;")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("X-Thing", "1"), ("X-Thing", "2")]
    redis.set(key_of(nginx, "/p?x=1"), page("<h1>hi</h1>", headers=headers, line=fresh_line()))
    response = nginx.get("/p?x=1")
    assert response.status == 200
    assert response.body == b"<h1>hi</h1>"
    assert response.header("Content-Type") == "text/html; charset=utf-8"
    assert response.all("X-Thing") == ["1", "2"]
    assert response.all("Content-Length") == ["11"]
    assert response.header("Redis-Cache") is None
    assert response.header("Age") == "0"
    assert response.cache == ("hit", "fresh")
    assert not origin.requests


def test_a_miss_is_the_applications(serve, origin):
    nginx = serve("redis_cache_status_header on;")
    response = nginx.get("/nothing")
    assert (response.status, response.body) == (200, b"app GET /nothing")
    assert response.cache == ("fwd=uri-miss", "absent")
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/nothing")


def test_a_stored_status_is_sent(serve, redis):
    nginx = serve()
    stored = page(b"", "301 Moved Permanently", [("Location", "/elsewhere")])
    redis.set(key_of(nginx, "/old"), stored)
    response = nginx.get("/old")
    assert (response.status, response.body) == (301, b"")
    assert response.header("Location") == "/elsewhere"


def test_unix_socket(serve, redis):
    nginx = serve(target=redis.unix_url)
    redis.set(key_of(nginx), page("over unix"))
    assert nginx.get("/").body == b"over unix"
