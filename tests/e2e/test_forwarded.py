"""redis_cache_forwarded: behind a balancer that ends TLS, keys have the scheme and the host that the
client asked for; nobody else can say them."""

import pytest
from support.origin import Answer
from support.pages import FRESH, settled
from support.stored import fresh_line, page

TRUSTED = "redis_cache_forwarded proto host from=127.0.0.1;"
HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(autouse=True)
def _cacheable(cacheable):
    pass


def key(nginx, scheme="https", host=None, target="/p"):
    return f"page:{scheme}://{host or f'127.0.0.1:{nginx.port}'}{target}"


def test_the_key_has_what_the_balancer_says(store, stored):
    nginx = store(TRUSTED)
    assert settled(nginx, "/p", HTTPS).cache == ("fwd=uri-miss", "absent")
    assert stored(nginx, key=key(nginx), within=2) is not None
    assert settled(nginx, "/p", HTTPS).cache[0] == "hit"
    assert settled(nginx, "/p").cache[0] != "hit"
    assert settled(nginx, "/p").cache[0] == "hit"
    site = {**HTTPS, "X-Forwarded-Host": "site.example"}
    assert settled(nginx, "/p", site).cache[0] != "hit"
    assert stored(nginx, key=key(nginx, host="site.example"), within=2) is not None
    assert settled(nginx, "/p", {**site, "X-Forwarded-Host": "SITE.example:443"}).cache[0] == "hit"


@pytest.mark.parametrize("proto", ["http", "https", "HTTPS"])
def test_schemes(store, stored, proto):
    nginx = store(TRUSTED)
    settled(nginx, "/p", {"X-Forwarded-Proto": proto})
    assert stored(nginx, key=key(nginx, proto.lower()), within=2) is not None


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("http, https", "https"), ("https, http", "http"), ("wss", "http"), ("", "http")],
)
def test_more_than_a_scheme_fills_nothing(store, redis, proto, scheme):
    """The application may make another scheme of it than the last, which counts."""
    nginx = store(TRUSTED)
    headers = {"X-Forwarded-Proto": proto}
    assert settled(nginx, "/p", headers).cache[1] == "absent/host"
    redis.set(key(nginx, scheme), page("stored", line=fresh_line()))
    assert settled(nginx, "/p", headers).body == b"stored"


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a:x", "a\\b"])
def test_a_host_that_is_none_is_not_looked_up(store, origin, redis, host):
    nginx = store(TRUSTED)
    response = settled(nginx, "/p", {"X-Forwarded-Host": host})
    assert (response.body, response.cache[1]) == (b"app /p", "host/bypass")
    with redis.client() as client:
        assert client.keys() == []


def test_a_host_that_is_not_written_as_in_the_key_fills_nothing(store, redis):
    nginx = store(TRUSTED)
    response = settled(nginx, "/p", {"X-Forwarded-Host": "Site.example"})
    assert response.cache[1] == "absent/host"


def test_nobody_else_is_believed(store, redis, origin):
    nginx = store("redis_cache_forwarded proto host from=192.0.2.0/24 from=unix:;")
    redis.set(key(nginx), page("of the balancer", line=fresh_line()))
    for headers in (HTTPS, {"X-Forwarded-Host": "site.example"}):
        response = settled(nginx, "/p", headers)
        assert (response.body, response.cache[1]) == (b"app /p", "absent/forwarded")
    assert settled(nginx, "/p").cache[1] == "absent"
    assert settled(nginx, "/p", HTTPS).cache[0] == "hit", "and gets what is for everybody"


def test_an_application_that_stores_is_not_told_the_key_by_a_stranger(serve, origin):
    nginx = serve("redis_cache_forwarded proto from=192.0.2.1;")
    nginx.get("/p", HTTPS)
    assert origin.last.header("X-Redis-Cache-Key") is None
    nginx.get("/p")
    assert origin.last.header("X-Redis-Cache-Key") == key(nginx, "http")


def test_beside_the_realip_module(store, stored):
    """It puts the client's address in the place of the balancer's."""
    realip = "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
    nginx = store(TRUSTED, server=realip)
    settled(nginx, "/p", {**HTTPS, "X-Real-IP": "198.51.100.7"})
    assert stored(nginx, key=key(nginx), within=2) is not None


def test_a_unix_socket(start_nginx, redis, origin, stored, tmp_path):
    nginx = start_nginx(
        http="redis_cache_timeout 2s;",
        server=f"location / {{ proxy_pass http://unix:{tmp_path}/s:; proxy_set_header Host $http_host; }}",
        servers=f"""server {{ listen unix:{tmp_path}/s;
            redis_cache {redis.url}; redis_cache_store on;
            redis_cache_forwarded proto from=unix:;
            location / {{ proxy_pass {origin.url}; proxy_set_header Host $http_host; }} }}""",
    )
    settled(nginx, "/p", HTTPS)
    assert stored(nginx, key=key(nginx), within=2) is not None


def test_other_fields(store, stored):
    nginx = store("redis_cache_forwarded proto=X-Scheme from=127.0.0.0/8;")
    settled(nginx, "/p", {"X-Scheme": "https", "X-Forwarded-Host": "other.example"})
    assert stored(nginx, key=key(nginx), within=2) is not None


def test_variables_tell_the_application(store, origin):
    nginx = store(
        TRUSTED,
        app="proxy_set_header X-Seen $redis_cache_scheme|$redis_cache_host|$redis_cache_uri;",
    )
    site = {**HTTPS, "X-Forwarded-Host": "site.example:444"}
    settled(nginx, "/p", site)
    seen = "https|site.example:444|https://site.example:444/p"
    assert origin.last.header("X-Seen") == seen
    settled(nginx, "/p")
    own = f"127.0.0.1:{nginx.port}"
    assert origin.last.header("X-Seen") == f"http|{own}|http://{own}/p"


def test_a_redirect_to_https_does_not_loop(store, origin):
    """The page of http:// is a redirect, that of https:// is not."""

    def answer(asked):
        if asked.header("X-Forwarded-Proto") == "https":
            return Answer(b"page", headers=FRESH)
        return Answer(b"", 301, [*FRESH, ("Location", f"https://site{asked.target}")])

    origin.answer = answer
    nginx = store(TRUSTED)
    for _ in range(2):
        assert settled(nginx, "/p").status == 301
        assert settled(nginx, "/p", HTTPS).body == b"page"


def test_location_of_the_same_site_is_invalidated(store, origin):
    nginx = store(TRUSTED)
    site = {**HTTPS, "X-Forwarded-Host": "site.example"}
    for _ in range(2):
        last = settled(nginx, "/p", site)
    assert last.cache[0] == "hit"
    headers = {"Location": "https://site.example/p", "Content-Length": "0"}
    origin.answer = lambda asked: Answer(b"", 303, headers)
    settled(nginx, "/other", site, method="POST", body=b"x")
    assert settled(nginx, "/p", site).cache[1].startswith("gone")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "invalid number of arguments"),
        ("proto", "needs from=CIDR"),
        ("from=10.0.0.0/8", "needs proto or host"),
        ("proto from=10.0.0.0/33", "from=CIDR"),
        ("proto from=balancer", "from=CIDR"),
        ("proto=a:b from=10.0.0.1", "the name of a header field"),
        ("proto proto from=10.0.0.1", "duplicate"),
        ("port from=10.0.0.1", "proto[=FIELD]"),
        ("off proto", "proto[=FIELD]"),
    ],
)
def test_bad_values(check, value, complaint):
    passed, said = check(f"redis_cache_forwarded {value};")
    assert not passed and "redis_cache_forwarded" in said and complaint in said
