"""A subrequest has a key of its own, made of its own uri and args; one that only grants access or
mirrors is never looked up."""

import gzip

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")

HTML = [("Content-Type", "text/html; charset=utf-8")]


def include(*targets) -> str:
    return "".join(f'[<!--# include virtual="{target}" -->]' for target in targets)


def html(origin, text):
    """The application answers `/outer` with this text, everything else as usual."""
    usual = origin.answer
    origin.answer = lambda asked: (
        Answer(text.encode(), headers=dict(HTML)) if asked.target == "/outer" else usual(asked)
    )


def outer(origin):
    return f"location = /outer {{ ssi on; proxy_pass {origin.url}; }}"


def test_includes_of_a_proxied_page(serve, redis, origin):
    nginx = serve(locations=outer(origin))
    html(origin, include("/hit?x=1", "/miss", "/hit?x=2"))
    redis.set(key_of(nginx, "/hit?x=1"), page("one", headers=HTML))
    redis.set(key_of(nginx, "/hit?x=2"), page("two", headers=HTML))
    assert nginx.get("/outer").body == b"[one][app GET /miss][two]"


def test_includes_of_a_stored_page(serve, redis):
    nginx = serve("ssi on;")
    redis.set(key_of(nginx, "/p"), page(include("/hit", "/miss") + "end", headers=HTML))
    redis.set(key_of(nginx, "/hit"), page("part", headers=HTML))
    for _ in range(2):
        response = nginx.get("/p")
        assert response.body == b"[part][app GET /miss]end"
        assert response.header("Content-Type") == "text/html; charset=utf-8"


def test_an_include_never_gets_the_page_around_it(serve, redis, origin):
    nginx = serve("ssi on;", app="ssi on;")
    html(origin, include("/part"))
    with redis.client() as client:
        client.set(key_of(nginx, "/outer2"), page(include("/part"), headers=HTML))
    assert nginx.get("/outer").body == b"[app GET /part]"
    assert nginx.get("/outer2").body == b"[app GET /part]"


def test_includes_within_includes(serve, redis):
    nginx = serve("ssi on;")
    redis.set(key_of(nginx, "/p"), page(include("/a", "/b"), headers=HTML))
    redis.set(key_of(nginx, "/a"), page("a" + include("/b", "/app"), headers=HTML))
    redis.set(key_of(nginx, "/b"), page("b" + include("/c"), headers=HTML))
    redis.set(key_of(nginx, "/c"), page("", headers=HTML))
    assert nginx.get("/p").body == b"[a[b[]][app GET /app]][b[]]"


def test_many_includes_each_get_their_own(serve, redis):
    nginx = serve("ssi on; redis_cache_timeout 2s;")
    targets = [f"/part?n={n}" for n in range(60)]
    for n, target in enumerate(targets):
        redis.set(key_of(nginx, target), page(f"<{n}>" * n, headers=HTML))
    redis.set(key_of(nginx, "/p"), page(include(*targets), headers=HTML))
    expected = "".join(f"[{f'<{n}>' * n}]" for n in range(60))
    assert nginx.get("/p").body.decode() == expected


def test_the_key_of_an_include_is_escaped_uri_and_args(serve, redis):
    nginx = serve("ssi on;")
    redis.set(key_of(nginx, "/p"), page(include("/a%20b?q=%41|x", "/caf%C3%A9"), headers=HTML))
    redis.set(key_of(nginx, "/a%20b?q=%41|x"), page("args", headers=HTML))
    redis.set(key_of(nginx, "/caf%C3%A9"), page("accent", headers=HTML))
    assert nginx.get("/p").body == b"[args][accent]"


def test_an_include_into_a_variable(serve, redis):
    text = '<!--# include virtual="/part" set="x" --><!--# echo var="x" encoding="none" -->'
    nginx = serve("ssi on; subrequest_output_buffer_size 64k;")
    redis.set(key_of(nginx, "/p"), page(text, headers=HTML))
    redis.set(key_of(nginx, "/part"), page("part" * 1000, headers=HTML))
    assert nginx.get("/p").body == b"part" * 1000


def test_an_include_that_waits(serve, redis):
    text = '<!--# include virtual="/a" wait="yes" -->|<!--# include virtual="/b" wait="yes" -->'
    nginx = serve("ssi on;")
    redis.set(key_of(nginx, "/p"), page(text, headers=HTML))
    redis.set(key_of(nginx, "/a"), page("a", headers=HTML))
    assert nginx.get("/p").body == b"a|app GET /b"


def test_the_addition_module(serve, redis, origin):
    nginx = serve(
        "add_before_body /before; add_after_body /after;", app="addition_types text/plain;"
    )
    redis.set(key_of(nginx, "/p"), page("page", headers=HTML))
    redis.set(key_of(nginx, "/before"), page("before ", headers=HTML))
    assert nginx.get("/p").body == b"before pageapp GET /after"


def test_a_gzip_page_is_never_included(serve, redis):
    nginx = serve("ssi on;")
    redis.set(key_of(nginx, "/p"), page(include("/zip"), headers=HTML))
    zipped = page(gzip.compress(b"zipped"), headers=[*HTML, ("Content-Encoding", "gzip")])
    redis.set(key_of(nginx, "/zip"), zipped)
    response = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert response.body == b"[app GET /zip]"


def test_an_include_sends_no_header_of_its_own(serve, redis):
    nginx = serve("ssi on; redis_cache_status_header on;")
    headers = [*HTML, ("X-Inner", "1"), ("ETag", '"1"')]
    redis.set(key_of(nginx, "/p"), page(include("/a", "/gone"), headers=HTML, line=fresh_line()))
    redis.set(key_of(nginx, "/a"), page("a", "404 Not Found", headers, fresh_line(age=5)))
    response = nginx.get("/p")
    assert (response.status, response.body) == (200, b"[a][app GET /gone]")
    assert response.header("X-Inner") is None
    assert len(response.all("Cache-Status")) == 1 and response.cache == ("hit", "fresh")
    assert response.all("Age") == ["0"]


def test_auth_request_is_never_looked_up(serve, redis, origin, fake_redis):
    origin.answer = lambda asked: Answer(b"no", 403 if asked.target == "/auth" else 200)
    private = f"location /private {{ auth_request /auth; proxy_pass {origin.url}; }}"
    nginx = serve(locations=private)
    redis.set(key_of(nginx, "/auth"), page("granted"))
    redis.set(key_of(nginx, "/private"), page("granted"))
    assert nginx.get("/private").status == 403
    assert [asked.target for asked in origin.requests] == ["/auth"]
    other = serve(locations=private, target=fake_redis.url)
    assert other.get("/private").status == 403
    assert fake_redis.gets() == []


def test_auth_request_in_front_of_a_lookup(serve, redis, origin):
    origin.answer = lambda asked: Answer(b"", 200 if asked.header("X-Pass") else 401)
    nginx = serve(
        "auth_request /auth;", locations=f"location /auth {{ proxy_pass {origin.url}; }}"
    )
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").status == 401
    assert nginx.get("/p", {"X-Pass": "1"}).body == b"stored"


def test_a_mirror_is_never_looked_up(serve, redis, origin):
    nginx = serve(locations=f"location /m {{ mirror /copy; proxy_pass {origin.url}; }}")
    redis.set(key_of(nginx, "/copy"), page("stored"))
    redis.set(key_of(nginx, "/m"), page("stored"))
    assert nginx.get("/m").body == b"app GET /m"
    wait_for(lambda: {asked.target for asked in origin.requests} == {"/m", "/copy"}, "the mirror")


@pytest.mark.parametrize("target", ["/hit", "/miss"])
def test_a_lookup_that_is_mirrored(serve, redis, origin, target):
    nginx = serve(
        "mirror /copy;",
        locations=f"location /copy {{ internal; proxy_pass {origin.url}; }}",
    )
    redis.set(key_of(nginx, "/hit"), page("stored"))
    body = b"stored" if target == "/hit" else b"app GET /miss"
    assert nginx.get(target, {"X-Redis-Cache-Key": "mine"}).body == body
    wait_for(lambda: "/copy" in [asked.target for asked in origin.requests], "the mirror")
    copy = next(asked for asked in origin.requests if asked.target == "/copy")
    assert copy.header("X-Redis-Cache-Key") is None
