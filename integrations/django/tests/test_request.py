"""ARGS and COOKIES: what of a request makes a page, in the words of nginx's redis_cache_args and
redis_cache_cookies."""

import pytest
from conftest import run
from django.core.management import CommandError

from nginx_redis_cache import keys, purge, request
from nginx_redis_cache.conf import faults
from nginx_redis_cache.invalidation import keys_of
from nginx_redis_cache.keys import KeyFault

LANG = b"\0004:lang2:de"


@pytest.fixture
def counted(settings):
    def counted(**own):
        settings.NGINX_REDIS_CACHE = {"EXPLAIN": True, "COOKIES": ["lang"], **own}

    counted()
    return counted


def ask(site, target="/vary-cookie/", cookie=None, added=b"", **own):
    headers = {} if cookie is None else {"Cookie": cookie}
    return site.get(target, key=site.key(target) + added, headers=headers, **own)


def test_a_page_of_a_cookie_lies_under_its_key(site, redis, counted):
    assert ask(site, cookie="lang=de", added=LANG)["X-Redis-Cache-Store"] == "stored"
    assert ask(site)["X-Redis-Cache-Store"] == "stored"
    assert sorted(redis.keys()) == [site.key("/vary-cookie/"), site.key("/vary-cookie/") + LANG]


@pytest.mark.parametrize(
    ("cookie", "added", "reason"),
    [
        # Nothing but what the request has.
        ("lang=en", LANG, "other_cookies"),
        ("lang=de", b"", "other_cookies"),
        (None, LANG, "key_shape"),
        ("lang=de", LANG + b"1:x", "other_cookies"),
        # nginx would have left these out.
        ("lang=de; lang=de", b"", "vary"),
        ("lang=de; theme=dark", LANG, "vary"),
        ("theme=dark", b"", "vary"),
    ],
)
def test_other_cookies_than_those_of_the_request(site, redis, counted, cookie, added, reason):
    assert ask(site, cookie=cookie, added=added)["X-Redis-Cache-Store"] == reason
    assert redis.keys() == []


def test_no_cookie_counts(site, redis, counted):
    counted(COOKIES=[])
    assert ask(site)["X-Redis-Cache-Store"] == "stored"
    assert ask(site, cookie="theme=dark")["X-Redis-Cache-Store"] == "vary"


def test_without_the_setting_vary_is_what_it_was(site, counted):
    counted(COOKIES=None)
    assert ask(site)["X-Redis-Cache-Store"] == "vary"
    assert ask(site, "/page/", "lang=de", LANG)["X-Redis-Cache-Store"] == "key_shape"


def test_a_page_that_looks_at_no_cookie(site, counted):
    response = ask(site, "/page/", "lang=de; theme=dark", LANG)
    assert response["X-Redis-Cache-Store"] == "stored"


@pytest.mark.parametrize("name", ["md5", "sha256"])
def test_a_hashed_key_has_the_cookies_in_it(site, redis, counted, name):
    counted(KEY_HASH=name)
    text = b"http://testserver/vary-cookie/" + LANG
    key = b"page:" + keys.digest(name, text)
    headers = {"Cookie": "lang=de"}
    assert site.get("/vary-cookie/", key=key, headers=headers)["X-Redis-Cache-Store"] == "stored"
    assert b"key=" in redis.get(key).partition(b"\r\n\r\n")[0]
    other = {"Cookie": "lang=en"}
    response = site.get("/vary-cookie/", key=key, headers=other)
    assert response["X-Redis-Cache-Store"] == "other_cookies"


def test_the_language_may_be_in_the_key(site, counted, settings):
    counted(COOKIES=[settings.LANGUAGE_COOKIE_NAME])
    name = settings.LANGUAGE_COOKIE_NAME.encode()
    added = b"\0%d:%s2:de" % (len(name), name)
    target = "/vary/?value=Accept-Language"
    cookie = f"{settings.LANGUAGE_COOKIE_NAME}=de"
    assert ask(site, target, cookie, added)["X-Redis-Cache-Store"] == "stored"
    counted(COOKIES=[])
    assert ask(site, target, cookie)["X-Redis-Cache-Store"] == "language"


@pytest.mark.parametrize(
    "cookie", ["lang=de; lang=de", "lang =de", "lang=de" + "x" * 255, "lang=de; theme=dark"]
)
def test_a_language_that_does_not_count(site, redis, counted, settings, cookie):
    settings.LANGUAGE_COOKIE_NAME = "lang"
    target = "/vary/?value=Accept-Language"
    added = LANG if "theme" in cookie else b""
    assert ask(site, target, cookie, added)["X-Redis-Cache-Store"] == "language"
    assert redis.keys() == []


def test_a_purge_finds_what_the_query_comes_to(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"ARGS": "drop=tracking sort", "ORIGINS": ["http://testserver"]}
    site.get("/page/?a=1&b=2")
    assert purge("/page/?utm_source=x&b=2&a=1") == 1
    assert keys_of("/page/?gclid=1") == [site.key("/page/")]


@pytest.mark.parametrize("target", ["/page/?utm_x=1", "/page/?b=1&a=2", "/page/?"])
def test_a_query_that_nginx_would_have_narrowed(site, redis, counted, target):
    counted(ARGS="drop=tracking sort")
    assert site.get(target)["X-Redis-Cache-Store"] == "other_query"
    assert redis.keys() == []


def test_asgi_does_not_tell_an_empty_query(site, redis, counted):
    counted(ARGS="drop=tracking")
    assert site.aget("/page/")["X-Redis-Cache-Store"] == "stored"


def test_a_purge_of_the_page_of_a_cookie(site, redis, counted):
    ask(site, cookie="lang=de", added=LANG)
    ask(site)
    url = "http://testserver/vary-cookie/"
    assert purge(url, cookies={"lang": "de"}) == 1
    assert b"stored" in redis.get(site.key("/vary-cookie/"))
    assert purge(url) == 1
    with pytest.raises(KeyFault, match="theme: not among COOKIES"):
        purge(url, cookies={"theme": "dark"})
    for value in ("x" * 257, "a; b", "de "):
        with pytest.raises(KeyFault, match="do not count"):
            purge(url, cookies={"lang": value})


def test_the_command_names_cookies(site, counted):
    ask(site, cookie="lang=de", added=LANG)
    url = "http://testserver/vary-cookie/"
    assert "page, " in run("show", url, "--cookie", "lang=de")
    assert "nothing" in run("show", url)
    assert run("purge", url, "--cookie", "lang=de") == "1 purged\n"
    with pytest.raises(CommandError, match="NAME=VALUE"):
        run("purge", url, "--cookie", "lang")


@pytest.mark.parametrize(
    "given",
    [
        {"ARGS": ""}, {"ARGS": "\t"}, {"ARGS": "drop=a\u00a0sort keep"},
        {"ARGS": "drop"}, {"ARGS": "drop="}, {"ARGS": "drop=a&b"}, {"ARGS": "sort sort"},
        {"ARGS": "sort=1"}, {"ARGS": "off"}, {"ARGS": 1}, {"ARGS": "keep=a,,b"},
        {"ARGS": "drop=" + ",".join(f"a{n}" for n in range(65))},
        {"COOKIES": "lang"}, {"COOKIES": [1]}, {"COOKIES": ["a b"]}, {"COOKIES": [""]},
        {"COOKIES": ["none"]}, {"COOKIES": ["sessionid"]}, {"COOKIES": ["csrftoken"]},
        {"COOKIES": ["messages"]}, {"COOKIES": [f"a{n}" for n in range(65)]},
        {"COOKIES": ["lang"], "FORM": "raw"}, {"ARGS": "sort", "FORM": "raw"},
    ],
)  # fmt: skip
def test_settings_that_are_none(given):
    (fault,) = faults(given)
    assert fault.startswith(("ARGS ", "COOKIES "))


@pytest.mark.parametrize(
    "given",
    [{"ARGS": None}, {"ARGS": "drop=tracking,a* keep=b sort"}, {"COOKIES": None}, {"COOKIES": []},
     {"COOKIES": ("lang", "cur")}, {"COOKIES": None, "ARGS": None, "FORM": "raw"}],
)  # fmt: skip
def test_settings_that_are_right(given):
    assert faults(given) == []


def test_tracking_is_what_it_is_in_nginx():
    args = request.Args.parse("drop=tracking,ref")
    assert args.drop == (*(name.encode() for name in request.TRACKING), b"ref")


def test_config_says_the_same_to_nginx(settings):
    settings.NGINX_REDIS_CACHE = {"ARGS": "drop=tracking sort", "COOKIES": ["django_language"]}
    text = run("config", "--balancer", "10.0.0.1", "--balancer", "10.1.0.0/16")
    assert "    redis_cache_args     drop=tracking sort;\n" in text
    assert "    redis_cache_cookies  django_language;\n" in text
    assert "    redis_cache_forwarded proto from=10.0.0.1 from=10.1.0.0/16;\n" in text
    assert "X-Forwarded-Proto $redis_cache_scheme;" in text
    assert 'django_language="' not in text
    settings.NGINX_REDIS_CACHE = {"COOKIES": []}
    assert "    redis_cache_cookies  none;\n" in run("config")


def test_config_quotes_what_nginx_would_read_otherwise(settings):
    settings.NGINX_REDIS_CACHE = {
        "ARGS": 'drop=a;b,f[*,{c},"\\ sort',
        "COOKIES": ["#a", "$b", "'c", "d"],
    }
    text = run("config")
    assert r'    redis_cache_args     "drop=a;b,f[*,{c},\"\\" sort;' in text
    assert """    redis_cache_cookies  "#a" "$b" "'c" d;""" in text
