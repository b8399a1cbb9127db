"""redis_cache: the lookup in front of a location's own handler, behind its access rules and before
try_files; one lookup for a request, whatever locations it goes through."""

import time

import pytest
from support.checks import URL
from support.fake_redis import bulk
from support.origin import Answer
from support.raw import Raw, request_bytes
from support.stored import fresh_line, key_of, page

pytestmark = pytest.mark.engines("event", "blocking")


@pytest.fixture
def place(start_nginx, redis, origin, io):
    """Starts an nginx with `server`, where {redis} and {app} are the URLs of both."""

    def place(server, target=None, **more):
        server = server.replace("{redis}", target or redis.url).replace("{app}", origin.url)
        http = f"redis_cache_io {io}; redis_cache_status_header on; {more.pop('http', '')}"
        budget = "redis_cache_connect_timeout 2s; redis_cache_timeout 2s;"
        return start_nginx(http=budget + http, server=server, **more)

    return place


PROXY = "location / { redis_cache {redis}; proxy_pass {app}; proxy_set_header Host $http_host; }"


def test_a_hit_and_a_miss(place, redis, origin):
    nginx = place(PROXY)
    redis.set(key_of(nginx, "/hit"), page("stored", line=fresh_line()))
    response = nginx.get("/hit")
    assert (response.body, response.cache) == (b"stored", ("hit", "fresh"))
    response = nginx.get("/miss")
    assert (response.body, response.cache) == (b"app GET /miss", ("fwd=uri-miss", "absent"))
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/miss")
    assert nginx.request("HEAD", "/hit").cache == ("hit", "fresh")


def test_other_methods_and_bodies(place, redis, origin):
    nginx = place(PROXY)
    redis.set(key_of(nginx, "/p"), page("stored"))
    body = bytes(range(256)) * 1000
    with nginx.client() as client:
        response = client.request("POST", "/p", body=body)
        assert (response.body, origin.last.body) == (b"app POST /p", body)
        assert client.get("/p", body=body).body == b"stored"
        assert client.get("/q", body=body).body == b"app GET /q"
        assert origin.last.body == body


def test_trouble_goes_on_to_the_handler(place, fake_redis, origin):
    nginx = place(PROXY + "redis_cache_breaker off; redis_cache_timeout 150ms;",
                  target=fake_redis.url)  # fmt: skip
    for reply, reason in [(b"-LOADING x\r\n", "loading"), (bulk(b"no page"), "entry"),
                          (b"$9\r\nx", "timeout")]:  # fmt: skip
        fake_redis.on_get = lambda conn, key, reply=reply: conn.sendall(reply)
        response = nginx.get("/p")
        assert (response.body, response.cache[1]) == (b"app GET /p", reason)
        time.sleep(0.1)
    fake_redis.stop()
    assert nginx.get("/p").body == b"app GET /p"


def test_access_rules_guard_stored_pages(place, redis):
    nginx = place(
        """
        location / { redis_cache {redis}; deny all; proxy_pass {app}; }
        location /auth {
            redis_cache {redis}; auth_request /check; proxy_pass {app};
        }
        location = /check { internal; return 403; }
        location /basic {
            redis_cache {redis}; auth_basic x; auth_basic_user_file /nowhere; proxy_pass {app};
        }
        """
    )
    for target, status in [("/p", 403), ("/auth", 403), ("/basic", 401)]:
        redis.set(key_of(nginx, target), page("secret"))
        response = nginx.get(target)
        assert (response.status, b"secret" in response.body) == (status, False)


def test_it_inherits_and_asks_once(place, fake_redis, origin):
    nginx = place(
        """
        redis_cache {redis};
        location / { try_files $uri @app; }
        location @app { proxy_pass {app}; proxy_set_header Host $http_host; }
        location /rewritten { rewrite ^ /other last; }
        location /other { proxy_pass {app}; }
        location /off { redis_cache off; proxy_pass {app}; }
        """,
        target=fake_redis.url,
    )
    for target, asked in [("/p", 1), ("/rewritten", 1), ("/off", 0)]:
        fake_redis.commands.clear()
        assert nginx.get(target).body.startswith(b"app GET")
        assert len(fake_redis.gets()) == asked, target
    assert nginx.get("/off").cache is None


def test_a_page_comes_before_a_file(place, redis, tmp_path, origin):
    (tmp_path / "f.html").write_text("file")
    nginx = place(
        f"""
        location / {{
            root {tmp_path}; redis_cache {{redis}}; try_files $uri @app;
        }}
        location @app {{ proxy_pass {{app}}; }}
        """
    )
    assert nginx.get("/f.html").body == b"file"
    redis.set(key_of(nginx, "/f.html"), page("stored"))
    assert nginx.get("/f.html").body == b"stored"
    assert nginx.get("/none").body == b"app GET /none"
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/none")


@pytest.mark.parametrize("handler", ["return 200 text", "root /nowhere", "stub_status"])
def test_handlers_that_are_no_proxies(place, redis, handler):
    nginx = place(f"location / {{ redis_cache {{redis}}; {handler}; }}")
    redis.set(key_of(nginx, "/p"), page("stored", line=fresh_line()))
    if handler.startswith("return"):
        # The rewrite phase answers before any lookup.
        assert nginx.get("/p").body == b"text"
    else:
        assert nginx.get("/p").body == b"stored"
        assert nginx.get("/q").status in (200, 404)


def test_two_lookups_of_one_page_in_parallel_includes(place, redis):
    html = [("Content-Type", "text/html")]
    nginx = place("location / { redis_cache {redis}; ssi on; proxy_pass {app}; }")
    include = "".join(f'<!--# include virtual="/part{n}" -->' for n in range(6))
    redis.set(key_of(nginx, "/p"), page(include, headers=html, line=fresh_line()))
    for n in range(0, 6, 2):
        redis.set(key_of(nginx, f"/part{n}"), page(f"stored {n};", headers=html))
    body = nginx.get("/p").body
    wanted = [f"stored {n};" if n % 2 == 0 else f"app GET /part{n}" for n in range(6)]
    assert body == "".join(wanted).encode()


def test_a_client_that_leaves_while_it_waits(place, fake_redis, io):
    if io == "blocking":
        pytest.skip("nothing waits beside a blocking query")
    fake_redis.on_get = lambda conn, key: time.sleep(0.2) or conn.sendall(b"_\r\n")
    nginx = place(PROXY, target=fake_redis.url)
    for _ in range(20):
        with Raw(nginx.port) as raw:
            raw.send(request_bytes("/p"))
    time.sleep(0.5)
    assert nginx.get("/q").body == b"app GET /q"


def test_a_pipeline_and_keepalive(place, redis):
    nginx = place(PROXY)
    redis.set(key_of(nginx, "/1"), page("stored"))
    host = f"127.0.0.1:{nginx.port}"
    with Raw(nginx.port) as raw:
        raw.send(b"".join(request_bytes(f"/{n % 3}", host=host) for n in range(30)))
        for n in range(30):
            wanted = b"stored" if n % 3 == 1 else b"app GET /%d" % (n % 3)
            assert raw.response().body == wanted


def test_error_page_of_the_handler_is_not_looked_up(place, redis, origin):
    origin.answer = lambda asked: Answer(b"broken", 500)
    nginx = place(
        """
        redis_cache {redis};
        proxy_intercept_errors on;
        error_page 500 /sorry;
        location / { proxy_pass {app}; }
        location /sorry { root /nowhere; }
        """
    )
    redis.set(key_of(nginx, "/sorry"), page("stored"))
    assert nginx.get("/p").status == 404
    assert nginx.get("/sorry").body == b"stored"


def test_variables_in_the_log(place, redis):
    nginx = place(PROXY)
    redis.set(key_of(nginx, "/hit"), page("x", line=fresh_line()))
    nginx.get("/hit")
    nginx.get("/miss")
    hit, miss = nginx.logged(2)
    assert "s=HIT r=fresh" in hit and "s=MISS r=absent" in miss


def test_a_reload_lets_parked_requests_go_on(place, fake_redis, io):
    if io == "blocking":
        pytest.skip("nothing is parked beside a blocking query")
    fake_redis.on_get = lambda conn, key: time.sleep(0.3) or conn.sendall(b"_\r\n")
    nginx = place(PROXY, target=fake_redis.url)
    with Raw(nginx.port) as raw:
        raw.send(request_bytes("/p", headers=[("Connection", "close")]))
        time.sleep(0.1)
        nginx.reload()
        assert raw.response().body == b"app GET /p"


WRONG = {
    f"location / {{ redis_cache_pass {URL}; redis_cache {URL}; }}": "looked up twice",
    f"location / {{ redis_cache {URL}; redis_cache {URL}; }}": '"redis_cache" is duplicate',
    "location / { redis_cache on; }": '"redis_cache": names "on", which is neither a URL nor',
    "redis_cache redis://u:secret@h:x;": '"redis_cache" has the URL "redis:..."',
    f"redis_cache {URL}; redis_cache_store on; redis_cache_format raw; location / {{ }}":
        "redis_cache_format http",
    f"location / {{ redis_cache {URL}; redis_cache_queue 5; }} location /b {{ redis_cache {URL}; }}":
        "redis_cache_queue differs",
    "redis_cache_store yes;": 'has the value "yes", but must be on or off',
    "redis_cache_valid 404 x;": "must be a time of at most 10y",
    "redis_cache_valid 99 1m;": "must be a status from 200 to 599, or any",
    "redis_cache_valid 304 1m;": "has the status 304, which is never stored",
    "redis_cache_valid 429 1m;": "has the status 429, which is never stored",
    "redis_cache_ignore_headers Cookie;": "must be X-Accel-Expires, Expires",
    "redis_cache_hide_header 'a b';": "must be the name of a header",
    "redis_cache_heuristic 0;": "from 1% to 100%",
    "redis_cache_heuristic 101%;": "from 1% to 100%",
    "redis_cache_heuristic 1.5%;": "from 1% to 100%",
    "redis_cache_heuristic 10%%;": "from 1% to 100%",
    "redis_cache_heuristic on;": "from 1% to 100%",
    "redis_cache_heuristic max=1d;": "from 1% to 100%",
    "redis_cache_heuristic off max=1d;": "from 1% to 100%",
    "redis_cache_heuristic 10% max=0;": "must be a time of at most 10y",
    "redis_cache_heuristic 10% max=11y;": "must be a time of at most 10y",
    "redis_cache_heuristic 10% 1d;": "must be max=TIME",
    "redis_cache_heuristic 10% max=1d 1;": "invalid number of arguments",
    "redis_cache_heuristic 10; redis_cache_heuristic off;": "is duplicate",
    "redis_cache_authorization 1;": "must be on or off",
    f"redis_cache {URL}; redis_cache_format raw; redis_cache_authorization on; location / {{ }}":
        "redis_cache_authorization on needs redis_cache_format http",
    "redis_cache_keep 0;": "must be a time of at most 10y",
    "redis_cache_revalidate maybe;": "must be on or off",
    "redis_cache_request_control 1;": "must be on or off",
}  # fmt: skip


@pytest.mark.parametrize("server", WRONG)
def test_wrong_configurations(check, server):
    passed, said = check(server)
    assert not passed and WRONG[server] in said, said
    assert "secret" not in said


RIGHT = [
    f"redis_cache {URL}; location / {{ redis_cache_pass {URL}; redis_cache_fallback @app; }}",
    f"redis_cache {URL}; location / {{ redis_cache off; }}",
    f"redis_cache {URL}; redis_cache_store on; redis_cache_valid 200 301 1m; redis_cache_valid any 1d;",
    "redis_cache_heuristic 1%; location /h/ { redis_cache_heuristic off; }",
    "redis_cache_heuristic 100 'max=1d 12h';",
    "redis_cache_valid 404 0; redis_cache_valid 1y; redis_cache_keep '1d 12h';",
    "redis_cache_ignore_headers set-cookie VARY; redis_cache_hide_header X-A;",
]


@pytest.mark.parametrize("server", RIGHT)
def test_right_configurations(check, server):
    passed, said = check(server)
    assert passed, said


@pytest.mark.parametrize("key", ["", "redis_cache_key $scheme$host$request_uri;"])
def test_a_protected_file_is_not_stored_under_its_public_uri(place, redis, origin, key):
    """X-Accel-Redirect to a location that is proxied, and inherits the lookup."""

    def answer(asked):
        if asked.target == "/download":
            return Answer(b"", headers={"X-Accel-Redirect": "/s3/object"})
        return Answer(b"secret", headers={"Cache-Control": "max-age=60"})

    origin.answer = answer
    nginx = place(
        f"""
        redis_cache {{redis}}; redis_cache_store on; {key}
        location / {{ proxy_pass {{app}}; }}
        location /s3/ {{ internal; proxy_pass {{app}}; }}
        """
    )
    for _ in range(2):
        assert nginx.get("/download").body == b"secret"
        time.sleep(0.05)
    with redis.client() as client:
        assert client.keys() == []
    assert len(origin.requests) == 4
