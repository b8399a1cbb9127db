"""A client's condition does not keep a page from being stored: the application sends the whole page,
and nginx answers the condition. A range is the application's affair."""

import time

import pytest
from support.origin import Answer
from support.stored import fresh_line, key_of, page

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
HEADERS = [("ETag", '"1"'), ("Last-Modified", DATE), ("Cache-Control", "max-age=60")]

CONDITIONS = [
    ({"If-None-Match": '"1"'}, 304),
    ({"If-None-Match": 'W/"1"'}, 304),
    ({"If-None-Match": '"0", "1"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"0"'}, 200),
    ({"If-Modified-Since": DATE}, 304),
    ({"If-Modified-Since": LATER}, 200),
    ({"If-Modified-Since": EARLIER}, 200),
    ({"If-None-Match": '"1"', "If-Modified-Since": EARLIER}, 304),
    ({"If-None-Match": '"0"', "If-Modified-Since": DATE}, 200),
]


@pytest.mark.parametrize("headers,status", CONDITIONS)
def test_the_page_is_stored_and_the_condition_answered(store, origin, headers, status):
    origin.answer = lambda asked: Answer(b"page", headers=HEADERS)
    nginx = store(app='proxy_set_header X-Seen "$http_if_none_match$http_if_modified_since";')
    response = nginx.get("/p", headers)
    assert (response.status, response.body) == (status, b"page" if status == 200 else b"")
    for name in ["If-None-Match", "If-Modified-Since", "X-Seen"]:
        assert not origin.last.header(name)
    if status == 304:
        assert response.header("ETag") == '"1"' and response.header("Content-Length") is None
    time.sleep(0.05)
    assert nginx.get("/p").cache == ("hit", "fresh")
    assert nginx.get("/p", headers).status == status
    assert len(origin.requests) == 1


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_304_on_a_connection_that_goes_on(store, origin, buffering):
    body = b"page" * 50_000
    origin.answer = lambda asked: Answer(body, headers=HEADERS)
    nginx = store(app=f"proxy_buffering {buffering};")
    with nginx.client() as client:
        for n in range(5):
            assert client.get(f"/{n}", {"If-None-Match": '"1"'}).status == 304
            assert client.get("/other").body == body
    time.sleep(0.1)
    assert all(nginx.get(f"/{n}").cache == ("hit", "fresh") for n in range(5))


def test_the_condition_is_answered_also_where_nothing_is_stored(store, origin, stored):
    headers = [("ETag", '"1"'), ("Cache-Control", "private")]
    origin.answer = lambda asked: Answer(b"page" * 1000, headers=headers)
    nginx = store()
    with nginx.client() as client:
        response = client.get("/p", {"If-None-Match": '"1"'})
        assert (response.status, response.cache) == (304, ("fwd=uri-miss", "absent/private"))
        assert client.get("/p", {"If-None-Match": '"2"'}).body == b"page" * 1000
    assert stored(nginx) is None


def test_a_304_of_the_application_without_a_condition_is_its_own(store, origin):
    origin.answer = lambda asked: Answer(b"", 304, HEADERS)
    response = store().get("/p", {"If-None-Match": '"1"'})
    assert response.status == 304


@pytest.mark.parametrize("header", ["Range", "If-Match", "If-Unmodified-Since"])
def test_what_the_application_answers_itself(store, origin, stored, header):
    value = {"Range": "bytes=0-1", "If-Match": '"1"'}.get(header, DATE)
    origin.answer = lambda asked: Answer(b"page", headers=HEADERS)
    nginx = store()
    response = nginx.get("/p", {header: value, "If-None-Match": '"7"'})
    assert response.cache[1] == ("absent/range" if header == "Range" else "precondition/bypass")
    assert (origin.last.header(header), origin.last.header("If-None-Match")) == (value, '"7"')
    time.sleep(0.05)
    assert stored(nginx) is None


def test_a_partial_answer_is_passed_on_and_not_stored(store, origin, stored):
    partial = [("Content-Range", "bytes 0-1/4"), *HEADERS]
    origin.answer = lambda asked: Answer(b"pa", 206, partial)
    nginx = store("redis_cache_valid any 1m;")
    response = nginx.get("/p", {"Range": "bytes=0-1"})
    assert (response.status, response.body) == (206, b"pa")
    assert nginx.get("/p").cache[1] == "absent/status"
    time.sleep(0.05)
    assert stored(nginx) is None


def test_head_of_a_stored_page_with_conditions(store, redis):
    nginx = store()
    redis.set(key_of(nginx, "/p"), page("x", headers=HEADERS, line=fresh_line()))
    headers = {"If-None-Match": '"1"', "If-Modified-Since": EARLIER}
    assert nginx.request("HEAD", "/p", headers).status == 304


def test_an_include_is_never_conditional(store, origin, stored):
    """A subrequest has the header of its page; its own answer has to be whole."""
    html = [("Content-Type", "text/html"), ("Cache-Control", "max-age=60")]
    parts = {"/p": b'<!--# include virtual="/part" -->.'}
    origin.answer = lambda asked: Answer(parts.get(asked.target, b"part"), headers=html)
    nginx = store(server="ssi on;")
    assert nginx.get("/p", {"If-None-Match": '"1"'}).body == b"part."
    assert stored(nginx, "/part", within=2).endswith(b"\r\n\r\npart")
    assert stored(nginx, "/p", within=2).endswith(parts["/p"])
    assert (nginx.get("/p").body, len(origin.requests)) == (b"part.", 2)


def test_slices_of_a_page_that_is_conditional(store, raw_origin, stored):
    """The answer is made of parts: it is passed on whole, and not stored."""
    body = bytes(n % 251 for n in range(10_000))

    def answer(asked):
        first, last = (int(n) for n in asked.header("Range").removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        head = (
            f"HTTP/1.1 206 X\r\nContent-Length: {len(part)}\r\nCache-Control: max-age=60\r\n"
            f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(body)}\r\n"
            'ETag: "1"\r\n\r\n'
        )
        return head.encode() + part

    raw_origin.answer = answer
    nginx = store(
        app="slice 1k; proxy_set_header Range $slice_range; proxy_http_version 1.1;",
        url=raw_origin.url,
    )
    with nginx.client() as client:
        for headers in [{}, {"If-None-Match": '"0"'}, {"If-None-Match": '"0"'}]:
            response = client.get("/p", headers)
            assert (response.status, response.body) == (200, body)
            assert response.cache[1] == "absent/partial"
    assert stored(nginx) is None


def test_what_proxy_cache_answers_is_not_stored(store, origin, stored, tmp_path):
    origin.answer = lambda asked: Answer(b"page", headers=HEADERS)
    nginx = store(
        http=f"proxy_cache_path {tmp_path}/cache keys_zone=z:1m;",
        app="proxy_cache z; proxy_cache_valid 1m;",
    )
    nginx.get("/p")
    assert stored(nginx, within=2)
    nginx.request("POST", "/p", body=b"x")
    assert nginx.get("/p").cache == ("fwd=uri-miss", "gone/cached")
    time.sleep(0.05)
    assert b"gone=" in stored(nginx)
