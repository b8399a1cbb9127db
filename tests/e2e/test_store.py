"""An answer of the application is stored as a page in the http form, and the next request is
answered from Redis; the application needs no code for it."""

import hashlib
import re
import time

import pytest
from support.origin import Answer
from support.stored import key_of

pytestmark = pytest.mark.engines("event", "blocking")

HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "max-age=60"),
           ("ETag", '"1"'), ("X-Thing", "a, b"), ("X-Thing", "c")]  # fmt: skip


def counted(origin, headers=HEADERS, status=200):
    """Every answer of the application has its number in the body."""
    origin.answer = lambda asked: Answer(b"answer %d" % len(origin.requests), status, headers)


def settled(nginx, target="/p", **arguments):
    """The response to a GET once the answer before it has had its time to be stored."""
    time.sleep(0.05)
    return nginx.get(target, **arguments)


def test_the_second_request_is_answered_from_redis(store, origin):
    counted(origin)
    nginx = store()
    first, second = nginx.get("/p"), settled(nginx)
    assert (first.body, first.cache) == (b"answer 1", ("fwd=uri-miss", "absent"))
    assert (second.body, second.cache) == (b"answer 1", ("hit", "fresh"))
    for name in ["Content-Type", "Cache-Control", "ETag", "X-Thing", "Date"]:
        assert second.all(name) == first.all(name) or name == "Date", name
    assert second.header("Age") in ("0", "1")
    assert len(origin.requests) == 1


def test_the_bytes_in_redis(store, origin, stored, redis):
    counted(origin)
    nginx = store()
    before = time.time() * 1000
    nginx.get("/p")
    head, _, body = stored(nginx, within=2).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("HTTP/1.1 200 OK", b"answer 1")
    line = re.fullmatch(r"Redis-Cache: v=1, stored=(\d+), fresh=60000", lines[1])
    assert before - 2000 <= int(line[1]) <= time.time() * 1000
    names = [field.partition(":")[0] for field in lines[2:]]
    assert names == ["Content-Type", "Cache-Control", "ETag", "X-Thing", "X-Thing", "Date"]
    with redis.client() as client:
        assert 58_000 < client.pttl(key_of(nginx, "/p")) <= 60_000


def test_the_key_is_not_handed_over(store, origin):
    counted(origin)
    nginx = store()
    nginx.get("/p", {"X-Redis-Cache-Key": "mine"})
    assert origin.last.header("X-Redis-Cache-Key") is None


def test_nothing_is_stored_unless_it_is_on(serve, origin, stored):
    counted(origin)
    nginx = serve()
    nginx.get("/p")
    time.sleep(0.1)
    assert stored(nginx) is None
    assert nginx.logged(1)[0].endswith("w=")


def test_a_hashed_key_shows_its_text(store, origin, stored):
    counted(origin)
    nginx = store("redis_cache_key $request_uri hash=md5 prefix=h:;")
    nginx.get("/p")
    value = stored(nginx, key="h:" + hashlib.md5(b"/p").hexdigest(), within=2)
    assert b'key="/p"' in value.partition(b"\r\n\r\n")[0]
    assert settled(nginx).cache == ("hit", "fresh")


@pytest.mark.parametrize("size", [0, 1, 4096, 70_000, 3_000_000])
def test_bodies_of_any_size(store, origin, size):
    body = bytes(n % 251 for n in range(size))
    origin.answer = lambda asked: Answer(body, headers=HEADERS)
    nginx = store(app="proxy_buffers 4 4k; proxy_busy_buffers_size 8k;")
    assert nginx.get("/p").body == body
    time.sleep(0.3)
    response = nginx.get("/p")
    assert (response.body, response.cache) == (body, ("hit", "fresh"))


def test_unbuffered(store, origin):
    counted(origin)
    nginx = store(app="proxy_buffering off;")
    assert nginx.get("/p").body == settled(nginx).body == b"answer 1"


def test_a_chunked_answer(store, raw_origin, stored):
    raw_origin.answer = lambda asked: (
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n"
        b"Trailer: X-Sum\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    nginx = store(app="proxy_http_version 1.1;", url=raw_origin.url)
    assert nginx.get("/p").body == b"hello world"
    value = stored(nginx, within=2)
    assert value.endswith(b"\r\n\r\nhello world") and b"X-Sum" not in value
    assert settled(nginx).body == b"hello world"


def test_head_is_served_from_a_stored_get_and_never_stored(store, origin, stored):
    counted(origin)
    nginx = store()
    response = nginx.request("HEAD", "/p")
    assert response.cache == ("fwd=uri-miss", "absent/method")
    assert settled(nginx).body == b"answer 2"
    time.sleep(0.05)
    response = nginx.request("HEAD", "/p")
    assert response.cache == ("hit", "fresh")
    assert response.header("Content-Length") == str(len(b"answer 2"))


def test_a_get_with_a_body_is_not_stored(store, origin, stored):
    counted(origin)
    nginx = store()
    assert nginx.get("/p", body=b"x").cache == ("fwd=uri-miss", "absent/body")
    chunked = [("Transfer-Encoding", "chunked")]
    assert nginx.get("/p", chunked, body=b"0\r\n\r\n").cache[1] == "absent/body"
    assert settled(nginx).body == b"answer 3" and settled(nginx).body == b"answer 3"


def test_requests_that_are_not_looked_up_are_not_stored(store, origin, stored):
    counted(origin)
    nginx = store("redis_cache_bypass $cookie_sessionid;")
    for headers in [{"Authorization": "Basic eDp5"}, {"Cookie": "sessionid=1"}]:
        assert nginx.get("/p", headers).cache[1].endswith("/bypass")
        time.sleep(0.05)
        assert stored(nginx) is None


def test_conditions_of_the_configuration(store, origin, stored):
    counted(origin, [*HEADERS, ("X-Private", "1")])
    nginx = store("redis_cache_no_store $arg_no $upstream_http_x_private;")
    assert nginx.get("/p").cache == ("fwd=uri-miss", "absent/condition")
    counted(origin)
    assert nginx.get("/p?no=1").cache == ("fwd=uri-miss", "absent/condition")
    assert nginx.get("/p?no=0").cache == ("fwd=uri-miss", "absent")
    assert stored(nginx, "/p?no=0", within=2)
    assert stored(nginx) is None and stored(nginx, "/p?no=1") is None


def test_what_the_log_says(store, origin):
    counted(origin)
    nginx = store()
    nginx.get("/p")
    time.sleep(0.05)
    nginx.get("/p")
    nginx.request("HEAD", "/q")
    words = [line.rpartition("w=")[2] for line in nginx.logged(3)]
    assert words == ["queued", "", "method"]


def test_pages_of_a_static_location(store, redis, stored, tmp_path, door):
    if door == "pass":
        pytest.skip("the content handler of the location is the cache")
    (tmp_path / "file.html").write_bytes(b"file" * 30_000)
    nginx = store(
        locations=f"""
            location /file.html {{
                root {tmp_path};
                redis_cache {redis.url};
                redis_cache_store on;
                redis_cache_status_header on;
                redis_cache_valid 1m;
            }}
        """
    )
    first = nginx.get("/file.html")
    time.sleep(0.1)
    second = nginx.get("/file.html")
    assert first.body == second.body == b"file" * 30_000
    assert second.cache == ("hit", "fresh")
    for name in ["Content-Type", "ETag", "Last-Modified"]:
        assert first.header(name) == second.header(name), name
    assert nginx.get("/file.html", {"If-None-Match": first.header("ETag")}).status == 304
