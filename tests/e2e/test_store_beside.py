"""Storing beside what else stands in a location of nginx: other handlers, subrequests, redirects,
filters and settings of the proxy. What is stored is the application's answer to this URI alone."""

import threading
import time

import pytest
from support.origin import Answer
from support.pages import FRESH, HTML, answers, count, settled
from support.ports import wait_for
from support.raw import Raw, exchange, request_bytes


def test_an_error_page_is_not_stored_as_the_page(store, origin, stored):
    nginx = store(
        app="proxy_intercept_errors on; error_page 500 502 =200 /sorry; error_page 404 /lost;",
        locations=f"location /sorry {{ proxy_pass {origin.url}; }} location /lost {{ proxy_pass {origin.url}; }}",
    )
    pages = {"/p": Answer(b"x", 500), "/q": Answer(b"x", 404), "/sorry": b"sorry", "/lost": b"lost"}
    answers(origin, pages)
    assert (settled(nginx, "/p").body, settled(nginx, "/q").body) == (b"sorry", b"lost")
    assert stored(nginx, "/p") is None and stored(nginx, "/q") is None
    answers(origin, {"/p": b"well", "/q": b"found"})
    assert (settled(nginx, "/p").body, settled(nginx, "/q").body) == (b"well", b"found")


def test_an_error_page_within_the_cached_location(store, origin, stored):
    nginx = store(app="proxy_intercept_errors on; error_page 500 =200 /sorry;")
    answers(origin, {"/p": Answer(b"x", 500), "/sorry": b"sorry"})
    assert settled(nginx).body == b"sorry"
    assert stored(nginx, "/p") is None
    answers(origin, {"/p": b"well"})
    assert settled(nginx).body == b"well"


@pytest.mark.parametrize("accel", ["/protected/file", "/other", "@named"])
@pytest.mark.parametrize("status", [200, 301])
def test_x_accel_redirect_is_never_stored_under_the_public_uri(
    store, origin, stored, tmp_path, accel, status
):
    (tmp_path / "protected").mkdir()
    (tmp_path / "protected/file").write_bytes(b"secret of alice")
    nginx = store(
        "redis_cache_valid any 1h;",
        locations=f"""
            location /protected/ {{ internal; root {tmp_path}; }}
            location @named {{ return 200 named; }}
        """,
    )
    headers = [*FRESH, ("X-Accel-Redirect", accel), ("X-Accel-Expires", "60")]
    answers(origin, {"/p": Answer(b"", status, headers), "/other": b"secret of other"})
    first = settled(nginx)
    assert b"secret" in first.body or first.body == b"named"
    value = stored(nginx)
    assert value is None or (b"secret" not in value and b"named" not in value)
    answers(origin, {"/p": Answer(b"denied", 403, [HTML])})
    assert settled(nginx).body == b"denied"


def test_try_files(store, origin, redis, stored, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f/static").write_bytes(b"static")
    nginx = store(
        locations=f"""
            location /f/ {{ redis_cache {redis.url}; redis_cache_store on;
                redis_cache_status_header on; root {tmp_path}; try_files $uri @late; }}
            location @late {{ proxy_pass {origin.url}; }}
        """
    )
    answers(origin, {"/f/p": b"page"})
    assert settled(nginx, "/f/static").body == b"static"
    assert stored(nginx, "/f/static") is None, "a file has no lifetime of its own"
    assert settled(nginx, "/f/p").body == settled(nginx, "/f/p").body == b"page"
    assert count(origin, "/f/p") == 1 and stored(nginx, "/f/p").endswith(b"page")


def test_auth_request_decides_on_every_hit(store, origin, stored):
    nginx = store(
        server="auth_request /auth; auth_request_set $who $upstream_http_x_who;",
        locations=f"""location = /auth {{
            auth_request off; proxy_pass {origin.url}; proxy_pass_request_body off;
            proxy_set_header Content-Length ""; }}""",
    )
    allowed = []
    origin.answer = lambda asked: (
        Answer(b"", 200 if allowed else 403, FRESH)
        if asked.target == "/auth"
        else Answer(b"page", headers=FRESH)
    )
    assert settled(nginx).status == 403 and stored(nginx) is None
    allowed.append(1)
    assert settled(nginx).body == b"page"
    assert settled(nginx).cache == ("hit", "fresh")
    assert stored(nginx, "/auth") is None
    allowed.clear()
    assert settled(nginx).status == 403
    assert count(origin, "/auth") >= 4 and count(origin, "/p") == 1


def test_an_auth_request_into_the_cached_location_grants_nothing(store, origin, stored):
    nginx = store(locations=f"location /secret {{ auth_request /check; proxy_pass {origin.url}; }}")
    answers(origin, {"/check": Answer(b"", 200, FRESH), "/secret": Answer(b"secret", 200, [HTML])})
    assert settled(nginx, "/check").status == 200
    assert settled(nginx, "/secret").body == b"secret"
    answers(origin, {"/check": Answer(b"", 403, [HTML])})
    assert nginx.get("/secret").status == 403


def test_mirror(store, origin, stored):
    nginx = store(
        server="mirror /mirror;",
        locations=f"location = /mirror {{ internal; proxy_pass {origin.url}/m; }}",
    )
    answers(origin, {"/m": b"mirrored", "/p": b"page"})
    for _ in range(2):
        assert settled(nginx).body == b"page"
    assert stored(nginx).endswith(b"page")
    for target in ["/m", "/mirror"]:
        assert stored(nginx, target) is None
    assert nginx.request("POST", "/p", body=b"x").body == b"page"
    assert count(origin, "/p") == 2


def test_slice(store, origin, stored):
    """A slice asks for a part of the page: nothing of it is a page."""
    body = bytes(n % 251 for n in range(2500))

    def answer(asked):
        wanted = asked.header("Range")
        if not wanted:
            return Answer(body, headers=[*FRESH, ("ETag", '"1"')])
        first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        range_ = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        return Answer(part, 206, [*FRESH, ("ETag", '"1"'), ("Content-Range", range_)])

    origin.answer = answer
    nginx = store(app="slice 1k; proxy_set_header Range $slice_range;")
    for _ in range(2):
        assert settled(nginx).body == body
        assert settled(nginx, headers={"Range": "bytes=1100-1199"}).body == body[1100:1200]
    value = stored(nginx)
    assert value is None or value.endswith(b"\r\n\r\n" + body)


def test_proxy_cache_beside(store, origin, tmp_path, stored):
    nginx = store(
        http=f"proxy_cache_path {tmp_path}/disk keys_zone=z:1m;",
        app="proxy_cache z; proxy_cache_valid 1h; add_header X-Disk $upstream_cache_status;",
    )
    answers(origin, {"/p": b"page"})
    assert settled(nginx).header("X-Disk") == "MISS"
    assert settled(nginx).cache == ("hit", "fresh")
    assert settled(nginx, "/p", method="POST", body=b"").status == 200
    response = settled(nginx)
    assert response.body == b"page" and response.header("X-Disk") == "HIT"
    assert response.cache[0] != "hit", "Redis' copy is gone; nginx's own cache does not invalidate"
    assert settled(nginx).body == b"page"


SETTINGS = ["proxy_buffering off;", "proxy_ignore_client_abort on;", "limit_rate 2m;", "proxy_request_buffering off;",
            "proxy_buffers 2 4k; proxy_busy_buffers_size 4k; proxy_buffer_size 4k;", "proxy_max_temp_file_size 0;",
            "postpone_output 0;", "sendfile on; aio threads;", "proxy_force_ranges on;", "output_buffers 1 512;",
            "proxy_http_version 1.1; proxy_set_header Connection '';", "chunked_transfer_encoding off;"]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_large_page_under_a_setting_of_the_proxy(store, origin, stored, setting):
    body = bytes(n % 251 for n in range(400_000))
    answers(origin, {"/p": body})
    nginx = store(app=setting)
    assert settled(nginx).body == body
    assert stored(nginx, within=2).endswith(b"\r\n\r\n" + body)
    second = settled(nginx)
    assert (second.body, second.cache) == (body, ("hit", "fresh"))
    assert count(origin, "/p") == 1


def test_keepalive_to_the_application(store, raw_origin):
    """An answer that is over-long must not be the next one's beginning."""
    raw_origin.keeps_open = True
    raw_origin.answer = lambda asked: (
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s"
        % (len(asked.target), asked.target.encode())
    )
    http = f"upstream u {{ server {raw_origin.url[7:]}; keepalive 4; }}"
    nginx = store(
        http=http, url="http://u", app="proxy_http_version 1.1; proxy_set_header Connection '';"
    )
    with nginx.client() as client:
        for target in ["/a", "/b", "/a", "/c", "/b"] * 4:
            assert client.get(target).body == target.encode()
    assert len(raw_origin.requests) <= 6


@pytest.mark.parametrize("setting", ["", "proxy_ignore_client_abort on;", "proxy_buffering off;"])
def test_a_client_that_leaves(store, origin, stored, setting):
    body = bytes(n % 251 for n in range(2_000_000))
    entered, go = threading.Event(), threading.Event()

    def answer(asked):
        entered.set()
        go.wait(5)
        return Answer(body, headers=FRESH)

    origin.answer = answer
    nginx = store(app=setting)
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}"))
        assert entered.wait(5)
    go.set()
    wait_for(lambda: nginx.access_log(), "the access log")
    time.sleep(0.2)
    value = stored(nginx)
    assert value is None or value.endswith(b"\r\n\r\n" + body)
    assert nginx.get("/p").body == body


def test_if_and_rewrite(store, origin, stored):
    nginx = store(
        server="rewrite ^/old$ /p break; rewrite ^/moved$ /p redirect; rewrite ^/in$ /q?y=1 last;"
    )
    origin.answer = lambda asked: Answer(asked.target.encode(), headers=FRESH)
    for target in ["/old", "/in?x=1", "/p", "/q?y=1"]:
        bodies = {settled(nginx, target).body for _ in range(2)}
        assert len(bodies) == 1, target
    assert settled(nginx, "/moved").status == 302 and stored(nginx, "/moved") is None


def test_connections_of_clients_stay_in_step(store, origin):
    nginx = store()
    origin.answer = lambda asked: Answer(asked.target.encode() * 100, headers=FRESH)
    host = f"127.0.0.1:{nginx.port}"
    targets = ["/a", "/b", "/a", "/c", "/b", "/a"]
    for _ in range(3):
        responses = exchange(nginx.port, *[request_bytes(target, host=host) for target in targets])
        assert [r.body for r in responses] == [t.encode() * 100 for t in targets]
    assert count(origin, "/a") == count(origin, "/c") == 1
