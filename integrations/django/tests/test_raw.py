"""The form of 2014: its keys, its values, and none of its defects that endanger users."""

import hashlib

import pytest

from nginx_redis_cache import purge, purge_tags, purge_view


@pytest.fixture(autouse=True)
def form(settings):
    settings.NGINX_REDIS_CACHE = {"FORM": "raw", "EXPLAIN": True}


def md5(text):
    return hashlib.md5(text.encode()).hexdigest().encode()


def key_of(target, prefix=b":1:"):
    return prefix + md5(f"testserver{target}")


def ask(site, target, **arguments):
    return site.get(target, key=b"", **arguments)


def test_what_the_package_of_2014_wrote(site, redis, kind):
    """Recorded with the package of 2014 under Python 2.7."""
    target = "/page/?b=1&c=%C3%A4"
    response = ask(site, target)
    assert response["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [key_of(target)]
    assert redis.get(key_of(target)) == response.content
    assert 59_000 < redis.pttl(key_of(target)) <= 60_000
    assert not response.has_header("ETag")
    recorded = b":1:c57f1bbc8a991653743dbfb9a0b25a70"
    assert key_of("/a/?b=1&c=%C3%A4") == recorded


def test_the_whole_site_as_in_2014(site, redis, settings):
    assert ask(site, "/unmarked/")["X-Redis-Cache-Store"] == "stored"
    assert 599_000 < redis.pttl(key_of("/unmarked/")) <= 600_000
    settings.NGINX_REDIS_CACHE = {"FORM": "raw", "ALL_PAGES": False, "EXPLAIN": True}
    assert ask(site, "/unmarked/")["X-Redis-Cache-Store"] == "unmarked"


def test_prefix_and_version_of_the_cache(site, redis, settings, redis_server):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": "site", "VERSION": 3}
    }
    assert ask(site, "/page/")["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [b"site:3:" + md5("testserver/page/")]
    assert purge("http://testserver/page/") == 1
    # Pages that no decorator marked have this prefix instead, also where it is empty.
    ask(site, "/unmarked/")
    settings.CACHE_MIDDLEWARE_KEY_PREFIX = "mine"
    ask(site, "/unmarked/")
    for prefix in (b":3:", b"mine:3:"):
        assert redis.exists(key_of("/unmarked/", prefix))
    assert purge("http://testserver/unmarked/") == 1


def test_key_prefix_of_the_decorator(site, redis):
    ask(site, "/other-prefix/")
    assert redis.exists(key_of("/other-prefix/", b"other::1:"))
    assert purge("http://testserver/other-prefix/", key_prefix="other:") == 1


def test_max_age_of_the_response_counts_first(site, redis):
    ask(site, "/control/?value=max-age=7")
    assert 6000 < redis.pttl(key_of("/control/?value=max-age=7")) <= 7000


@pytest.mark.parametrize("target", ["/page/%7Ejoe/", "/page/a%252Fb/", "/page/%41/", "/page/?",
                                    "/page/?q=|", "/page/(1)/", "/page/x;y=1/?a=1&b"])  # fmt: skip
def test_the_key_is_that_of_the_target_as_it_was_sent(site, redis, target):
    assert ask(site, target)["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [key_of(target)]


def test_dots_cannot_make_one_page_another(site, redis):
    response = ask(site, "/page/", RAW_URI="/page/../unmarked/")
    assert response["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [key_of("/page/../unmarked/")]


def test_without_a_target_nothing_is_stored(site, redis):
    assert ask(site, "/page/", RAW_URI="")["X-Redis-Cache-Store"] == "no_target"
    assert site.aget("/page/", key=b"")["X-Redis-Cache-Store"] == "no_target"
    response = site.get("/page/", key=key_of("/page/"), RAW_URI="")
    assert response["X-Redis-Cache-Store"] == "stored"
    for bad in (b":1:" + b"x" * 32, b"2:1:" + b"0" * 32, b":1:" + b"0" * 31):
        response = site.get("/page/", key=bad, RAW_URI="")
        assert response["X-Redis-Cache-Store"] == "key_shape"


def test_nginx_may_not_hand_over_another_key(site, redis):
    assert site.get("/page/", key=key_of("/other/"))["X-Redis-Cache-Store"] == "other_key"
    assert site.get("/page/", key=key_of("/page/"))["X-Redis-Cache-Store"] == "stored"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/cookie/", "set_cookie"),
        ("/session/", "session"),
        ("/csrf/", "set_cookie"),
        ("/user/", "session"),
        ("/never/", "cache_control"),
        ("/control/?value=Private", "cache_control"),
        ("/headers/?h=Content-Encoding:gzip", "encoded"),
        ("/vary/?value=Accept-Language", "vary"),
        ("/missing/", "status"),
        ("/streaming/", "streaming"),
    ],
)
def test_private_pages_are_not_stored_as_they_were_in_2014(site, redis, target, reason):
    assert ask(site, target)["X-Redis-Cache-Store"] == reason
    assert redis.keys() == []


@pytest.mark.parametrize("method", ["post", "head"])
def test_other_methods_do_not_overwrite_the_page(site, redis, method):
    page = ask(site, "/class/").content
    ask(site, "/class/", method=method)
    assert redis.get(key_of("/class/")) == page


def test_a_template_response_is_stored_rendered(site, redis):
    response = ask(site, "/template/")
    assert redis.get(key_of("/template/")) == response.content


def test_purges(site, redis):
    for target in ("/page/", "/tagged/a/"):
        ask(site, target)
    assert purge("http://testserver/page/") == 1
    assert purge_view("page") == 0
    assert purge_tags("tag-a") == 1
    assert not redis.exists(key_of("/page/"), key_of("/tagged/a/"))


def test_what_was_purged_while_it_was_made_is_not_stored(site, redis):
    assert ask(site, "/slow/")["X-Redis-Cache-Store"] == "raced"
    assert ask(site, "/slow-tagged/")["X-Redis-Cache-Store"] == "purged"
    assert not redis.exists(key_of("/slow/"), key_of("/slow-tagged/"))
