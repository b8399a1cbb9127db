"""The http form: status, fields and body as they are stored; what does not parse, or could harm, is
an error, and the application answers."""

import base64
import json
from pathlib import Path

import pytest
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

STATUS = "redis_cache_status_header on;"
VECTORS = Path(__file__).parent.parent / "vectors/entry.json"
OK = b"HTTP/1.1 200 OK\r\n"
PAGE = OK + b"Content-Type: text/html\r\n"


@pytest.fixture
def answer(serve, redis):
    """Stores a value and returns the response; one nginx for all of a test's values."""
    nginx = serve(STATUS)

    def answer(value, method="GET", headers=None):
        redis.set(key_of(nginx, "/p"), value)
        return nginx.request(method, "/p", headers)

    answer.nginx = nginx
    return answer


NO_PAGES = {
    "entry": [
        b"", b"<h1>raw</h1>", b"\r\n" + PAGE, b"HTTP/1.1", OK,
        PAGE + b"X: y", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        *[b"HTTP/1.1 %d X\r\n\r\n" % code for code in (0, 99, 100, 101, 206, 304, 600, 999)],
        PAGE + b"no colon\r\n\r\nbody", PAGE + b"X y: z\r\n\r\nbody", PAGE + b": z\r\n\r\nbody",
        PAGE + b"X: a\r\n folded\r\n\r\nbody", PAGE + b"X: a\0b\r\n\r\nbody",
        PAGE + b"X: a\rb\r\n\r\nbody", PAGE + b"X\0: a\r\n\r\nbody", PAGE + b"X\xe9: a\r\n\r\nbody",
        PAGE + b"X: \x01\r\n\r\nbody", PAGE + b"X: \x7f\r\n\r\nbody",
        PAGE + b"X: y\r\n" * 101 + b"\r\n", PAGE + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        PAGE + b"Redis-Cache: no dictionary (\r\n\r\n", PAGE + b"Redis-Cache: stored=1\r\n\r\n",
        PAGE + b'Redis-Cache: v=1, stored="x"\r\n\r\n',
        PAGE + b"Redis-Cache: v=1\r\n" * 2 + b"\r\n",
    ],
    "truncated": [
        PAGE + b"Content-Length: 4\r\n\r\nabc", PAGE + b"Content-Length: 2\r\n\r\nabc",
        PAGE + b"Content-Length: x\r\n\r\nabc", PAGE + b"Content-Length: 3, 3\r\n\r\nabc",
        PAGE + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        PAGE + b"Content-Length: 10\r\n\r\n", PAGE + b"Content-Length: +3\r\n\r\nabc",
    ],
    "version": [PAGE + b"Redis-Cache: v=2\r\n\r\n", PAGE + b"Redis-Cache: v=2, new=(1)\r\n\r\n"],
    "pickle": [b"\x80\x04\x95\x05.", b"\x80\x02}q\x00."],
}  # fmt: skip


@pytest.mark.parametrize("reason", NO_PAGES)
def test_a_value_that_is_no_page(answer, reason):
    for value in NO_PAGES[reason]:
        response = answer(value)
        assert (response.status, response.body) == (200, b"app GET /p"), value[:60]
        assert response.cache == ("fwd=miss", reason), value[:60]
    assert len(answer.nginx.warnings()) == 1


def test_a_tombstone_is_a_miss(answer):
    for value in [OK + b'Redis-Cache: v=1, gone="x"\r\n\r\n', page("x", line='v=1, gone="abc"')]:
        assert answer(value).cache == ("fwd=uri-miss", "gone")


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\r\n\r\n<script>", b"a\nX-Evil: 1"])
def test_a_line_within_a_value_is_a_field_or_nothing(answer, value):
    response = answer(PAGE + b"X: " + value + b"\r\n\r\nbody")
    assert response.header("X") in (None, "a")
    assert len(response.headers) < 15 and response.status == 200


HOP_BY_HOP = ["Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "TE: trailers",
              "Trailer: X", "Transfer-Encoding: chunked", "Upgrade: h2c", "Proxy-Connection: x",
              "Proxy-Authenticate: Basic", "Proxy-Authorization: x"]  # fmt: skip
PERSONAL = ["Set-Cookie: a=b", "SET-COOKIE: c=d", "Set-Cookie2: e=f"]


def test_fields_that_are_never_sent(answer):
    lines = [*HOP_BY_HOP, *PERSONAL, f"Redis-Cache: {fresh_line()}", "X-Stays: 1"]
    response = answer(OK + "\r\n".join(lines).encode() + b"\r\n\r\nbody")
    assert (response.status, response.body) == (200, b"body")
    names = {name.lower() for name, _ in response.headers}
    assert names == {"server", "date", "content-length", "connection", "x-stays", "age",
                     "accept-ranges", "cache-status"}  # fmt: skip
    assert response.all("Connection") == ["keep-alive"]


def test_fields_of_which_there_is_one(answer):
    stored = {
        "Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Server": "app", "ETag": '"1"',
        "Last-Modified": "Sun, 06 Nov 1994 08:49:36 GMT", "Cache-Control": "max-age=60",
        "Expires": "Sun, 06 Nov 2034 08:49:37 GMT", "Content-Type": "text/x", "Location": "/x",
        "Content-Length": "4", "Accept-Ranges": "none", "Age": "99",
    }  # fmt: skip
    response = answer(page("body", headers=stored.items(), line=fresh_line(age=3)))
    assert response.cache == ("hit", "fresh")
    for name, value in stored.items():
        expected = {"Age": ["3"], "Accept-Ranges": ["bytes"]}.get(name, [value])
        assert response.all(name) == expected, name


def test_several_lines_of_one_name_stay_several(answer):
    pairs = [("Link", "<a>"), ("Cache-Control", "public"), ("Link", "<b>"),
             ("Cache-Control", "max-age=60"), ("WWW-Authenticate", "A"),
             ("WWW-Authenticate", "B"), ("X-Empty", ""), ("x-CaSe", "Kept")]  # fmt: skip
    response = answer(page("body", headers=pairs, line=fresh_line()))
    for name in {name for name, _ in pairs}:
        assert response.all(name) == [value for other, value in pairs if other == name]
    assert ("x-CaSe", "Kept") in response.headers


def test_expires_of_the_location_and_of_the_page(serve, redis):
    nginx = serve("expires 1h; add_header X-Thing 1;")
    headers = [("Cache-Control", "max-age=60"), ("Expires", "Sun, 06 Nov 2034 08:49:37 GMT")]
    redis.set(key_of(nginx, "/p"), page("body", headers=headers, line=fresh_line()))
    response = nginx.get("/p")
    assert response.status == 200 and response.header("X-Thing") == "1"
    assert response.all("Cache-Control") == ["max-age=3600"] and len(response.all("Expires")) == 1


@pytest.mark.parametrize("location", ["/else", "http://other/x", "//other/x", "else", "?x", ""])
def test_a_redirect_keeps_its_location(answer, location):
    for status in ["301 Moved Permanently", "302 Found", "303 S", "307 T", "308 P", "201 Created"]:
        response = answer(page("", status, [("Location", location)]))
        assert response.status == int(status.split()[0])
        assert response.all("Location") == [location]


def test_statuses_without_and_with_a_body(answer):
    response = answer(page("", "204 No Content"))
    assert (response.status, response.body) == (204, b"")
    for status in [200, 203, 404, 410, 418, 451, 500, 503, 599]:
        response = answer(page("body", f"{status} Some Reason"))
        assert (response.status, response.body) == (status, b"body")
        assert response.all("Content-Length") == ["4"]
    assert answer(page("", "404 Not Found")).body == b""
    assert answer(b"HTTP/1.0 200 OK\r\n\r\nold").body == b"old"
    assert answer(b"HTTP/1.1 200\r\n\r\nno reason").body == b"no reason"


def test_limits_of_the_head_from_within(answer):
    many = [(f"X-{n}", "y") for n in range(99)]
    response = answer(page("body", headers=many))
    assert [response.header(name) for name, _ in many] == ["y"] * 99
    assert answer(page("body", headers=[("X", "y" * 60_000)])).header("X") == "y" * 60_000


@pytest.mark.parametrize(
    "kind",
    ["text/html; charset=utf-8", "text/html;charset=UTF-8", 'text/html; charset="utf-8"',
     "text/html ; Charset=utf-8", "TEXT/HTML; charset=utf-8", "text/html; x=y; charset=utf-8",
     "text/html"],
)  # fmt: skip
def test_filters_see_the_type_without_parameters(serve, redis, kind):
    nginx = serve("ssi on; sub_filter stored served; gzip on; gzip_min_length 1; charset utf-8;")
    body = '<!--# set var="x" value="1" -->stored'
    redis.set(key_of(nginx, "/p"), page(body, headers=[("Content-Type", kind)]))
    assert nginx.get("/p").body == b"served"
    response = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert response.header("Content-Encoding") == "gzip"
    assert response.header("Content-Type").lower().replace('"', "").count("charset=utf-8") == 1


def test_no_type_is_no_type(answer):
    assert answer(page("body")).header("Content-Type") is None
    both = [("Content-Type", "text/a"), ("Content-Type", "text/b")]
    assert answer(page("body", headers=both)).all("Content-Type") == ["text/a"]


def in_bytes(vector, name):
    if f"{name}_base64" in vector:
        return base64.b64decode(vector[f"{name}_base64"])
    return vector[name].encode()


@pytest.mark.parametrize("form", ["http", "raw"])
def test_the_vectors(serve, redis, form):
    nginx = serve(f"{STATUS} redis_cache_format {form}; redis_cache_key k;")
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        if vector["form"] != form:
            continue
        redis.set("k", in_bytes(vector, "stored"))
        response = nginx.get("/p", {"Accept-Encoding": "gzip, br, zstd, deflate"})
        if "reason" in vector:
            assert response.cache[1] == vector["reason"], vector["name"]
        elif response.cache[0] == "hit":
            stored = vector["page"]
            assert response.status == stored["status"], vector["name"]
            no_body = response.status == 204
            assert no_body or response.body == in_bytes(stored, "body"), vector["name"]
            for header in stored["headers"]:
                value = in_bytes(header, "value").decode("latin-1")
                assert value in response.all(header["name"]), vector["name"]
        else:
            assert response.cache[1] in ("stale", "no_cache", "vary", "encoding"), vector["name"]
