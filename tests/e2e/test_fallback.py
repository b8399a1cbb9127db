"""Whatever is no hit goes to the application as it came, and comes back as the application said it;
without a fallback the status is 404, 405, 502 or 504."""

import time

import pytest
from support.origin import Answer
from support.raw import Raw, request_bytes
from support.stored import key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

BODY = bytes(range(256)) * 300


def chunks(body):
    pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_go_to_the_application_with_their_body(serve, redis, origin, method):
    nginx = serve("redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), page("stored"))
    response = nginx.request(method, "/p", {"X-Thing": "1"}, body=BODY)
    assert response.body == f"app {method} /p".encode()
    assert response.cache == ("fwd=method", "method")
    assert (origin.last.body, origin.last.header("X-Thing")) == (BODY, "1")
    with Raw(nginx.port) as raw:
        head = request_bytes("/p", method, headers=[("Transfer-Encoding", "chunked")])
        raw.send(head + chunks(BODY))
        assert raw.response().body == f"app {method} /p".encode()
    assert origin.last.body == BODY


def test_a_streamed_upload_is_not_held_back(serve, origin):
    nginx = serve(app="proxy_request_buffering off; proxy_http_version 1.1;")
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/up", "PUT", headers=[("Content-Length", "10")], body=b"hello"))
        raw.send(b"world")
        assert raw.response().body == b"app PUT /up"
    assert origin.last.body == b"helloworld"


@pytest.mark.parametrize("status", [200, 201, 301, 404, 410, 500, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_status_and_headers_are_the_applications(serve, origin, status, method):
    headers = {"Content-Type": "text/x", "Set-Cookie": "a=b", "X-Thing": "1", "ETag": '"1"'}
    origin.answer = lambda asked: Answer(b"said", status, headers)
    response = serve().request(method, "/p")
    assert (response.status, response.body) == (status, b"said")
    assert {name: response.header(name) for name in headers} == headers


def test_a_head_that_misses_is_a_head(serve, origin):
    response = serve().request("HEAD", "/p")
    assert (response.status, response.body) == (200, b"")
    assert response.header("Content-Length") == str(len("app HEAD /p"))
    assert origin.last.method == "HEAD"


def test_conditional_and_range_headers_reach_the_application(serve, origin):
    headers = {"If-None-Match": '"1"', "If-Modified-Since": "x", "Range": "bytes=0-1",
               "If-Range": '"1"', "Accept-Encoding": "gzip", "Cookie": "a=b"}  # fmt: skip
    serve().get("/p", headers)
    assert {name: origin.last.header(name) for name in headers} == headers


def test_the_uri_goes_on_as_it_came(serve, origin):
    nginx = serve()
    for target in ["/%7E%2F%41", "/a/../b", "/p?", "/a|b", "/x//y?a=%20&b=/../", "/%C3%A9"]:
        nginx.get(target)
        assert origin.last.target == target


def test_headers_of_the_fallbacks_location_are_added(serve, redis):
    nginx = serve("add_header X-Where cache always;", app="add_header X-Where app always;")
    redis.set(key_of(nginx, "/hit"), page("stored"))
    assert nginx.get("/hit").all("X-Where") == ["cache"]
    assert nginx.get("/miss").all("X-Where") == ["app"]


def test_a_dead_application_is_a_502_of_its_own(serve, origin):
    nginx = serve()
    origin.stop()
    assert nginx.get("/p").status == 502


def test_two_tiers_of_redis(serve, redis, origin):
    second = redis.url.removesuffix("1") + "2"
    nginx = serve(
        locations=f"""
            location /t {{ redis_cache_pass {redis.url}; redis_cache_fallback @second; }}
            location @second {{ redis_cache_pass {second}; redis_cache_fallback @app; }}
        """,
    )
    with redis.client() as client:
        client.set(key_of(nginx, "/t/1"), page("first"))
        client.select(2)
        client.set(key_of(nginx, "/t/2"), page("second"))
    bodies = [nginx.get(f"/t/{n}").body for n in (1, 2, 3)]
    assert bodies == [b"first", b"second", b"app GET /t/3"]
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/t/3")


def test_a_fallback_that_is_no_proxy(serve, redis):
    nginx = serve(
        locations=f"""
            location /f {{ redis_cache_pass {redis.url}; redis_cache_fallback @text; }}
            location @text {{ return 203 text; }}
        """
    )
    for method in ["GET", "POST"]:
        response = nginx.request(method, "/f", body=b"x")
        assert (response.status, response.body) == (203, b"text")


@pytest.fixture
def alone(serve, redis, fake_redis):
    """Locations without a fallback: `/`, and `/fake` with a fake Redis."""
    return serve(
        locations=f"""
            location /alone {{ redis_cache_pass {redis.url}; }}
            location /fake {{
                redis_cache_pass {fake_redis.url};
                redis_cache_breaker off;
                redis_cache_timeout 200ms;
            }}
        """
    )


def test_without_a_fallback(alone, redis, fake_redis):
    redis.set(key_of(alone, "/alone/hit"), page("stored"))
    assert alone.get("/alone/hit").body == b"stored"
    assert alone.get("/alone/miss").status == 404
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
        assert alone.request(method, "/alone/hit", body=b"x").status == 405
    for reply, status in [(b"+OK\r\n", 502), (b"-ERR x\r\n", 502), (b"$1", 504), (b"_\r\n", 404)]:
        fake_redis.on_get = lambda conn, key, reply=reply: conn.sendall(reply)
        assert alone.get("/fake").status == status
        # A connection that failed is not made anew at once.
        time.sleep(0.1)
    fake_redis.stop()
    assert alone.get("/fake").status == 502
    assert alone.get("/alone/x", {"Authorization": "x"}).status == 404


def test_error_page_is_the_old_way_to_a_fallback(serve, redis, origin):
    nginx = serve(
        locations=f"""
            location /old {{
                redis_cache_pass {redis.url};
                error_page 404 405 502 504 = @app;
            }}
        """
    )
    redis.set(key_of(nginx, "/old/hit"), page("stored"))
    assert nginx.get("/old/hit").body == b"stored"
    response = nginx.get("/old/miss")
    assert (response.status, response.body) == (200, b"app GET /old/miss")
    redis.set(key_of(nginx, "/old/404"), page("stored not found", "404 Not Found"))
    response = nginx.get("/old/404")
    assert (response.status, response.body) == (404, b"stored not found")
    redis.kill()
    assert nginx.get("/old/hit").body == b"app GET /old/hit"
    assert nginx.request("POST", "/old/hit", body=b"x").body == b"app POST /old/hit"
    assert origin.last.body == b"x"
