"""RFC 9111 section 3.1: all fields are stored, but for those of a connection; RFC 9110 section
7.6.1: what Connection names goes no further; trailers are not merged into the header."""

import pytest
from support.site import LIFETIME, http_date, message, site


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    app = "proxy_http_version 1.1;"
    with site(tmp_path_factory.mktemp("site"), app=app) as cache:
        yield cache


KEPT = [
    ("X-Plain", "a"), ("X-Empty", ""), ("X-List", "a, b ,c"), ("X-Latin", "caf\xe9 \xa0"),
    ("X-Quoted", 'a="b, \\"c\\""'), ("X-Long", "x" * 3000), ("x-lower", "1"), ("X_under", "1"),
    ("ETag", '"strong"'), ("ETag", 'W/"weak"'), ("Last-Modified", http_date(-1000)),
    ("Content-Type", "text/html; charset=utf-8"), ("Content-Language", "de"),
    ("Content-Disposition", "inline"), ("Content-Location", "/elsewhere"), ("Link", "</a>; rel=x"),
    ("Content-Security-Policy", "default-src 'self'; img-src *"), ("Access-Control-Allow-Origin", "*"),
    ("Strict-Transport-Security", "max-age=1"), ("Warning", '299 - "x"'), ("Server", "application"),
    ("Expires", http_date(5)), ("X-Robots-Tag", "noindex"), ("Pragma", "x"), ("Allow", "GET"),
    ("Retry-After", "5"), ("Refresh", "5"), ("Content-Digest", "sha-256=:AAAA:"), ("P3P", "x"),
    ("WWW-Authenticate", "Basic"), ("Cache-Status", "other; hit"), ("Vary", "X-Foo"), ("Via", "1.1 x"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), KEPT, ids=[name for name, _ in KEPT])
def test_a_field_is_stored_and_sent_as_it_was(cache, name, value):
    first, second, count = cache.twice([LIFETIME, (name, value)])
    assert count == 1
    ours = 1 if name == "Cache-Status" else None
    assert second.all(name)[:ours] == first.all(name)[:ours]
    # Server is hidden by nginx's proxy on the way; what a visitor gets must not change.
    assert value in second.all(name) or name == "Server"


def test_lines_of_one_name_keep_their_number_and_order(cache):
    fields = [
        ("X-A", "1"),
        ("X-B", "1"),
        ("X-A", "2"),
        ("x-a", "3"),
        ("Link", "<a>"),
        ("Link", "<b>"),
    ]
    first, second, count = cache.twice([LIFETIME, *fields])
    assert count == 1
    assert second.all("X-A") == first.all("X-A") == ["1", "2", "3"]
    assert second.all("Link") == ["<a>", "<b>"]
    assert second.all("Cache-Control") == [LIFETIME[1]]


@pytest.mark.parametrize(("name", "value"), [
    ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Proxy-Authenticate", "Basic"),
    ("Proxy-Authentication-Info", "x"), ("Proxy-Authorization", "Basic x"), ("TE", "trailers"),
    ("Trailer", "X-Sum"), ("Upgrade", "h2c"), ("Connection", "x-own"),
])  # fmt: skip
def test_a_field_of_the_connection_is_not_stored(cache, name, value):
    """3.1: Connection and fields it lists, and proxy fields, MUST NOT be stored."""
    _, second, count = cache.twice([LIFETIME, (name, value)])
    assert count == 1
    assert value not in second.all(name)
    assert f"\r\n{name}:".lower().encode() not in cache.stored(last(cache)).lower()


def last(cache):
    return cache.origin.last.target


@pytest.mark.parametrize(
    "names", ["X-Secret", "x-secret", "close, X-Secret", "X-Secret,close", "a, ,X-SECRET ,"]
)
def test_what_connection_names_is_not_stored(cache, names):
    _, second, count = cache.twice([LIFETIME, ("Connection", names), ("X-Secret", "alice")])
    assert count == 1
    assert second.header("X-Secret") is None
    assert b"alice" not in cache.stored(last(cache))


def test_two_connection_fields(cache):
    fields = [("Connection", "close"), ("X-Secret", "alice"), ("Connection", "X-Secret")]
    _, second, count = cache.twice([LIFETIME, *fields])
    assert second.header("X-Secret") is None and b"alice" not in cache.stored(last(cache))


@pytest.mark.parametrize("name", ["Cache-Control", "ETag", "Content-Type", "Vary", "Date", "Age"])
def test_connection_does_not_take_away_what_protects_a_page(cache, name):
    """RFC 9110, 7.6.1: a sender MUST NOT list fields meant for all recipients, such as
    Cache-Control; a page that is not for everybody must not become so by that."""
    private = ("Cache-Control", "private, max-age=3600")
    assert not cache.reuses([private, ("Connection", name), (name, private[1])])
    assert not cache.reuses([LIFETIME, ("Connection", "Set-Cookie"), ("Set-Cookie", "a=alice")])
    assert not cache.reuses([LIFETIME, ("Connection", "Vary"), ("Vary", "*")])


def test_trailers_are_not_merged(cache):
    target = cache.target()
    cache.origin.answer = lambda asked: message(
        headers=[LIFETIME, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum, Cache-Control")],
        body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nCache-Control: no-store\r\nSet-Cookie: a=b\r\n\r\n",
    )
    for _ in range(2):
        response = cache.get(target)
        assert response.body == b"hello" and response.header("X-Sum") is None
    assert response.cache == ("hit", "fresh")
    value = cache.stored(target).lower()
    assert value.endswith(b"\r\n\r\nhello")
    for name in [b"x-sum", b"trailer", b"transfer-encoding", b"set-cookie", b"no-store"]:
        assert name not in value


def test_one_content_length_that_is_right(cache):
    _, second, count = cache.twice([LIFETIME])
    assert count == 1 and second.all("Content-Length") == ["8"]


def test_the_modules_own_line_of_an_application_goes_no_further(cache):
    forged = ("Redis-Cache", "v=1, stored=1, fresh=99999999999999")
    first, second, count = cache.twice([LIFETIME, forged])
    assert count == 1
    assert first.header("Redis-Cache") is None and second.header("Redis-Cache") is None
    value = cache.stored(last(cache))
    assert value.lower().count(b"redis-cache:") == 1 and b"99999999999999" not in value
    for line in ['v=1, gone="x"', 'v=1, vary=("foo"), gen="x"', "v=2"]:
        assert cache.reuses([LIFETIME, ("Redis-Cache", line)]), line
        assert not cache.reuses([("Redis-Cache", forged[1])])
