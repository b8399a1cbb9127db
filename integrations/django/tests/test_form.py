"""What a stored page looks like: status, headers, facts, time to live."""

import re
import time

import http_sfv
import pytest

from nginx_redis_cache import entry

pytestmark = pytest.mark.usefixtures("explained")


def stored(redis, key):
    """Status line, headers and body of a stored page."""
    head, _, body = redis.get(key).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return status, [tuple(line.split(": ", 1)) for line in lines], body


def facts(headers):
    line = http_sfv.Dictionary()
    line.parse(dict(headers)["Redis-Cache"].encode())
    return line


def test_a_page(site, redis, kind):
    before = int(time.time() * 1000)
    response = site.get("/page/?x=1")
    assert response["X-Redis-Cache-Store"] == "stored"
    key = site.key("/page/?x=1")
    assert redis.keys() == [key]
    status, headers, body = stored(redis, key)
    assert status == "HTTP/1.1 200 OK"
    assert body == response.content
    named = dict(headers)
    assert len(named) == len(headers)
    assert named["Content-Type"] == "text/html; charset=utf-8"
    assert named["X-Content-Type-Options"] == "nosniff"
    assert named["ETag"] == response["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', named["ETag"])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", named["Date"])
    assert not {"content-length", "set-cookie", "x-redis-cache-store"} & {n.lower() for n in named}
    line = facts(headers)
    assert (line["v"].value, line["fresh"].value) == (1, 60_000)
    assert before <= line["stored"].value <= int(time.time() * 1000)
    assert set(line) == {"v", "stored", "fresh"}
    assert 59_000 < redis.pttl(key) <= 60_000


@pytest.mark.parametrize(
    ("control", "swr", "sie"),
    [
        ("stale-if-error=30", 0, 30_000),
        ("stale-while-revalidate=20, stale-if-error=30", 20_000, 30_000),
        ("stale-while-revalidate=40, s-maxage=60", 40_000, 0),
        ("max-age=60, stale-if-error=x", 0, 0),
        ("stale-if-error=30, must-revalidate", 0, 0),
        ("stale-while-revalidate=30, Proxy-Revalidate", 0, 0),
        ("max-age=60", 0, 0),
    ],
)
def test_a_page_that_may_be_used_stale_is_kept_for_it(site, redis, control, swr, sie):
    target = f"/sized/?n=10&control={control}"
    assert site.get(target)["X-Redis-Cache-Store"] == "stored"
    key = site.key(target)
    line = facts(stored(redis, key)[1])
    found = [line[name].value if name in line else 0 for name in ("fresh", "swr", "sie")]
    assert found == [60_000, swr, sie]
    assert 59_000 + max(swr, sie) < redis.pttl(key) <= 60_000 + max(swr, sie)


def test_serializer_and_compressor_are_not_in_the_way(site, redis_server, settings):
    from conftest import caches_of

    options = {
        "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
    }
    settings.CACHES = caches_of("django-redis", redis_server.url, options)
    response = site.get("/page/")
    with redis_server.client() as client:
        assert client.get(site.key("/page/")).endswith(response.content)


def test_headers_that_belong_to_one_request_are_left_out(site, redis):
    names = ["X-Request-ID:1", "Server-Timing:db", "Connection:X-Hop", "X-Hop:1", "Server:s",
             "Keep-Alive:5", "Redis-Cache:v=1", "X-Kept:1"]  # fmt: skip
    target = "/headers/?" + "&".join(f"h={name}" for name in names)
    site.get(target)
    _, headers, _ = stored(redis, site.key(target))
    names = [name for name, _ in headers]
    assert names.count("Redis-Cache") == 1
    assert "X-Kept" in names
    assert not {"X-Request-ID", "Server-Timing", "Connection", "X-Hop", "Server", "Keep-Alive"} & {
        *names
    }


def test_drop_headers(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"DROP_HEADERS": ["X-Mine"]}
    target = "/headers/?h=X-Mine:1&h=X-Request-ID:1"
    site.get(target)
    names = [name for name, _ in stored(redis, site.key(target))[1]]
    assert "X-Mine" not in names
    assert "X-Request-ID" in names


def test_validators_of_the_application_stay(site, redis):
    target = '/headers/?h=ETag:"mine"&h=Last-Modified:Sun, 06 Nov 1994 08:49:37 GMT'
    response = site.get(target)
    named = dict(stored(redis, site.key(target))[1])
    assert named["ETag"] == response["ETag"] == '"mine"'
    assert named["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_an_age_is_taken_off(site, redis):
    before = int(time.time() * 1000)
    site.get("/headers/?h=Age:30")
    _, headers, _ = stored(redis, site.key("/headers/?h=Age:30"))
    assert "Age" not in dict(headers)
    assert before - 30_000 <= facts(headers)["stored"].value <= int(time.time() * 1000) - 30_000


def test_client_max_age(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"CLIENT_MAX_AGE": 5}
    assert site.get("/page/")["Cache-Control"] == "max-age=5"
    assert dict(stored(redis, site.key("/page/"))[1])["Cache-Control"] == "max-age=5"
    target = "/control/?value=max-age=7"
    assert site.get(target)["Cache-Control"] == "max-age=7"


@pytest.mark.parametrize(
    ("target", "fresh"),
    [
        ("/page/", 60),
        ("/control/?value=max-age=7", 60),
        ("/by-header/", 600),
        ("/by-header/?value=max-age=7", 7),
        ("/by-header/?value=max-age=7,s-maxage=9", 9),
        ('/by-header/?value=Max-Age="8"', 8),
        ('/by-header/?value=x="max-age=1",max-age=6', 6),
    ],
)
def test_lifetime(site, redis, target, fresh):
    assert site.get(target)["X-Redis-Cache-Store"] == "stored"
    assert facts(stored(redis, site.key(target))[1])["fresh"].value == fresh * 1000


@pytest.mark.parametrize("value", ["max-age=0", "s-maxage=0,max-age=9", "max-age=x", "max-age"])
@pytest.mark.parametrize("view", ["by-header", "control"])
def test_no_lifetime(site, redis, value, view):
    target = f"/{view}/?value={value}"
    assert site.get(target)["X-Redis-Cache-Store"] == "timeout"
    assert redis.keys() == []


def test_a_hashed_key_has_its_text(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"KEY_HASH": "sha256", "EXPLAIN": True}
    from nginx_redis_cache.keys import KeyShape

    for scheme in ("http", "https"):
        text = f"{scheme}://testserver/page/?%7E".encode()
        key = KeyShape(b"page:", "sha256").key(text)
        assert site.get("/page/?%7E", key=key)["X-Redis-Cache-Store"] == "stored"
        line = facts(stored(redis, key)[1])
        assert line["key"].value == text.decode()


def test_a_hashed_key_of_another_text_goes_without(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"KEY_HASH": "md5"}
    key = b"page:" + b"0" * 32
    site.get("/page/", key=key)
    assert "key" not in facts(stored(redis, key)[1])


def test_tags_are_in_the_line(site, redis):
    site.get("/tagged-by-header/")
    _, headers, _ = stored(redis, site.key("/tagged-by-header/"))
    tags = [item.value for item in facts(headers)["tags"]]
    assert tags == sorted({"all", "added", "key-1", "key-2", "tag one", "tag-two"})


def test_max_size(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"MAX_SIZE": 100, "EXPLAIN": True}
    assert site.get("/page/")["X-Redis-Cache-Store"] == "size"
    assert redis.keys() == []


def test_a_head_too_large_is_not_stored(site, redis):
    long = "/headers/?h=X-Long:" + "x" * 3000
    assert site.get(long, key=site.key("/headers/"))["X-Redis-Cache-Store"] == "stored"
    with pytest.raises(entry.EntryFault):
        entry.page(200, "OK", [("X", "x" * 70_000)], entry.Facts(0, 1), b"")
    with pytest.raises(entry.EntryFault):
        entry.page(200, "OK", [(f"X-{n}", "") for n in range(100)], entry.Facts(0, 1), b"")


@pytest.mark.parametrize("value", ["a\0b", "a\rb", "a\nb", "a\u20acb"])
def test_a_head_that_would_be_read_otherwise_is_not_written(value):
    with pytest.raises(entry.EntryFault):
        entry.page(200, "OK", [("X-A", value)], entry.Facts(0, 1), b"")
    with pytest.raises(entry.EntryFault):
        entry.page(200, value, [], entry.Facts(0, 1), b"")


def test_statuses(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"STATUSES": {404: 10, 302: 20}, "EXPLAIN": True}
    assert site.get("/missing/")["X-Redis-Cache-Store"] == "stored"
    status, headers, body = stored(redis, site.key("/missing/"))
    assert status == "HTTP/1.1 404 Not Found"
    assert facts(headers)["fresh"].value == 10_000
    assert b"Not Found" in body
    assert site.get("/redirect/")["X-Redis-Cache-Store"] == "stored"
    assert dict(stored(redis, site.key("/redirect/"))[1])["Location"] == "/page/"
