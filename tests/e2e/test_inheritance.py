"""Directives inherit from level to level as nginx's own do; the handler itself does not, but to
`if` and `limit_except`."""

from support.stored import key_of, page


def test_levels_inherit(serve, redis):
    nginx = serve(
        http="redis_cache_key $uri prefix=http:; redis_cache_status_header on;",
        server="redis_cache_key $uri prefix=server:;",
        locations=f"""
            location /own {{
                redis_cache_pass {redis.url};
                redis_cache_fallback @app;
                redis_cache_key $uri prefix=own:;
                redis_cache_status_header off;
                location /own/nested {{
                    redis_cache_pass {redis.url};
                }}
            }}
        """,
    )
    for key in ["server:/a", "own:/own/b", "own:/own/nested/c"]:
        redis.set(key, page(key))
        response = nginx.get(key.partition(":")[2])
        assert response.body == key.encode()
        assert (response.cache is not None) == key.startswith("server:")


def test_a_nested_location_does_not_inherit_the_handler(serve):
    nginx = serve("location /files/ { root /nonexistent; }")
    assert nginx.get("/files/x").status == 404
    assert nginx.get("/other").body == b"app GET /other"


def test_if_and_limit_except_take_the_handler_over(serve, redis):
    nginx = serve(
        'if ($arg_x) { add_header X-If "yes" always; } limit_except GET { allow all; }'
    )
    redis.set(key_of(nginx, "/p?x=1"), page("stored"))
    response = nginx.get("/p?x=1")
    assert (response.body, response.header("X-If")) == (b"stored", "yes")
    assert nginx.get("/p?x=2").body == b"app GET /p?x=2"
    assert nginx.request("POST", "/p", body=b"x").body == b"app POST /p"


def test_pass_in_an_if(serve, redis):
    nginx = serve(
        locations=f"""
            location /i {{
                redis_cache_fallback @app;
                if ($request_method = GET) {{ redis_cache_pass {redis.url}; }}
                root /nonexistent;
            }}
        """
    )
    redis.set(key_of(nginx, "/i/p"), page("stored"))
    assert nginx.get("/i/p").body == b"stored"
    assert nginx.get("/i/q").body == b"app GET /i/q"
