"""X-Redis-Cache-Key is nginx's alone: the application that may fill the key gets it,
percent-encoded, and nobody else; a copy that a client sent reaches no application at all."""

import random

import pytest
from support.origin import Answer
from support.ports import wait_for
from support.raw import exchange, request_bytes
from support.stored import fresh_line, key_of, page

HEADER = "X-Redis-Cache-Key"


def keys_in(asked) -> list:
    """All values of the header, however it is spelt."""
    wanted = HEADER.lower()
    return [value for name, value in asked.headers if name.lower().replace("_", "-") == wanted]


def test_after_a_miss_the_key_is_handed_over_percent_encoded(serve, origin):
    nginx = serve()
    nginx.get("/a%41/%7E?x=%2f&y=|%C3%A9")
    key = key_of(nginx, "/a%2541/%257E?x=%252f&y=|%25C3%25A9")
    assert keys_in(origin.last) == [key]


def test_no_byte_of_a_key_becomes_a_line_of_its_own(serve, origin):
    nginx = serve("redis_cache_key $uri prefix=k:;")
    nginx.get("/%C3%A9%20%0d%0aX-Evil:%201")
    assert keys_in(origin.last) == ["k:/%C3%A9%20%0D%0AX-Evil:%201"]
    assert origin.last.header("X-Evil") is None


def test_after_an_expiry_and_a_configured_bypass_too(serve, redis, origin):
    nginx = serve("redis_cache_bypass $arg_fresh;")
    redis.set(key_of(nginx, "/old"), page(line=fresh_line(fresh=1000, age=10)))
    nginx.get("/old")
    assert keys_in(origin.last) == [key_of(nginx, "/old")]
    nginx.get("/new?fresh=1")
    assert keys_in(origin.last) == [key_of(nginx, "/new?fresh=1")]


def test_not_for_what_the_application_may_not_store(serve, origin):
    nginx = serve("redis_cache_bypass $arg_fresh;")
    for method, target, headers in [
        ("HEAD", "/p", {}),
        ("HEAD", "/p?fresh=1", {}),
        ("POST", "/p", {}),
        ("POST", "/p?fresh=1", {}),
        ("GET", "/p", {"Authorization": "Basic eDp5"}),
        ("GET", "/p?fresh=1", {"Authorization": ""}),
        ("GET", "/" + "%" * 1500 + "41", {}),
    ]:
        nginx.request(method, target, {**headers, HEADER: "mine"})
        if method != "GET" or len(target) < 99:
            assert origin.last.target == target
        assert keys_in(origin.last) == [], (method, target)
    exchange(nginx.port, request_bytes("http://other/p", host=f"127.0.0.1:{nginx.port}"))
    assert keys_in(origin.last) == []


@pytest.mark.parametrize("reply", [b"-LOADING x\r\n", b"+OK\r\n", b"$3\r\nabc\r\n", b"$2"])
def test_not_after_a_fault(serve, origin, fake_redis, reply):
    fake_redis.on_get = lambda conn, key: conn.sendall(reply)
    nginx = serve("redis_cache_timeout 200ms;", target=fake_redis.url)
    assert nginx.get("/p", {HEADER: "mine"}).body == b"app GET /p"
    assert keys_in(origin.last) == []


def spelling(rng):
    letters = [rng.choice([c.upper(), c.lower()]) for c in HEADER]
    return "".join(rng.choice("-_") if c == "-" else c for c in letters)


@pytest.mark.parametrize("seed", range(4))
def test_the_clients_copies_are_taken_out_and_every_other_header_stays(serve, origin, seed):
    rng = random.Random(seed)
    nginx = serve(
        server="underscores_in_headers on; large_client_header_buffers 8 32k;",
        locations=f"location /plain {{ proxy_pass {origin.url}; }}",
    )
    with nginx.client() as client:
        for count in [0, 1, 2, 17, 18, 19, 20, 21, 22, 38, 39, 40, 41, 45, 60, *[25] * 15]:
            kept = [(f"X-H{n}", f"value {n} {'x' * rng.randrange(9)}!") for n in range(count)]
            sent = list(kept)
            for _ in range(rng.choice([1, 1, 2, 3, 12, 25])):
                sent.insert(rng.randrange(len(sent) + 1), (spelling(rng), "mine"))
            target = rng.choice(["/plain/p", "/p"])
            client.get(target, sent)
            got = [pair for pair in origin.last.headers if pair[0].startswith("X-H")]
            assert got == kept, (count, sent)
            assert keys_in(origin.last) == ([key_of(nginx, "/p")] if target == "/p" else [])


def test_neighbours_that_nginx_knows_by_name_stay_known(serve, origin):
    nginx = serve(app="add_header X-Seen $http_cookie|$http_user_agent|$http_x_last always;")
    mine = [(HEADER, "mine")] * 3
    headers = [*mine, ("Cookie", "a=b"), *mine, ("User-Agent", "u"), *mine, ("X-Last", "l"), *mine]
    response = nginx.get("/p", headers)
    assert response.header("X-Seen") == "a=b|u|l"
    assert keys_in(origin.last) == [key_of(nginx, "/p")]


def page_of(bodies, **headers):
    """Answers by path, `app` elsewhere."""
    headers = {"Content-Type": "text/html"} | headers
    return lambda asked: Answer(bodies.get(asked.target, b"app"), headers=dict(headers))


def asked_for(origin, target):
    return wait_for(
        lambda: [asked for asked in origin.requests if asked.target == target],
        f"a request for {target}",
    )[0]


def test_not_in_an_include_of_a_page_that_missed(serve, origin):
    include = "".join(f'<!--# include virtual="{x}" -->' for x in ["/inc", "/plain", "/inc2"])
    origin.answer = page_of({"/outer": include.encode()})
    nginx = serve(
        "ssi on;", app="ssi on;", locations=f"location /plain {{ proxy_pass {origin.url}; }}"
    )
    assert nginx.get("/outer", {"X-Other": "1"}).body == b"app" * 3
    assert keys_in(asked_for(origin, "/outer")) == [key_of(nginx, "/outer")]
    for target in ["/inc", "/plain", "/inc2"]:
        asked = asked_for(origin, target)
        assert (keys_in(asked), asked.header("X-Other")) == ([], "1")


def test_not_in_auth_request_nor_mirror_of_the_fallback(serve, origin):
    sub = f"{{ internal; proxy_pass {origin.url}; proxy_set_header X-Sub 1; }}"
    nginx = serve(
        app="auth_request /auth; mirror /mirror;",
        locations=f"location /auth {sub} location /mirror {sub}",
    )
    assert nginx.get("/p").status == 200
    for target in ["/auth", "/mirror"]:
        assert keys_in(asked_for(origin, target)) == []
    assert keys_in(asked_for(origin, "/p")) == [key_of(nginx, "/p")]


@pytest.mark.parametrize("where", ["/plain/error", "@plain", "/looked/up"])
def test_not_in_an_error_page(serve, origin, where):
    origin.answer = lambda asked: Answer(b"page", 500 if len(origin.requests) == 1 else 200)
    nginx = serve(
        app=f"proxy_intercept_errors on; error_page 500 {where};",
        locations=f"""
            location /plain {{ internal; proxy_pass {origin.url}; }}
            location @plain {{ proxy_pass {origin.url}; }}
        """,
    )
    assert nginx.get("/p").body == b"page"
    first, second = origin.requests
    assert keys_in(first) == [key_of(nginx, "/p")]
    assert keys_in(second) == []


@pytest.mark.parametrize("where", ["/plain/file", "@plain", "/looked/up"])
def test_not_in_the_target_of_x_accel_redirect(serve, origin, where):
    def answer(asked):
        first = len(origin.requests) == 1
        return Answer(b"secret", headers={"X-Accel-Redirect": where} if first else {})

    origin.answer = answer
    nginx = serve(
        locations=f"""
            location /plain {{ internal; proxy_pass {origin.url}; }}
            location @plain {{ proxy_pass {origin.url}; }}
        """
    )
    assert nginx.get("/p").body == b"secret"
    first, second = origin.requests
    assert keys_in(first) == [key_of(nginx, "/p")]
    assert keys_in(second) == []
