"""What is not for everybody, or not a page, is never stored: each rule with its reason."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("explained")]

REFUSED = [
    ("/unmarked/", "unmarked"),
    ("/streaming/", "streaming"),
    ("/cookie/", "set_cookie"),
    ("/session/", "session"),
    ("/session-read/", "session"),
    ("/csrf/", "set_cookie"),
    ("/user/", "session"),
    ("/message/", "messages"),
    ("/never/", "cache_control"),
    ("/missing/", "status"),
    ("/redirect/", "status"),
    ("/status/500/", "status"),
    ("/status/206/", "status"),
    ("/vary-cookie/", "vary"),
    ("/headers/?h=Content-Encoding:br", "encoded"),
    ("/headers/?h=Content-Range:bytes 0-1/2", "range"),
    ("/headers/?h=Set-Cookie:a=b", "set_cookie"),
    ("/headers/?h=Surrogate-Key:%C3%A4", "tags"),
]


@pytest.mark.parametrize(("target", "reason"), REFUSED)
def test_refused(site, redis, target, reason):
    response = site.get(target)
    assert response["X-Redis-Cache-Store"] == reason
    assert redis.keys() == []


@pytest.mark.parametrize(
    "value",
    ["private", "PRIVATE", "no-store", "no-cache", "max-age=60, Private", 'private="x-a"',
     'no-cache="set-cookie"', "public ,\tNo-Store", "max-age=5,private ,x"],
)  # fmt: skip
def test_cache_control(site, redis, value):
    response = site.get(f"/control/?value={value}")
    assert response["X-Redis-Cache-Store"] == "cache_control"
    assert redis.keys() == []


@pytest.mark.parametrize("value", ['x="private"', "x-private", 'ext="a, no-store"', "public"])
def test_cache_control_that_only_looks_like_it(site, value):
    assert site.get(f"/control/?value={value}")["X-Redis-Cache-Store"] == "stored"


@pytest.mark.parametrize(
    "value",
    ["*", "Accept-Language, *", "Cookie", "COOKIE", " cookie ", "accept-encoding ,\tCookie",
     "Authorization", "X-Unknown", "Accept-Language,X-Unknown"],
)  # fmt: skip
def test_vary(site, redis, value):
    response = site.get(f"/vary/?value={value}")
    assert response["X-Redis-Cache-Store"] == "vary"
    assert redis.keys() == []


@pytest.mark.parametrize("value", ["", "Accept-Encoding", "accept-encoding , ,ACCEPT-ENCODING"])
def test_accept_encoding_alone_needs_no_marker(site, redis, value):
    target = f"/vary/?value={value}"
    assert site.get(target)["X-Redis-Cache-Store"] == "stored"
    assert redis.keys() == [site.key(target)]


@pytest.mark.parametrize("method", ["post", "head", "put", "delete", "options"])
def test_methods(site, redis, method):
    assert site.get("/page/", method=method)["X-Redis-Cache-Store"] == "method"
    assert redis.keys() == []


def test_authorization(site, redis):
    for value in ("Basic x", ""):
        response = site.get("/page/", headers={"Authorization": value})
        assert response["X-Redis-Cache-Store"] == "authorization"
    assert site.get("/page/", REMOTE_USER="me")["X-Redis-Cache-Store"] == "authorization"
    assert redis.keys() == []


def test_another_host_than_that_of_the_key(site, redis, settings):
    headers = {"X-Forwarded-Host": "www.example.com"}
    assert site.get("/page/", headers=headers)["X-Redis-Cache-Store"] == "stored"
    settings.USE_X_FORWARDED_HOST = True
    assert site.get("/page/a/", headers=headers)["X-Redis-Cache-Store"] == "forwarded"
    assert not redis.exists(site.key("/page/a/"))
    headers = {"X-Forwarded-Host": "testserver"}
    assert site.get("/page/a/", headers=headers)["X-Redis-Cache-Store"] == "stored"
    assert site.get("/page/b/")["X-Redis-Cache-Store"] == "stored"


def test_somebody_logged_in(site, redis):
    user = User.objects.create_user("me", password="secret")
    client = Client()
    client.force_login(user)
    assert site.get("/user/", client=client)["X-Redis-Cache-Store"] in ("user", "session")
    assert redis.keys() == []


def test_a_page_that_does_not_look_at_its_visitor_is_stored_for_all(site, redis):
    client = Client()
    client.force_login(User.objects.create_user("me"))
    assert site.get("/page/", client=client)["X-Redis-Cache-Store"] == "stored"


def test_a_user_that_a_view_found_in_its_own_way(site, redis, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "test_never_stored.token_user"]
    User.objects.create_user("me")
    assert site.get("/page/")["X-Redis-Cache-Store"] == "user"
    assert redis.keys() == []


def token_user(get_response):
    def middleware(request):
        request.user = User.objects.get(username="me")
        return get_response(request)

    return middleware


def test_a_csrf_token_without_its_middleware(site, redis, settings):
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != csrf]
    assert site.get("/csrf/")["X-Redis-Cache-Store"] == "csrf"
    assert redis.keys() == []


def test_a_csrf_token_of_a_visitor_who_has_the_cookie(site, redis):
    client = Client()
    site.get("/csrf/", client=client)
    assert "csrftoken" in client.cookies
    assert site.get("/csrf/", client=client)["X-Redis-Cache-Store"] == "set_cookie"
    assert redis.keys() == []


def test_a_nonce(site, redis, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "test_never_stored.nonce"]
    assert site.get("/page/")["X-Redis-Cache-Store"] == "nonce"
    assert redis.keys() == []


def nonce(get_response):
    def middleware(request):
        request._csp_nonce = "used"
        return get_response(request)

    return middleware


def test_an_encoded_page(site, redis, settings):
    settings.MIDDLEWARE = [
        settings.MIDDLEWARE[0],
        "test_never_stored.encoded",
        *settings.MIDDLEWARE[1:],
    ]
    assert site.get("/page/")["X-Redis-Cache-Store"] == "encoded"
    assert redis.keys() == []


def encoded(get_response):
    def middleware(request):
        response = get_response(request)
        response["Content-Encoding"] = "gzip"
        return response

    return middleware


def test_behind_gzip_the_plain_page_is_stored(site, redis, settings):
    gzip = "django.middleware.gzip.GZipMiddleware"
    settings.MIDDLEWARE = [gzip, *settings.MIDDLEWARE]
    target = "/headers/?h=X-Long:1&pad=" + "x" * 1000
    response = site.get(target, headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"
    assert redis.get(site.key(target)).endswith(b"x" * 100 + b" run " + redis.get(
        site.key(target)).rsplit(b" ", 1)[1])  # fmt: skip


def test_without_explain_nothing_is_said(site, settings):
    settings.NGINX_REDIS_CACHE = {}
    assert not site.get("/page/").has_header("X-Redis-Cache-Store")
    settings.DEBUG = True
    assert site.get("/page/").has_header("X-Redis-Cache-Store")


@pytest.mark.parametrize("target", ["/page/", "/template/", "/class/", "/async/",
                                    "/async-template/", "/async-class/"])  # fmt: skip
def test_views_of_all_kinds_are_stored(site, redis, kind, target):
    response = site.get(target)
    assert response["X-Redis-Cache-Store"] == "stored"
    assert redis.get(site.key(target)).endswith(b"\r\n\r\n" + response.content)


@pytest.mark.parametrize("target", ["/page/", "/template/", "/class/", "/async/",
                                    "/async-template/", "/async-class/"])  # fmt: skip
def test_the_same_under_asgi(site, redis, kind, target):
    response = site.aget(target)
    assert response["X-Redis-Cache-Store"] == "stored"
    assert redis.get(site.key(target)).endswith(b"\r\n\r\n" + response.content)


@pytest.mark.parametrize(("target", "reason"), REFUSED)
def test_refused_under_asgi(site, redis, target, reason):
    assert site.aget(target)["X-Redis-Cache-Store"] == reason
    assert redis.keys() == []


def test_every_page_of_a_site(site, redis, settings):
    _first, *rest = settings.MIDDLEWARE
    settings.MIDDLEWARE = ["nginx_redis_cache.middleware.CacheMiddleware", *rest]
    assert site.get("/unmarked/")["X-Redis-Cache-Store"] == "stored"
    assert 599_000 < redis.pttl(site.key("/unmarked/")) <= 600_000
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    assert 59_000 < redis.pttl(site.key("/page/")) <= 60_000
    assert site.get("/never/")["X-Redis-Cache-Store"] == "cache_control"
    assert site.get("/session-read/")["X-Redis-Cache-Store"] == "session"
