"""Storing beside the directives that change what the proxy passes on: what they hide still decides,
and a visitor gets from Redis what the first one got from the application."""

import socket
import threading
import time
from urllib.parse import urljoin

import pytest
from support.listener import Listener
from support.ports import free_port
from support.site import LIFETIME, message

HTML = ("Content-Type", "text/html")


@pytest.fixture
def answers(raw_origin):
    def answers(*headers, status="200 OK", body=None):
        raw_origin.answer = lambda asked: message(
            status, headers, body or b"answer %d" % len(raw_origin.requests), asked.method
        )

    return answers


def twice(nginx, target="/p", first=None, second=None):
    responses = []
    for headers in [first, second]:
        responses.append(nginx.get(target, headers))
        time.sleep(0.05)
    return responses


FORBID = [("Set-Cookie", "a=alice"), ("Cache-Control", "private"), ("Cache-Control", "no-store"), ("Vary", "*"),
          ("CDN-Cache-Control", "no-store"), ("X-Accel-Expires", "0"), ("Expires", "0"), ("Age", "999999")]  # fmt: skip
HIDES = ["proxy_hide_header {0};", "proxy_ignore_headers Set-Cookie Cache-Control Vary X-Accel-Expires Expires;",
         "proxy_pass_header {0};", "add_header {0} x always;"]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FORBID)
@pytest.mark.parametrize("hide", HIDES)
def test_what_the_proxy_hides_or_ignores_decides_all_the_same(
    store, raw_origin, answers, stored, name, value, hide
):
    lifetime = (
        []
        if name in ("Expires", "X-Accel-Expires")
        else [("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")]
    )
    if name not in ("Cache-Control", "Expires"):
        lifetime.append(LIFETIME)
    answers(*lifetime, (name, value))
    nginx = store(url=raw_origin.url, app=hide.format(name))
    first, second = twice(nginx)
    assert (first.body, second.body) == (b"answer 1", b"answer 2")
    assert stored(nginx) is None


def test_a_field_that_the_proxy_hides_is_hidden_from_all(store, raw_origin, answers):
    answers(LIFETIME, ("X-Internal", "secret"), ("X-Powered-By", "x"))
    nginx = store(url=raw_origin.url, app="proxy_hide_header X-Internal;")
    for response in twice(nginx):
        assert response.header("X-Internal") is None and response.header("X-Powered-By") == "x"
    assert response.cache == ("hit", "fresh")


@pytest.mark.parametrize("path", ["/x", "/x?y=z", ""])
def test_a_rewritten_location(store, raw_origin, answers, path):
    answers(LIFETIME, ("Location", raw_origin.url + path), status="301 X")
    nginx = store(url=raw_origin.url, app=f"proxy_redirect {raw_origin.url} /app;")
    first, second = twice(nginx)
    assert second.cache == ("hit", "fresh") and second.status == 301
    # nginx makes the first one absolute; both name the same place.
    here = f"http://127.0.0.1:{nginx.port}/p"
    places = [urljoin(here, response.header("Location")) for response in (first, second)]
    assert places == [f"http://127.0.0.1:{nginx.port}/app{path}"] * 2


def test_a_charset(store, raw_origin, answers):
    answers(LIFETIME, HTML)
    nginx = store(url=raw_origin.url, http="charset utf-8;")
    for response in twice(nginx):
        assert response.all("Content-Type") == ["text/html; charset=utf-8"]
    assert response.cache == ("hit", "fresh")


def test_what_is_added_around_a_body_is_added_once(store, raw_origin, answers, stored):
    answers(LIFETIME, HTML, body=b"body")
    nginx = store(
        url=raw_origin.url,
        server="add_before_body /before; add_after_body /after;",
        locations="location /before { add_before_body ''; add_after_body ''; return 200 '<'; }"
        "location /after { add_before_body ''; add_after_body ''; return 200 '>'; }",
    )
    for response in twice(nginx):
        assert response.body == b"<body>"
    assert response.cache == ("hit", "fresh") and stored(nginx).endswith(b"\r\n\r\nbody")


def test_the_next_upstream(store, raw_origin, stored):
    """The answer that counts is that of the server which gave it."""
    raw_origin.answer = lambda asked: (
        b"HTTP/1.1 503 X\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nbad"
        if len(raw_origin.requests) == 1
        else message(headers=[LIFETIME], body=b"good")
    )
    address = raw_origin.url[7:]
    http = f"upstream u {{ server {address}; server {address} backup; }}"
    nginx = store(url="http://u", http=http, app="proxy_next_upstream error timeout http_503;")
    for response in twice(nginx):
        assert (response.status, response.body) == (200, b"good")
    assert response.cache == ("hit", "fresh") and len(raw_origin.requests) == 2


def test_parts_of_a_request_that_is_not_for_all(store, raw_origin, stored):
    """An SSI part inherits the fields of the request around it."""
    personal = {"/mine": b'<!--# include virtual="/part" -->'}
    raw_origin.answer = lambda asked: message(
        headers=[HTML] if asked.target in personal else [HTML, LIFETIME],
        body=personal.get(asked.target)
        or b"part for " + (asked.header("Authorization") or "all").encode(),
    )
    nginx = store(url=raw_origin.url, http="ssi on;")
    for who in ["alice", "bob"]:
        assert nginx.get("/mine", {"Authorization": who}).body == b"part for " + who.encode()
        time.sleep(0.03)
        assert stored(nginx, "/part") is None
    assert nginx.get("/mine").body == b"part for all"
    assert nginx.get("/mine", {"Authorization": "carol"}).body == b"part for carol"


def test_parts_of_a_post(store, raw_origin, stored):
    raw_origin.answer = lambda asked: message(
        headers=[HTML, LIFETIME],
        body=b'<<!--# include virtual="/part" -->>'
        if asked.target == "/p"
        else asked.method.encode() + b" part",
    )
    nginx = store(url=raw_origin.url, http="ssi on;")
    assert nginx.request("POST", "/p", body=b"form=1").body == b"<GET part>"
    time.sleep(0.05)
    assert stored(nginx, "/p") is None or b"gone" in stored(nginx, "/p")
    assert nginx.get("/p").body == b"<GET part>" and nginx.get("/part").body == b"GET part"


def test_no_store_of_a_request_holds_for_its_parts(store, raw_origin, stored):
    raw_origin.answer = lambda asked: message(
        headers=[HTML, LIFETIME],
        body=b'<<!--# include virtual="/part" -->>' if asked.target == "/p" else b"part",
    )
    nginx = store(url=raw_origin.url, http="ssi on;")
    assert nginx.get("/p", {"Cache-Control": "no-store"}).body == b"<part>"
    time.sleep(0.05)
    assert stored(nginx, "/p") is None and stored(nginx, "/part") is None


def scgi(answer):
    """An SCGI application that answers these bytes and closes."""

    def accept(conn):
        def serve():
            with conn:
                conn.settimeout(5)
                data = b""
                while (
                    b":" not in data
                    or len(data) < int(data.split(b":")[0]) + len(data.split(b":")[0]) + 2
                ):
                    data += conn.recv(65536)
                conn.sendall(answer)
                conn.shutdown(socket.SHUT_WR)

        threading.Thread(target=serve, daemon=True).start()

    return Listener(accept)


@pytest.mark.parametrize(("length", "body", "is_stored"), [
    (b"Content-Length: 4\r\n", b"page", True), (b"", b"page", False), (b"Content-Length: 9\r\n", b"page", False),
    (b"Content-Length: 2\r\n", b"page", None),
])  # fmt: skip
def test_scgi(start_nginx, redis, stored, length, body, is_stored):
    application = scgi(
        b"Status: 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\n"
        + length
        + b"\r\n"
        + body
    )
    nginx = start_nginx(
        server=f"""location / {{ redis_cache {redis.url}; redis_cache_timeout 2s; redis_cache_connect_timeout 2s;
            redis_cache_store on; scgi_pass 127.0.0.1:{application.port}; scgi_param SCGI 1; }}"""
    )
    try:
        try:
            nginx.get("/p")
        except Exception:
            pass
        time.sleep(0.1)
        value = stored(nginx)
        if is_stored is None:
            assert value is None or value.endswith(b"\r\n\r\npa")
        else:
            assert (value is not None) == is_stored
        if is_stored:
            assert value.startswith(b"HTTP/1.1 200 OK\r\n") and value.endswith(b"\r\n\r\npage")
            assert b"\r\nStatus:" not in value, "a field of the gateway's protocol, not of the page"
    finally:
        application.close()


def test_an_application_that_is_not_there(store, stored):
    nginx = store("redis_cache_valid any 1h;", url=f"http://127.0.0.1:{free_port()}")
    for response in twice(nginx):
        assert response.status == 502
    assert stored(nginx) is None, "an error of nginx's own is no answer of the application"
