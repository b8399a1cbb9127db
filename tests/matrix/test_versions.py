"""The module with each nginx that Debian has: a stored page, a miss, a dead Redis, a reload, and
what differs between the versions of nginx. tests/e2e/ has the rules themselves."""

import itertools

import pytest
from suites import VERSIONS
from support.h2client import H2Client
from support.nginx import Nginx
from support.origin import Answer
from support.ports import wait_for
from support.stored import fresh_line, key_of, page

HTML = [("Content-Type", "text/html; charset=utf-8")]


def test_it_loads(start, suite):
    assert suite.version.startswith(VERSIONS[suite.name])
    assert start().get("/p").header("Server") == f"nginx/{suite.version}"


def test_a_hit(start, redis, origin):
    nginx = start("redis_cache_status_header on;")
    headers = [*HTML, ("Cache-Control", "max-age=60"), ("ETag", '"1"'), ("Vary", "Accept-Encoding"),
               ("Expires", "Thu, 01 Jan 2037 00:00:00 GMT"), ("X-A", "1"), ("X-A", "2"),
               ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")]  # fmt: skip
    redis.set(key_of(nginx, "/p?x=1"), page("stored", headers=headers, line=fresh_line(age=5)))
    response = nginx.get("/p?x=1")
    assert (response.status, response.body) == (200, b"stored")
    assert response.cache == ("hit", "fresh")
    assert response.header("Age") in ("5", "6", "7")
    for name in {name for name, _ in headers}:
        assert response.all(name) == [value for key, value in headers if key == name]
    assert response.all("Content-Length") == ["6"]
    assert nginx.get("/p?x=1", {"If-None-Match": '"1"'}).status == 304
    assert nginx.get("/p?x=1", {"If-Modified-Since": headers[-1][1]}).status == 304
    response = nginx.get("/p?x=1", {"Range": "bytes=1-2"})
    assert (response.status, response.body) == (206, b"to")
    response = nginx.request("HEAD", "/p?x=1")
    assert (response.status, response.body, response.header("ETag")) == (200, b"", '"1"')
    assert not origin.requests
    assert " 200 s=HIT r=fresh " in nginx.logged(1)[0]


def test_a_large_hit_on_one_connection(start, redis):
    nginx = start()
    body = bytes(range(256)) * 8000
    redis.set(key_of(nginx, "/p"), page(body))
    with nginx.client() as client:
        for _ in range(5):
            assert client.get("/p").body == body


def test_a_miss_that_the_application_stores(start, redis, origin):
    def store(asked):
        redis.set(asked.header("X-Redis-Cache-Key"), page("stored by the application"))
        return Answer(b"app")

    origin.answer = store
    nginx = start("redis_cache_status_header on;")
    response = nginx.get("/p", {"X-Redis-Cache-Key": "the client's own"})
    assert (response.body, response.cache) == (b"app", ("fwd=uri-miss", "absent"))
    assert nginx.get("/p").body == b"stored by the application"
    assert len(origin.requests) == 1
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/p")


def test_what_nginx_stores_confirms_and_invalidates(start, redis, origin):
    """With redis_cache in front of proxy_pass: the fields that each version keeps elsewhere."""

    def answer(asked):
        headers = [*HTML, ("ETag", '"1"'), ("Cache-Control", "max-age=60"), ("X-A", "1"),
                   ("Cache-Control", "public"), ("Vary", "Accept-Language")]  # fmt: skip
        confirmed = asked.header("If-None-Match") == '"1"'
        return Answer(b"" if confirmed else b"page", 304 if confirmed else 200, headers)

    origin.answer = answer
    nginx = start(
        locations=f"""
            location /in {{
                redis_cache {redis.url}; redis_cache_store on; redis_cache_status_header on;
                redis_cache_revalidate on; redis_cache_request_control on;
                proxy_pass {origin.url}; proxy_set_header Host $http_host;
            }}
        """
    )
    with nginx.client() as client:
        for cache in [("fwd=uri-miss", "absent"), ("hit", "fresh")]:
            response = client.get("/in")
            assert (response.body, response.cache) == (b"page", cache)
            assert response.all("Cache-Control") == ["max-age=60", "public"]
            assert (response.header("X-A"), response.header("ETag")) == ("1", '"1"')
        assert client.get("/in", {"If-None-Match": '"1"'}).status == 304
        assert client.get("/in/new", {"If-None-Match": '"1"'}).status == 304
        assert client.get("/in/new").cache == ("hit", "fresh")
        response = client.get("/in", {"Cache-Control": "no-cache"})
        assert (response.body, response.cache[1]) == (b"page", "revalidated")
        assert client.request("POST", "/in", body=b"x" * 9000).body == b"page"
        assert client.get("/in").cache == ("fwd=uri-miss", "gone")
        assert client.get("/in").cache == ("hit", "fresh")


def test_what_is_not_looked_up(start, redis, origin):
    nginx = start("redis_cache_bypass $cookie_sessionid; redis_cache_status_header on;")
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.request("POST", "/p", body=b"x" * 100_000).body == b"app POST /p"
    assert len(origin.last.body) == 100_000
    assert nginx.get("/p", {"Authorization": "Basic eDp5"}).body == b"app GET /p"
    assert nginx.get("/p", {"Cookie": "a=b; sessionid=1"}).body == b"app GET /p"
    assert nginx.get("/p", {"Cookie": "a=b"}).body == b"stored"


def test_redis_that_is_gone_and_back(start, redis, origin):
    nginx = start("redis_cache_breaker fails=2 timeout=100ms;")
    redis.kill()
    for _ in range(5):
        assert nginx.get("/p").body == b"app GET /p"
    redis.start()
    redis.set(key_of(nginx, "/p"), page("stored"))
    wait_for(lambda: nginx.get("/p").body == b"stored", "a hit")


def test_a_reload(start, redis):
    nginx = start("redis_cache_key $uri prefix=old:;")
    redis.set("old:/p", page("old"))
    redis.set("new:/p", page("new"))
    assert nginx.get("/p").body == b"old"
    before = set(nginx.workers())
    nginx.write_config(nginx.config.replace("prefix=old:", "prefix=new:"))
    nginx.reload()
    wait_for(lambda: not set(nginx.workers()) & before, "the old worker to end")
    assert nginx.get("/p").body == b"new"


def test_http2(start, suite, redis, origin):
    # The parameter of `listen` was there first and is deprecated since 1.25.
    old = suite.version.startswith("1.22.")
    nginx = start("redis_cache_status_header on;", server="" if old else "http2 on;",
                  listen="http2" if old else "")  # fmt: skip
    for n in range(0, 20, 2):
        redis.set(key_of(nginx, f"/{n}"), page(f"stored {n}", headers=HTML))
    with H2Client(nginx.port) as client:
        streams = {n: client.start(f"/{n}") for n in range(20)}
        for n, stream in streams.items():
            response = client.response(stream)
            assert response.body == (f"app GET /{n}" if n % 2 else f"stored {n}").encode()
            assert response.cache[0] == ("fwd=uri-miss" if n % 2 else "hit")
        stream = client.start("/0", "POST", body=b"x" * 10_000)
        assert client.response(stream).body == b"app POST /0"
    assert "deprecated" not in nginx.error_log()


def test_includes(start, redis):
    nginx = start("ssi on;")
    text = "".join(f'[<!--# include virtual="{target}" -->]' for target in ["/part?x=1", "/app"])
    redis.set(key_of(nginx, "/p"), page(text, headers=HTML))
    redis.set(key_of(nginx, "/part?x=1"), page("part", headers=HTML))
    assert nginx.get("/p").body == b"[part][app GET /app]"


def test_try_files_error_page_and_auth_request(start, redis, origin, tmp_path):
    origin.answer = lambda asked: Answer(
        b"app " + asked.target.encode(),
        status=403 if asked.target == "/auth" and not asked.header("X-May") else 200,
    )
    (tmp_path / "file").write_text("a file")
    nginx = start(
        locations=f"""
            location /files/ {{
                alias {tmp_path}/;
                try_files $uri @cache;
            }}
            location @cache {{ redis_cache_pass {redis.url}; redis_cache_fallback @app; }}
            location /old {{
                redis_cache_pass {redis.url};
                error_page 404 405 502 504 = @app;
            }}
            location /guarded {{
                auth_request /auth;
                redis_cache_pass {redis.url};
                redis_cache_fallback @app;
            }}
            location = /auth {{ internal; proxy_pass {origin.url}; }}
        """
    )
    for target in ["/files/hit", "/old/hit", "/guarded/hit"]:
        redis.set(key_of(nginx, target), page("stored"))
    assert nginx.get("/files/file").body == b"a file"
    assert nginx.get("/files/hit").body == b"stored"
    assert nginx.get("/files/miss").body == b"app /files/miss"
    assert nginx.get("/old/hit").body == b"stored"
    assert nginx.get("/old/miss").body == b"app /old/miss"
    assert nginx.get("/guarded/hit").status == 403
    assert nginx.get("/guarded/hit", {"X-May": "1"}).body == b"stored"
    assert nginx.get("/guarded/miss", {"X-May": "1"}).body == b"app /guarded/miss"


@pytest.mark.parametrize(("built_for", "loaded_by"), [*itertools.permutations(VERSIONS, 2)])
def test_the_module_of_another_version_is_refused(suite_of, tmp_path, built_for, loaded_by):
    module, nginx = suite_of(built_for), suite_of(loaded_by)
    passed, said = Nginx(tmp_path, nginx=nginx.nginx, module=module.module).test()
    assert not passed
    wanted = f'{module.module.name}" version {number(module)} instead of {number(nginx)} in '
    assert "[emerg]" in said and wanted in said, said


def number(suite) -> int:
    """The version as nginx compares it: 1.22.1 is 1022001."""
    major, minor, patch = map(int, suite.version.split("."))
    return (major * 1000 + minor) * 1000 + patch


def test_tls(start, tls_redis, certificates):
    nginx = start(
        f"{certificates.trusted} redis_cache_status_header on; redis_cache_breaker off;",
        target=tls_redis.url,
        locations=f"""
            location /client {{
                redis_cache_pass {tls_redis.url.removesuffix("1")}2; redis_cache_fallback @app;
                redis_cache_ssl_name redis.test; redis_cache_ssl_protocols TLSv1.2;
                redis_cache_ssl_certificate {certificates.client.certificate};
                redis_cache_ssl_certificate_key {certificates.client.key}; {certificates.trusted}
            }}
            location /wrong {{
                redis_cache_pass {tls_redis.url.removesuffix("1")}3; redis_cache_fallback @app;
                redis_cache_status_header on; redis_cache_ssl_name other.test;
                {certificates.trusted}
            }}
        """,
    )
    body = bytes(range(256)) * 8000
    for db, target in [(1, "/p"), (2, "/client")]:
        tls_redis.db = db
        tls_redis.set(key_of(nginx, target), page(body))
    for target in ["/p", "/client", "/p", "/client"]:
        assert nginx.get(target).body == body
    assert nginx.get("/none").cache == ("fwd=uri-miss", "absent")
    assert nginx.get("/wrong").cache == ("fwd=miss", "tls_name")
    tls_redis.kill()
    assert nginx.get("/p").body == b"app GET /p"
    tls_redis.start()
    tls_redis.db = 1
    tls_redis.set(key_of(nginx, "/p"), page(body))
    wait_for(lambda: nginx.get("/p").body == body, "a hit", 3)
    nginx.reload()
    wait_for(lambda: nginx.get("/p").body == body, "a hit")
