"""redis_cache_cookies: some cookies are part of the key, and no other reaches the application on a
fill."""

import pytest
from support.origin import Answer
from support.pages import FRESH, settled
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

LANG = "redis_cache_cookies lang cur;"
VARY = [*FRESH, ("Vary", "Cookie")]


@pytest.fixture(autouse=True)
def _echo(origin):
    """Every page shows the cookies that it was made with."""
    show = lambda asked: f"{asked.target} {asked.header('Cookie')}".encode()  # noqa: E731
    origin.answer = lambda asked: Answer(show(asked), headers=VARY)


def ask(nginx, cookies=None, target="/p", **more):
    lines = [cookies] if isinstance(cookies, str) else cookies or []
    response = settled(nginx, target, [("Cookie", line) for line in lines], **more)
    return response.body.decode(), response.cache[0]


def test_each_value_has_its_page(store):
    nginx = store(LANG)
    miss, hit = "fwd=uri-miss", "hit"
    assert ask(nginx) == ("/p None", miss)
    assert ask(nginx, "_ga=1; csrftoken=x") == ("/p None", hit)
    assert ask(nginx, "_ga=1; lang=de") == ("/p lang=de", miss)
    assert ask(nginx, "lang=de; _ga=2") == ("/p lang=de", hit)
    assert ask(nginx, "lang=en") == ("/p lang=en", miss)
    assert ask(nginx, "lang=en; cur=EUR") == ("/p cur=EUR; lang=en", miss)
    assert ask(nginx, "cur=EUR; x=y; lang=en") == ("/p cur=EUR; lang=en", hit)
    assert ask(nginx) == ("/p None", hit)
    assert ask(nginx, "lang=") == ("/p lang=", miss)


def test_the_key(store, stored):
    nginx = store(LANG)
    ask(nginx, "lang=de; cur=")
    key = key_of(nginx, "/p") + "\x003:cur0:4:lang2:de"
    assert stored(nginx, key=key, within=2) is not None
    assert "k=" + key_of(nginx, "/p") in nginx.logged(1)[0]


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["lang=de; lang=en"], None),
        (["lang=de", "lang=de"], None),
        (["lang=" + "x" * 257], None),
        (["lang=" + "x" * 256], "lang=" + "x" * 256),
        (["LANG=de; lang2=de; xlang=de; lang"], None),
        (["x=" + "y" * 8000], None),
        (["lang=de,cur=EUR"], "lang=de,cur=EUR"),
        (["lang=de ; ;;cur=a=b"], "cur=a=b; lang=de"),
        (['lang="d;e"'], 'lang="d'),
    ],
)
def test_what_counts(store, origin, lines, left):
    """What the application sees is what the key has: the same request again is a hit, and a request
    with nothing but that as well."""
    nginx = store(LANG, server="large_client_header_buffers 8 32k;")
    assert ask(nginx, lines) == (f"/p {left}", "fwd=uri-miss")
    assert ask(nginx, lines) == (f"/p {left}", "hit")
    assert ask(nginx, left) == (f"/p {left}", "hit")
    assert len(origin.requests) == 1


def test_a_key_cannot_be_forged(store):
    """Neither by a target that looks like the key of a page with cookies, nor by values."""
    nginx = store(LANG)
    assert ask(nginx, "lang=de")[1] != "hit"
    for target in ("/p4:lang2:de", "/p|4:lang2:de", "/p%014:lang2:de"):
        body, status = ask(nginx, target=target)
        assert status != "hit" and "lang=de" not in body
    with Raw(nginx.port) as client:
        client.send(request_bytes("/p\x004:lang2:de", host=f"127.0.0.1:{nginx.port}"))
        assert client.response().status == 400
    assert nginx.get("/p%004:lang2:de").status == 400
    assert ask(nginx, "cur=4:lang; lang=x")[1] != "hit"
    assert ask(nginx, "cur=; lang=4:langx")[1] != "hit"


def test_none(store):
    nginx = store("redis_cache_cookies none;")
    assert ask(nginx, "csrftoken=a; _ga=1") == ("/p None", "fwd=uri-miss")
    assert ask(nginx, "csrftoken=b") == ("/p None", "hit")


def test_without_it_a_page_that_varies_on_cookies_is_personal(store):
    nginx = store()
    assert ask(nginx, "lang=de") == ("/p lang=de", "fwd=uri-miss")
    assert ask(nginx, "lang=de") == ("/p lang=de", "fwd=uri-miss")


def test_what_is_not_filled_keeps_all_cookies(store, origin, redis):
    nginx = store(f"{LANG} redis_cache_bypass $cookie_sessionid;")
    cookies = "sessionid=1; lang=de; _ga=1"
    assert ask(nginx, cookies)[0] == f"/p {cookies}"
    for request in ({"method": "HEAD"}, {"method": "POST", "body": b"x"}):
        ask(nginx, "lang=de; _ga=1", **request)
        assert origin.last.header("Cookie") == "lang=de; _ga=1"
    redis.pause()
    assert ask(nginx, "lang=de; _ga=1", target="/q")[0] == "/q lang=de; _ga=1"


def test_every_place_where_nginx_keeps_cookies(store, origin):
    """Also where somebody has asked for them before; the log has what was sent."""
    nginx = store(
        f"{LANG} redis_cache_bypass $skip $cookie_never;",
        app="proxy_set_header X-Seen $http_cookie|$cookie_lang|$cookie__ga|$cookie_never;",
        http="""map $http_cookie $skip { ~never=1 1; }
            log_format cookies $http_cookie|$cookie__ga;""",
        server="access_log logs/cookies.log cookies;",
    )
    for _ in range(2):
        ask(nginx, ["_ga=1; lang=de", "x=y"])
    assert origin.last.header("X-Seen") == "lang=de|de||"
    ask(nginx, "_ga=1", target="/q")
    assert origin.last.header("X-Seen") == "|||"
    log = (nginx.directory / "logs/cookies.log").read_text().splitlines()
    assert [line.split("|")[1] for line in log] == ["1", "1", "1"]
    assert all("_ga=1" in line for line in log)


def test_an_answer_that_asks_for_more_than_cookies(store, origin):
    headers = [*FRESH, ("Vary", "Cookie, X-Thing")]
    origin.answer = lambda asked: Answer(f"{asked.header('X-Thing')}".encode(), headers=headers)
    nginx = store(LANG)
    for thing, status in [("a", "fwd=uri-miss"), ("a", "hit"), ("b", "fwd=vary-miss"), ("b", "hit")]:
        response = settled(nginx, "/p", {"X-Thing": thing, "Cookie": "_ga=1"})
        assert (response.body, response.cache[0]) == (thing.encode(), status)


def test_an_unsafe_method_invalidates_the_page_for_its_visitor_and_for_those_without(store):
    nginx = store(LANG)
    for cookies in (None, "lang=de"):
        ask(nginx, cookies)
    settled(nginx, "/p", {"Cookie": "lang=de; _ga=1"}, method="POST", body=b"x")
    for cookies in (None, "lang=de"):
        response = settled(nginx, "/p", {"Cookie": cookies} if cookies else {})
        assert response.cache == ("fwd=uri-miss", "gone"), cookies


def test_an_application_that_stores_is_told_the_key_of_what_it_sees(serve, origin):
    nginx = serve(f"{LANG} redis_cache_bypass $cookie_sessionid;")
    nginx.get("/p", {"Cookie": "_ga=1; lang=de"})
    assert origin.last.header("Cookie") == "lang=de"
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p") + "%004:lang2:de"
    nginx.get("/p", {"Cookie": "_ga=1; sessionid=2"})
    assert origin.last.header("Cookie") == "_ga=1; sessionid=2"
    assert origin.last.header("X-Redis-Cache-Key") is None


def test_a_page_of_another_writer_that_varies_on_cookies(serve, redis):
    nginx = serve(f"{LANG} redis_cache_status_header on;")
    redis.set(key_of(nginx), page("stored", headers=[("Vary", "Cookie")], line=fresh_line()))
    assert nginx.get("/", {"Cookie": "_ga=1"}).body == b"stored"


def test_subrequests_of_a_fill_see_all_cookies(start_nginx, redis, origin):
    """A session is checked by the cookies that the client sent; the page is made without."""
    nginx = start_nginx(
        http="redis_cache_timeout 2s;",
        server=f"""
            location / {{ redis_cache_pass {redis.url}; redis_cache_fallback @app;
                          redis_cache_store on; redis_cache_cookies none; }}
            location @app {{ auth_request /auth; proxy_pass {origin.url}; }}
            location = /auth {{ internal; proxy_pass {origin.url}; }}
        """,
    )
    nginx.get("/p", {"Cookie": "sessionid=1"})
    auth, asked = origin.requests
    assert (auth.target, auth.header("Cookie")) == ("/auth", "sessionid=1")
    assert (asked.target, asked.header("Cookie")) == ("/p", None)


def test_parts_of_a_page(start_nginx, redis, origin):
    """A part that is filled sees its own cookies; the others see all."""
    parts = '<!--# include virtual="/part" --><!--# include virtual="/own" -->'
    show = origin.answer
    origin.answer = lambda asked: (
        Answer(parts.encode(), headers=FRESH) if asked.target == "/main" else show(asked)
    )
    nginx = start_nginx(
        http="redis_cache_timeout 2s;",
        server=f"""
            location = /main {{ ssi on; ssi_types *; redis_cache {redis.url}; redis_cache_store on;
                               redis_cache_cookies cur; proxy_pass {origin.url}; }}
            location = /part {{ redis_cache {redis.url}; redis_cache_store on;
                               redis_cache_cookies lang; proxy_pass {origin.url}; }}
            location = /own {{ proxy_pass {origin.url}; }}
        """,
    )
    cookies = {"Cookie": "a=1; lang=de; cur=x"}
    body = b"/part lang=de/own a=1; lang=de; cur=x"
    for _ in range(2):
        assert settled(nginx, "/main", cookies).body == body
    asked = [(one.target, one.header("Cookie")) for one in origin.requests]
    own = ("/own", "a=1; lang=de; cur=x")
    assert sorted(asked) == [("/main", "cur=x"), own, own, ("/part", "lang=de")]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "invalid number of arguments"),
        ("a=b", "the name of a cookie"),
        ('"a b"', "the name of a cookie"),
        ("none lang", "stands alone"),
        ("lang off", "stands alone"),
        (" ".join(f"n{n}" for n in range(65)), "may have 64"),
    ],
)
def test_bad_values(check, value, complaint):
    passed, said = check(f"redis_cache_cookies {value};")
    assert not passed and "redis_cache_cookies" in said and complaint in said
