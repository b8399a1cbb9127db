"""A page is stored under the key that nginx handed over, or not at all."""

import pytest

from nginx_redis_cache import keys, purge
from nginx_redis_cache.keys import KeyFault

pytestmark = pytest.mark.usefixtures("explained")


def test_without_the_header_nothing_is_stored(site, redis):
    assert site.get("/page/", key=b"")["X-Redis-Cache-Store"] == "no_key"
    assert redis.keys() == []


def test_the_key_is_taken_as_it_is_handed_over(site, redis):
    key = b"page:http://testserver/page/%7E?a=%C3%A4&b=\xc3\xa4+%2F {}*"
    assert site.get("/page/", key=key)["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [key]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"other:http://testserver/page/", "key_prefix"),
        (b"sessions:1", "key_prefix"),
        (b"page", "key_prefix"),
        (b"page:", "key_shape"),
        (b"page:!tag:1:x", "key_shape"),
        (b"page:a\0b", "key_shape"),
    ],
)
def test_a_key_of_another_prefix_or_shape(site, redis, key, reason):
    assert site.get("/page/", key=key)["X-Redis-Cache-Store"] == reason
    assert redis.keys() == []


@pytest.mark.parametrize("value", ["page:%", "page:%4", "page:%zz", "page:%c3", "page:a b",
                                   "page:\xe4", "page:" + "x" * 4092])  # fmt: skip
def test_a_header_that_encodes_no_key(site, redis, value):
    response = site.get("/page/", key=b"", headers={"X-Redis-Cache-Key": value})
    assert response["X-Redis-Cache-Store"] == "key_header"
    assert redis.keys() == []


@pytest.mark.parametrize("digits", ["0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n"])
def test_a_hashed_key_has_digits(site, redis, settings, digits):
    settings.NGINX_REDIS_CACHE = {"KEY_HASH": "md5", "EXPLAIN": True}
    response = site.get("/page/", key=b"page:" + digits.encode())
    assert response["X-Redis-Cache-Store"] == "key_shape"
    assert redis.keys() == []


def test_key_prefix_of_the_decorator(site, redis):
    own = site.key("/other-prefix/", prefix="other:")
    assert site.get("/other-prefix/", key=own)["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [own]
    assert site.get("/other-prefix/")["X-Redis-Cache-Store"] == "key_prefix"


def test_another_cache(site, redis, redis_server, settings):
    url = redis_server.url
    other = {**settings.CACHES["default"], "LOCATION": url[: url.rindex("/")] + "/2"}
    settings.CACHES = {**settings.CACHES, "other": other}
    assert site.get("/other-cache/")["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == []
    redis.select(2)
    assert redis.exists(site.key("/other-cache/"))
    assert purge("http://testserver/other-cache/", cache="other") == 1
    settings.CACHE_MIDDLEWARE_ALIAS = "other"
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert redis.exists(site.key("/page/"))


def test_key_prefix_of_the_settings(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"KEY_PREFIX": "site-2:", "EXPLAIN": True}
    assert site.get("/page/")["X-Redis-Cache-Store"] == "key_prefix"
    key = site.key("/page/", prefix="site-2:")
    assert site.get("/page/", key=key)["X-Redis-Cache-Store"] == "stored"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example/p?x=1", b"/p?x=1"),
        ("http://a.example", b"/"),
        ("http://a.example?x", b"?x"),
        ("http://a.example/p?", b"/p?"),
        ("http://a.example/p?#top", b"/p?"),
        ("http://a.example/p#a?b", b"/p"),
        ("http://a.example/\u00e4 b?q=\u00e4", b"/%C3%A4%20b?q=%C3%A4"),
        ("http://a.example/%7Ejoe/a%2Fb", b"/%7Ejoe/a%2Fb"),
        ("http://a.example/a/../b", b"/a/../b"),
    ],
)
def test_the_target_of_a_url_is_what_a_browser_sends(url, target):
    assert keys.split_url(url) == ("http", b"a.example", target)


def test_the_host_of_a_url():
    assert keys.split_url("https://b\u00fccher.example:444/")[1] == b"xn--bcher-kva.example:444"
    assert keys.split_url("http://[::1]:80/")[1] == b"[::1]:80"


@pytest.mark.parametrize("url", ["", "a.example/p", "//a.example/", "ftp://a.example/", "http://",
                                 "http://me@a.example/", "http:///p"])  # fmt: skip
def test_urls_without_a_key(url):
    with pytest.raises(KeyFault):
        keys.split_url(url)


class Request:
    def __init__(self, scope=None, **meta):
        self.META = meta
        if scope is not None:
            self.scope = scope


@pytest.mark.parametrize(
    ("request_", "targets"),
    [
        (Request(RAW_URI="/a%2Fb?x"), (b"/a%2Fb?x",)),
        (Request(REQUEST_URI="/a%2Fb?x"), (b"/a%2Fb?x",)),
        (Request(RAW_URI="/\xc3\xa4"), (b"/\xc3\xa4",)),
        (Request(RAW_URI="http://a/b"), ()),
        (Request(PATH_INFO="/a/b"), ()),
        (Request({"raw_path": b"/a%2Fb", "query_string": b"x=%20"}), (b"/a%2Fb?x=%20",)),
        (Request({"raw_path": b"/a?x=1", "query_string": b"x=1"}), (b"/a?x=1",)),
        (Request({"raw_path": b"/a", "query_string": b""}), (b"/a", b"/a?")),
        (Request({"raw_path": None}), ()),
        (Request({}), ()),
    ],
)
def test_the_target_of_a_request_is_what_was_sent(request_, targets):
    assert keys.raw_targets(request_) == targets
