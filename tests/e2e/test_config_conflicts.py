"""`nginx -t` refuses directives that contradict each other, and fallbacks that lead nowhere."""

import pytest
from support.checks import APP, URL, location


SIZES = ["redis_cache_connections 3;", "redis_cache_queue 5;", "redis_cache_buffers 32m;",
         "redis_cache_connect_timeout 10ms;", "redis_cache_breaker off;"]  # fmt: skip


@pytest.mark.parametrize("setting", SIZES)
def test_locations_that_disagree_about_one_endpoint(check, setting):
    passed, said = check(
        f"{location(setting)} location /b {{ redis_cache_pass {URL}; redis_cache_fallback @app; }}"
    )
    assert not passed
    assert f"{setting.split()[0]} differs" in said and "127.0.0.1:6399/1" in said
    passed, said = check(
        f"{location(setting)} location /b {{ redis_cache_pass {URL}2; redis_cache_fallback @app; }}"
    )
    assert passed, said


OTHERS = [
    "proxy_pass http://127.0.0.1:1;", "fastcgi_pass 127.0.0.1:1;", "uwsgi_pass 127.0.0.1:1;",
    "scgi_pass 127.0.0.1:1;", "memcached_pass 127.0.0.1:1;", "grpc_pass 127.0.0.1:1;",
    "empty_gif;", "stub_status;", "flv;",
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("order", ["before", "behind"])
def test_beside_another_content_handler(check, other, order):
    ours = f"redis_cache_pass {URL};"
    both = f"{other} {ours}" if order == "before" else f"{ours} {other}"
    passed, said = check(f"location / {{ {both} }}")
    assert not passed
    assert "redis_cache_pass" in said and "another content handler" in said


LOOPS = {
    "no such location": "location / { PASS redis_cache_fallback @none; }",
    "only in another server": "location / { PASS redis_cache_fallback @elsewhere; }",
    "itself": "location / { PASS redis_cache_fallback @a; }"
    " location @a { PASS redis_cache_fallback @a; }",
    "a loop of two": "location / { PASS redis_cache_fallback @a; }"
    " location @a { PASS redis_cache_fallback @b; } location @b { PASS redis_cache_fallback @a; }",
    "a loop of two by inheritance": "redis_cache_fallback @a; location @a { PASS }",
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_fallback_that_leads_nowhere(check, name):
    other = "} server { listen 127.0.0.1:1; location @elsewhere { return 200; }"
    loop = LOOPS[name].replace("PASS", f"redis_cache_pass {URL};")
    passed, said = check(loop + APP + other, app="")
    assert not passed
    assert '"redis_cache_fallback"' in said and "nginx.conf:" in said


def test_two_tiers_are_no_loop(check):
    tiers = (
        f"{location('').replace('@app', '@second')}"
        f"location @second {{ redis_cache_pass {URL}2; redis_cache_fallback @app; }}"
    )
    passed, said = check(tiers)
    assert passed, said


def test_a_bare_error_page_is_warned_of(check):
    bare = f"location / {{ redis_cache_pass {URL}; error_page 404 @app; }}"
    passed, said = check(bare)
    assert passed and "[warn]" in said and "error_page 404 = @name" in said
    for fine in [bare.replace("404 @", "404 = @"), location("error_page 404 @app;")]:
        passed, said = check(fine)
        assert passed and "[warn]" not in said, said


def test_values_that_cannot_be_together(check):
    passed, said = check(location("redis_cache_buffers 1m;"))
    assert not passed and "redis_cache_max_size" in said and "redis_cache_buffers" in said
    passed, said = check(location("redis_cache_username u;"))
    assert not passed and "redis_cache_password_file" in said


def test_pass_outside_a_location(check):
    for arguments in [{"http": f"redis_cache_pass {URL};"}, {"server": f"redis_cache_pass {URL};"}]:
        passed, said = check(**arguments)
        assert not passed and '"redis_cache_pass" directive is not allowed here' in said


def test_an_unknown_variable_in_a_string(check):
    for directive in ["redis_cache_key $nosuch", "redis_cache_bypass $nosuch"]:
        passed, said = check(location(f"{directive};"))
        assert not passed and 'unknown "nosuch" variable' in said
