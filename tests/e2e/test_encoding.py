"""Content codings: nginx compresses a plain page; an encoded one goes only to a client that takes
it, and is gunzipped where gunzip is on; Vary always says so."""

import gzip

import pytest
from support.stored import fresh_line, key_of, page

TEXT = b"compress me, please. " * 200
ZIPPED = gzip.compress(TEXT)
HTML = ("Content-Type", "text/html; charset=utf-8")


def encoded(coding="gzip", body=ZIPPED, **arguments):
    headers = [HTML, ("Content-Encoding", coding), ("ETag", '"1"')]
    return page(body, headers=headers, line=fresh_line(), **arguments)


@pytest.fixture
def nginx(serve):
    return serve("redis_cache_status_header on;")


def test_nginx_compresses_a_plain_page(serve, redis):
    nginx = serve("gzip on; gzip_vary on;")
    redis.set(key_of(nginx, "/p"), page(TEXT, headers=[HTML, ("ETag", '"1"')], line=fresh_line()))
    response = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert response.all("Content-Encoding") == ["gzip"]
    assert gzip.decompress(response.body) == TEXT
    assert response.header("ETag") == 'W/"1"'
    assert response.all("Vary") == ["Accept-Encoding"]
    plain = nginx.get("/p")
    assert plain.body == TEXT and plain.header("Content-Encoding") is None


TAKES = ["gzip", "GZIP", "x-gzip", "deflate, gzip;q=0.5", "*", "br;q=0, *;q=0.1", "gzip;q=0.001"]


@pytest.mark.parametrize("accept", TAKES)
def test_a_stored_gzip_page_to_who_takes_it(nginx, redis, accept):
    redis.set(key_of(nginx, "/p"), encoded())
    response = nginx.get("/p", {"Accept-Encoding": accept})
    assert (response.body, response.all("Content-Encoding")) == (ZIPPED, ["gzip"])
    assert response.all("Vary") == ["Accept-Encoding"]
    assert response.all("Content-Length") == [str(len(ZIPPED))]
    assert response.header("ETag") == '"1"'


TAKES_NOT = [None, "", "identity", "gzip;q=0", "gzip; q=0.000, *", "br", "*;q=0", "gzipped"]


@pytest.mark.parametrize("accept", TAKES_NOT)
def test_and_to_who_does_not(nginx, redis, accept):
    redis.set(key_of(nginx, "/p"), encoded())
    response = nginx.get("/p", {} if accept is None else {"Accept-Encoding": accept})
    assert response.body == b"app GET /p"
    assert response.cache == ("fwd=vary-miss", "encoding")


def test_several_lines_of_accept_encoding_count_together(nginx, redis):
    redis.set(key_of(nginx, "/p"), encoded())
    lines = [("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")]
    assert nginx.get("/p", lines).body == ZIPPED


def test_a_proxy_in_between_does_not_matter(nginx, redis):
    redis.set(key_of(nginx, "/p"), encoded())
    assert nginx.get("/p", {"Accept-Encoding": "gzip", "Via": "1.1 proxy"}).body == ZIPPED


def test_gunzip_for_who_cannot_take_it(serve, redis):
    nginx = serve("gunzip on; redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), encoded())
    for headers in [{}, {"Accept-Encoding": "br"}, {"Accept-Encoding": "gzip;q=0"}]:
        response = nginx.get("/p", headers)
        assert (response.body, response.cache) == (TEXT, ("hit", "fresh"))
        assert response.header("Content-Encoding") is None
        assert "Accept-Encoding" in response.header("Vary")
        assert response.header("ETag") in (None, 'W/"1"')
    response = nginx.get("/p", {"Accept-Encoding": "gzip", "Via": "1.1 proxy"})
    assert (response.body, response.header("Content-Encoding")) == (ZIPPED, "gzip")


def test_gunzip_knows_no_brotli(serve, redis):
    nginx = serve("gunzip on; redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), encoded("br", b"brotli"))
    assert nginx.get("/p", {"Accept-Encoding": "gzip"}).cache == ("fwd=vary-miss", "encoding")


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "x-own"])
def test_other_codings(serve, redis, coding):
    nginx = serve("gzip on; gzip_min_length 1; redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), encoded(coding, b"opaque" * 100))
    response = nginx.get("/p", {"Accept-Encoding": f"gzip, {coding}"})
    assert (response.body, response.all("Content-Encoding")) == (b"opaque" * 100, [coding])
    assert nginx.get("/p", {"Accept-Encoding": "gzip"}).cache == ("fwd=vary-miss", "encoding")


def test_several_codings_are_a_miss(nginx, redis):
    redis.set(key_of(nginx, "/p"), encoded("gzip, br"))
    assert nginx.get("/p", {"Accept-Encoding": "gzip, br"}).cache[1] == "encoding"


def test_identity_is_no_coding(nginx, redis):
    redis.set(key_of(nginx, "/p"), encoded("identity", TEXT))
    assert nginx.get("/p").body == TEXT


@pytest.mark.parametrize("vary", ["Accept-Encoding", "accept-encoding", ", Accept-Encoding ,"])
def test_a_stored_vary_is_not_doubled(nginx, redis, vary):
    headers = [HTML, ("Content-Encoding", "gzip"), ("Vary", vary)]
    redis.set(key_of(nginx, "/p"), page(ZIPPED, headers=headers))
    assert nginx.get("/p", {"Accept-Encoding": "gzip"}).all("Vary") == [vary.strip()]


def test_a_plain_page_that_varies_on_the_coding_goes_to_everyone(nginx, redis):
    redis.set(key_of(nginx, "/p"), page(TEXT, headers=[("Vary", "Accept-Encoding")]))
    assert nginx.get("/p").body == nginx.get("/p", {"Accept-Encoding": "gzip"}).body == TEXT


def test_head_and_range_of_a_gzip_page(nginx, redis):
    redis.set(key_of(nginx, "/p"), encoded())
    takes = {"Accept-Encoding": "gzip"}
    response = nginx.request("HEAD", "/p", takes)
    assert response.all("Content-Length") == [str(len(ZIPPED))]
    assert nginx.get("/p", {**takes, "Range": "bytes=3-9"}).body == ZIPPED[3:10]
    assert nginx.get("/p", {**takes, "If-None-Match": '"1"'}).status == 304


def test_an_include_is_never_encoded(serve, redis):
    nginx = serve("ssi on; gzip on; gzip_min_length 1;")
    redis.set(key_of(nginx, "/p"), page('<!--# include virtual="/part" -->', headers=[HTML]))
    redis.set(key_of(nginx, "/part"), encoded())
    response = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(response.body) == b"app GET /part"
