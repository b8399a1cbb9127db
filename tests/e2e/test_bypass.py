"""Redis is not asked for what may not be looked up, and the reason says why."""

import itertools

import pytest
from support.raw import exchange, request_bytes
from support.stored import key_of, page


@pytest.fixture
def bypassed(serve, fake_redis):
    """`bypassed(...)` starts nginx on a fake Redis and returns a check of one request."""

    def start(location="", **arguments):
        nginx = serve(
            f"redis_cache_status_header on; {location}", target=fake_redis.url, **arguments
        )
        requests = itertools.count(1)

        def check(target, headers=None, method="GET"):
            """The reason of the bypass, or `None` where Redis was asked."""
            before = len(fake_redis.gets())
            count = next(requests)
            response = nginx.request(method, target, headers)
            assert response.status == 200
            if len(fake_redis.gets()) > before:
                assert response.cache == ("fwd=uri-miss", "absent")
                return None
            assert " s=BYPASS " in nginx.logged(count)[-1]
            return response.cache[1]

        return check

    return start


def test_conditions_are_read_as_proxy_cache_bypass_reads_them(bypassed):
    check = bypassed("redis_cache_bypass $cookie_sessionid $arg_nocache$arg_other;")
    assert check("/p") is None
    assert check("/p?nocache=0") is None
    assert check("/p?nocache=") is None
    assert check("/p", {"Cookie": "other=1"}) is None
    assert check("/p", {"Cookie": "sessionid="}) is None
    for target, headers in [
        ("/p?nocache=1", {}),
        ("/p?nocache=00", {}),
        ("/p?nocache=0&other=0", {}),
        ("/p?nocache=off", {}),
        ("/p", {"Cookie": "a=b; sessionid=x"}),
    ]:
        assert check(target, headers) == "bypass", (target, headers)


def test_several_directives_add_up(bypassed):
    check = bypassed("redis_cache_bypass $arg_a; redis_cache_bypass $arg_b;")
    assert check("/p") is None
    assert check("/p?a=1") == "bypass"
    assert check("/p?b=1") == "bypass"


def test_an_inner_level_replaces_the_conditions(bypassed):
    check = bypassed("redis_cache_bypass $arg_inner;", http="redis_cache_bypass $arg_outer;")
    assert check("/p?outer=1") is None
    assert check("/p?inner=1") == "bypass"


def test_methods(bypassed):
    check = bypassed()
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
        assert check("/p", method=method) == "method"
    assert check("/p", method="HEAD") is None


def test_authorization_whatever_its_value(bypassed):
    check = bypassed()
    for value in ["Basic eDp5", "Bearer x", "", "x"]:
        assert check("/p", {"Authorization": value}) == "authorization"
    assert check("/p", {"Proxy-Authorization": "x"}) is None


def test_cookies_alone_are_no_reason(bypassed):
    check = bypassed()
    assert check("/p", {"Cookie": "sessionid=x"}) is None


def test_the_method_counts_before_everything_else(bypassed):
    check = bypassed("redis_cache_bypass $arg_x;")
    assert check("/p?x=1", {"Authorization": "x"}, method="POST") == "method"
    assert check("/p?x=1", {"Authorization": "x"}) == "authorization"


def test_a_bypass_never_serves_the_stored_page(serve, redis):
    nginx = serve("redis_cache_bypass $cookie_sessionid;")
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    for headers in [{"Cookie": "sessionid=x"}, {"Authorization": "x"}]:
        assert nginx.get("/p", headers).body == b"app GET /p"


def test_an_absolute_form_that_names_another_host(serve, redis, origin):
    nginx = serve("redis_cache_status_header on;", server="server_name a.example;")
    redis.set("page:http://a.example/login", page("of a"))
    redis.set("page:http://b.example/login", page("of b"))
    asks = request_bytes("http://a.example/login", host="b.example")
    (response,) = exchange(nginx.port, asks)
    assert response.body.startswith(b"app GET ")
    assert response.cache == ("fwd=bypass", "host")
    asks = request_bytes("http://a.example/login", host="a.example")
    assert exchange(nginx.port, asks)[0].body == b"of a"
