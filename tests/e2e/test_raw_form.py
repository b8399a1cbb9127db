"""The raw form: the value is the body, byte for byte, sent as 200 with the type that `types` and
`default_type` give; a pickle is refused."""

import hashlib

import pytest

pytestmark = pytest.mark.engines("event", "blocking")

RAW = "redis_cache_format raw; redis_cache_status_header on;"


@pytest.fixture
def stored(serve, redis):
    """`stored(nginx, target, value)` stores under the key of the 2014 article."""

    def store(nginx, target, value):
        text = f"127.0.0.1:{nginx.port}{target}".encode()
        redis.set(b":1:" + hashlib.md5(text).hexdigest().encode(), value)

    return store


@pytest.mark.parametrize(
    "value",
    [
        b"<h1>hi</h1>", b"", b"\0", b"\0" * 5000, bytes(range(256)), b"\r\n", b"$5\r\nhello\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\nno", b"-ERR x\r\n", b"x" * 4096, b"x" * 65536,
        b"\x80\x02", b"\x80\x06abc.", b"\x80\x04 does not end with a stop",
    ],
    ids=lambda value: repr(value[:20]),
)  # fmt: skip
def test_byte_for_byte(serve, stored, origin, value):
    nginx = serve(RAW)
    stored(nginx, "/p", value)
    with nginx.client() as client:
        for _ in range(2):
            response = client.get("/p")
            assert (response.status, response.body) == (200, value)
            assert response.all("Content-Length") == [str(len(value))]
            assert response.cache == ("hit", "fresh")
        assert client.request("HEAD", "/p").header("Content-Length") == str(len(value))
    assert not origin.requests


def test_ten_mebibytes(serve, stored):
    nginx = serve(f"{RAW} redis_cache_max_size 16m; redis_cache_timeout 5s;")
    value = hashlib.sha256(b"seed").digest() * (10 * 1024 * 32)
    stored(nginx, "/big", value)
    for _ in range(2):
        assert nginx.get("/big").body == value
    assert nginx.get("/big", {"Range": "bytes=9999990-9999999"}).body == value[9999990:10000000]


def test_a_utf_8_url(serve, stored):
    nginx = serve(RAW)
    for target in ["/caf%C3%A9/?q=%E2%82%AC", "/p?x=%41"]:
        stored(nginx, target, target)
        assert nginx.get(target).body == target.encode()


def test_the_type(serve, stored):
    nginx = serve(f"{RAW} types {{ text/css css; image/png png; }} default_type text/x-page;")
    for target, kind in [("/a.css?x", "text/css"), ("/a.png", "image/png"), ("/a", "text/x-page")]:
        stored(nginx, target, "value")
        assert nginx.get(target).header("Content-Type") == kind


def test_a_charset_is_added_as_to_a_file(serve, stored):
    nginx = serve(f"{RAW} charset utf-8;")
    stored(nginx, "/p", "value")
    assert nginx.get("/p").header("Content-Type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_never_sent(serve, stored, protocol):
    import pickle

    nginx = serve(RAW)
    stored(nginx, "/p", pickle.dumps({"a": [1, 2, "x" * 5000]}, protocol))
    response = nginx.get("/p")
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "pickle"))
    assert len(nginx.warnings()) == 1 and "pickle" in nginx.warnings()[0]


def test_no_age_and_no_validators(serve, stored):
    nginx = serve(RAW)
    stored(nginx, "/p", "value")
    response = nginx.get("/p")
    for name in ["Age", "ETag", "Last-Modified", "Expires", "Cache-Control", "Content-Encoding"]:
        assert response.header(name) is None
    assert len(response.all("Date")) == len(response.all("Server")) == 1


def test_expires_and_add_header_of_the_location(serve, stored):
    nginx = serve(f"{RAW} expires 1h; add_header X-Thing 1;")
    stored(nginx, "/p", "value")
    response = nginx.get("/p")
    assert response.header("Cache-Control") == "max-age=3600"
    assert response.header("X-Thing") == "1"


def test_a_miss_hands_over_the_key_of_the_article(serve, origin):
    nginx = serve(RAW)
    nginx.get("/p?x=1")
    digest = hashlib.md5(f"127.0.0.1:{nginx.port}/p?x=1".encode()).hexdigest()
    assert origin.last.header("X-Redis-Cache-Key") == f":1:{digest}"
