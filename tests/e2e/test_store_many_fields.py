"""An answer with more fields than a stored page may have passes at once, and is not stored."""

import pytest
from support.site import message

MANY = 20_000


@pytest.mark.parametrize("listed", [False, True], ids=["fields", "listed in Connection"])
def test_no_work_for_what_cannot_be_stored(store, raw_origin, stored, listed):
    names = [f"X-{n}" for n in range(MANY)]
    headers = [("Cache-Control", "max-age=60"), *((name, "1") for name in names)]
    if listed:
        parts = [names[at : at + 500] for at in range(0, MANY, 500)]
        headers += [("Connection", ", ".join(part)) for part in parts]
    raw_origin.answer = lambda asked: message(headers=headers, body=b"page")
    nginx = store(
        "redis_cache_hide_header X-None;",
        app="proxy_http_version 1.1; proxy_buffer_size 4m; proxy_buffers 8 4m; proxy_busy_buffers_size 8m;",
        url=raw_origin.url,
    )
    with nginx.client() as client:
        client.connection.connect()
        client.connection.sock.sendall(b"GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.connection.sock.recv(1 << 20), b""))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"page")
    assert b"detail=absent/entry" in answer.partition(b"\r\n\r\n")[0]
    assert stored(nginx) is None
