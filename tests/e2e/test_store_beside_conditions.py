"""A client's condition on a miss (RFC 9110 section 13) is answered here, and the page that nobody
reads is stored all the same, beside settings of the proxy, filters and HTTP/2."""

import time

import pytest
from support.h2client import H2Client
from support.raw import Raw, request_bytes
from support.site import LIFETIME, message

HTML, TAG = ("Content-Type", "text/html; charset=utf-8"), ("ETag", '"1"')
BODY = bytes(n % 251 for n in range(700_000))


@pytest.mark.parametrize(
    "setting", ["", "proxy_buffering off;", "limit_rate 4m;", "proxy_http_version 1.1;"]
)
@pytest.mark.parametrize("condition", [("If-None-Match", '"1"'), ("If-None-Match", "*")])
def test_a_304_to_the_client_on_a_miss_fills_the_cache(
    store, raw_origin, stored, setting, condition
):
    """The body is of no use to this client, and is stored whole all the same; the next request of
    the connection does not wait for it in vain."""

    def answer(asked):
        head = message(headers=[LIFETIME, TAG, ("Content-Length", str(len(BODY)))])
        yield head + BODY[:300_000]
        time.sleep(0.05)
        yield BODY[300_000:]

    raw_origin.answer = answer
    nginx = store(url=raw_origin.url, app=setting)
    host = f"127.0.0.1:{nginx.port}"
    with Raw(nginx.port, timeout=3) as raw:
        raw.send(
            request_bytes("/p", host=host, headers=[condition])
            + request_bytes("/q", host=host, headers=[("If-None-Match", '"0"')])
            + request_bytes("/p", host=host)
        )
        first, second, third = raw.response(), raw.response(), raw.response()
    assert (first.status, second.status, third.status) == (304, 200, 200)
    assert second.body == third.body == BODY
    for target in ["/p", "/q"]:
        assert stored(nginx, target, within=1).endswith(b"\r\n\r\n" + BODY)


def test_a_304_to_the_client_on_a_miss_over_http2(store, raw_origin, stored):
    raw_origin.answer = lambda asked: message(headers=[LIFETIME, TAG], body=BODY)
    nginx = store(url=raw_origin.url, listen="http2")
    with H2Client(nginx.port) as client:
        for n in range(4):
            response = client.get(f"/{n}", [("if-none-match", 'W/"1"')])
            assert (response.status, response.body) == (304, b"")
            assert stored(nginx, f"/{n}", within=1).endswith(b"\r\n\r\n" + BODY)
            assert client.get(f"/{n}").body == BODY


@pytest.mark.parametrize("directive", ["ssi on;", "gzip on; gzip_proxied any;", "sub_filter a b;"])
def test_conditions_beside_filters_that_change_a_body(store, raw_origin, directive):
    """Where a filter takes the validators away nobody is told that nothing changed."""
    raw_origin.answer = lambda asked: message(headers=[LIFETIME, TAG, HTML], body=b"a" * 3000)
    nginx = store(url=raw_origin.url, http=directive)
    gzips = {"Accept-Encoding": "gzip"}
    sizes = []
    for target in ["/miss", "/hit"]:
        if target == "/hit":
            nginx.get(target)
            time.sleep(0.05)
        response = nginx.get(target, {**gzips, "If-None-Match": 'W/"1"'})
        sizes.append((response.status, len(response.body)))
    assert sizes[0] == sizes[1], "a miss and a hit answer the same condition in the same way"
