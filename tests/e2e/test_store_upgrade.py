"""WebSocket and other upgrades through a location that stores: the connection is the application's,
and what lies under the key is still a page."""

import threading

import pytest
from support.listener import Listener, cut
from support.raw import Raw, request_bytes
from support.site import LIFETIME, message
from support.stored import fresh_line, key_of, page

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]  # fmt: skip
APP = """
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
"""
MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }"


@pytest.fixture
def echo():
    """An application that upgrades who asks for it, and then says again what it is told."""
    open_sockets = []

    def serve(conn):
        open_sockets.append(conn)
        with conn, conn.makefile("rb") as reader:
            head = b"".join(iter(reader.readline, b"\r\n")).lower()
            if b"upgrade: websocket" not in head:
                conn.sendall(message(headers=[LIFETIME, ("Connection", "close")], body=b"page"))
                return
            upgrade = [*UPGRADE[:2], ("Cache-Control", "max-age=3600"), ("Content-Length", None)]
            conn.sendall(message("101 Switching Protocols", upgrade))
            while data := reader.read1(65536):
                conn.sendall(data)

    def accept(conn):
        threading.Thread(target=serve, args=(conn,), daemon=True).start()

    listener = Listener(accept)
    yield f"http://127.0.0.1:{listener.port}"
    listener.close()
    cut(open_sockets)


@pytest.fixture
def upgrade():
    """Asks for an upgrade, talks a while when it is granted, and says with what status."""

    def upgrade(nginx):
        with Raw(nginx.port) as raw:
            raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}", headers=UPGRADE))
            status = int(raw.reader.readline().split()[1])
            if status != 101:
                return status
            while raw.reader.readline() != b"\r\n":
                pass
            for n in range(50):
                data = b"%d " % n * 1000
                raw.send(data)
                assert raw.reader.read(len(data)) == data
            return status

    return upgrade


@pytest.mark.parametrize("valid", ["", "redis_cache_valid any 1h;"])
def test_an_upgrade_is_no_page(store, echo, stored, upgrade, valid):
    nginx = store(valid, app=APP, http=MAP, url=echo)
    for _ in range(2):
        assert upgrade(nginx) == 101
    assert {line.rpartition("w=")[2] for line in nginx.logged(2)} == {"status"}
    assert stored(nginx) is None
    assert nginx.get("/p").body == b"page"
    assert stored(nginx, within=2).endswith(b"page")


def test_a_stored_page_answers_a_request_to_upgrade(store, redis, echo):
    """RFC 9110, 7.8: who is asked for an upgrade may go on as if it were not."""
    nginx = store(app=APP, http=MAP, url=echo)
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    with Raw(nginx.port) as raw:
        for _ in range(2):
            raw.send(request_bytes("/p", host=f"127.0.0.1:{nginx.port}", headers=UPGRADE))
            response = raw.response()
            assert (response.status, response.body) == (200, b"stored")
            assert response.cache == ("hit", "fresh") and response.header("Upgrade") is None


def test_upgrades_that_are_not_looked_up(store, redis, echo, upgrade):
    nginx = store("redis_cache_bypass $http_upgrade;", app=APP, http=MAP, url=echo)
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    assert upgrade(nginx) == 101
    assert nginx.get("/p").body == b"stored"
