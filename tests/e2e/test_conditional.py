"""Conditional and range requests are answered from the stored page as nginx answers them for a
file; HEAD has the Content-Length of the GET."""

import pytest
from support.stored import fresh_line, key_of, page

BODY = bytes(range(97, 123)) * 4
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
FIELDS = [("ETag", '"abc"'), ("Last-Modified", DATE), ("Cache-Control", "max-age=60"),
          ("Vary", "Accept-Encoding"), ("Content-Type", "text/html; charset=utf-8")]  # fmt: skip


@pytest.fixture
def get(serve, redis, origin):
    """A GET of the stored page with these headers; the application is never asked."""
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page(BODY, headers=FIELDS, line=fresh_line()))

    def get(method="GET", target="/p", **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return nginx.request(method, target, names)

    get.nginx = nginx
    yield get
    assert not origin.requests


MATCHES = ['"abc"', 'W/"abc"', '"x", "abc"', '"x",W/"abc" ,"y"', "*"]


@pytest.mark.parametrize("tags", MATCHES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match_compares_weakly_in_lists(get, tags, method):
    response = get(method, If_None_Match=tags)
    assert (response.status, response.body) == (304, b"")
    for name, value in FIELDS[:4]:
        assert response.header(name) == value
    assert response.header("Content-Length") is None
    assert response.header("Age") is not None


@pytest.mark.parametrize("tags", ['"other"', '"ab"', '"abcd"', "abc", 'w/"abc"', '"x", "y"'])
def test_if_none_match_of_another_page(get, tags):
    assert get(If_None_Match=tags).body == BODY


def test_the_tag_outranks_the_date(get):
    assert get(If_None_Match='"abc"', If_Modified_Since=DATE).status == 304
    assert get(If_None_Match='"other"', If_Modified_Since=DATE).status == 200
    assert get(If_None_Match='"abc"', If_Modified_Since=EARLIER).status == 304
    assert get(If_None_Match='"other"', If_Modified_Since=LATER).status == 200


def test_if_modified_since(get):
    assert get(If_Modified_Since=DATE).status == 304
    assert get(If_Modified_Since=EARLIER).status == 200
    assert get(If_Modified_Since="no date").status == 200


@pytest.mark.parametrize("header", ["If-Match", "If-Unmodified-Since"])
def test_what_only_the_application_may_evaluate(serve, redis, origin, header):
    nginx = serve("redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), page(BODY, headers=FIELDS, line=fresh_line()))
    response = nginx.get("/p", {header: '"abc"' if header == "If-Match" else LATER})
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=bypass", "precondition"))
    assert origin.last.header(header)


def test_a_weak_tag_is_kept_and_matches(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("x", headers=[("ETag", 'W/"1"')]))
    assert nginx.get("/p").header("ETag") == 'W/"1"'
    assert nginx.get("/p", {"If-None-Match": '"1"'}).status == 304


def test_a_page_without_validators_is_sent_whole(serve, redis):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page("x"))
    assert nginx.get("/p", {"If-Modified-Since": LATER}).status == 200
    assert nginx.get("/p", {"If-None-Match": '"abc"'}).status == 200


@pytest.mark.parametrize("status", [203, 301, 404, 500])
def test_only_a_200_becomes_a_304_or_206(serve, redis, status):
    nginx = serve()
    redis.set(key_of(nginx, "/p"), page(BODY, f"{status} X", FIELDS))
    for name, value in [("If-None-Match", '"abc"'), ("If-Modified-Since", DATE),
                        ("Range", "bytes=0-1")]:  # fmt: skip
        response = nginx.get("/p", {name: value})
        assert (response.status, response.body) == (status, BODY)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("2-5", 2, 5), ("100-", 100, 103), ("-3", 101, 103), ("0-9999", 0, 103),
     ("103-103", 103, 103)],
)  # fmt: skip
def test_a_range(get, asked, first, last):
    response = get(Range=f"bytes={asked}")
    assert (response.status, response.body) == (206, BODY[first : last + 1])
    assert response.all("Content-Length") == [str(last - first + 1)]
    assert response.header("Content-Range") == f"bytes {first}-{last}/104"
    assert response.header("ETag") == '"abc"'


def test_several_ranges(get):
    response = get(Range="bytes=0-1,5-6,-2")
    assert response.status == 206
    boundary = response.header("Content-Type").partition("boundary=")[2].encode()
    parts = response.body.split(b"--" + boundary)[1:-1]
    assert [part.partition(b"\r\n\r\n")[2][:-2] for part in parts] == [b"ab", b"fg", b"yz"]
    assert response.all("Content-Length") == [str(len(response.body))]
    assert all(b"Content-Type: text/html; charset=utf-8" in part for part in parts)


@pytest.mark.parametrize("asked", ["bytes=104-", "bytes=5-2", "bytes=-0", "bytes=x"])
def test_a_range_that_cannot_be(get, asked):
    response = get(Range=asked)
    assert response.status == 416
    assert response.header("Content-Range") == "bytes */104"


def test_another_unit_is_ignored(get):
    assert get(Range="lines=0-1").body == BODY


def test_if_range(get):
    for validator, status in [('"abc"', 206), (DATE, 206), ('"other"', 200), (EARLIER, 200),
                              ('W/"abc"', 200)]:  # fmt: skip
        response = get(Range="bytes=0-1", If_Range=validator)
        assert (response.status, len(response.body)) == (status, 2 if status == 206 else 104)


def test_head(get):
    whole = get()
    response = get("HEAD")
    assert (response.status, response.body) == (200, b"")
    names = {name for name, _ in whole.headers}
    assert {name for name, _ in response.headers} == names
    assert response.all("Content-Length") == ["104"]


def test_head_has_no_ranges(get):
    response = get("HEAD", Range="bytes=0-1")
    assert (response.status, response.body) == (200, b"")
    assert response.all("Content-Length") == ["104"]
    assert response.header("Accept-Ranges") == "bytes"


def test_head_on_statuses_and_empty_pages(serve, redis):
    nginx = serve()
    for status, body in [(404, b"x" * 9), (404, b""), (301, b""), (200, b""), (500, b"x")]:
        redis.set(key_of(nginx, "/p"), page(body, f"{status} X"))
        response = nginx.request("HEAD", "/p")
        assert (response.status, response.all("Content-Length")) == (status, [str(len(body))])


def test_a_range_of_a_large_page(serve, redis):
    nginx = serve("redis_cache_timeout 3s;")
    body = b"".join(b"%07d " % n for n in range(300_000))
    redis.set(key_of(nginx, "/p"), page(body, headers=FIELDS))
    for first, last in [(0, 0), (1_234_567, 2_000_000), (2_399_990, 2_399_999)]:
        response = nginx.get("/p", {"Range": f"bytes={first}-{last}"})
        assert response.body == body[first : last + 1]
    response = nginx.get("/p", {"Range": "bytes=0-9,2000000-2000009"})
    assert response.status == 206 and body[2_000_000:2_000_010] in response.body


def test_no_ranges_where_nginx_forbids_them(serve, redis):
    nginx = serve("max_ranges 0;")
    redis.set(key_of(nginx, "/p"), page(BODY))
    assert nginx.get("/p", {"Range": "bytes=0-1"}).status == 200
