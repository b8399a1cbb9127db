"""`nginx -t` warns of what is allowed and most likely wrong: keys that an internal redirect changes,
and answers stored that nginx makes out of files."""

import pytest
from support.checks import APP, URL, location

CHANGING = [
    ("$uri", "$uri"),
    ("$scheme://$host${uri}", "$uri"),
    ("$host$document_uri", "$document_uri"),
    ("$request_uri?$args", "$args"),
    ("$host$request_uri$is_args", "$is_args"),
    ("$host?$query_string", "$query_string"),
    ("$host$arg_page", "$arg_page"),
    ("$request_filename", "$request_filename"),
    ("$document_root/x", "$document_root"),
    ("$realpath_root/x", "$realpath_root"),
    ("$host$fastcgi_script_name", "$fastcgi_script_name"),
    ("$host$fastcgi_path_info", "$fastcgi_path_info"),
]


def warnings(said):
    return [line for line in said.splitlines() if "[warn]" in line]


@pytest.mark.parametrize(("key", "variable"), CHANGING)
def test_a_key_that_an_internal_redirect_changes(check, key, variable):
    passed, said = check(location(f'redis_cache_key "{key}" hash=md5;'))
    assert passed, said
    [line] = warnings(said)
    assert f'"redis_cache_key" has {variable},' in line and "internal redirect" in line
    assert "$redis_cache_uri or $request_uri" in line and "nginx.conf:" in line


@pytest.mark.parametrize(
    "key",
    ["", "$redis_cache_uri$http_x", "$scheme://$host$request_uri", "${http_host}uri", "$cookie_uri"],
)
def test_a_key_that_stays(check, key):
    passed, said = check(location(f'redis_cache_key "{key}";' if key else ""))
    assert passed and not warnings(said), said


def test_a_key_is_warned_of_where_it_stands(check):
    inside = "location /a { BOTH } location /b { BOTH }".replace("BOTH", f"redis_cache_pass {URL};")
    passed, said = check(inside, http="redis_cache_key $uri;")
    assert passed and len(warnings(said)) == 1, said


STORES = f"redis_cache {URL}; redis_cache_store on;"
PROXY = "location / { proxy_pass http://127.0.0.1:1; }"


def files_in(check, server, **more):
    """Where files are stored, as `nginx -t` says."""
    passed, said = check(server, app="", **more)
    assert passed, said
    lines = warnings(said)
    for line in lines:
        assert 'Write "redis_cache off" there' in line and "nginx.conf:" in line
    return [line.split("in force ")[1].split(", where")[0].rpartition(" in ") for line in lines]


def names(check, server, **more):
    return [name.removeprefix("in location ").strip('"') for name, _, _ in files_in(check, server, **more)]


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        ("location /static/ { root /srv; }", "/static/"),
        ("location = /robots.txt { root /srv; }", "/robots.txt"),
        (r"location ~ \.css$ { expires 30d; }", r"\.css$"),
        ("location /list/ { autoindex on; }", "/list/"),
        ("location /wp/ { try_files $uri $uri/ /index.php?$args; }", "/wp/"),
        ("location @files { root /srv; }", "@files"),
        ("location /in/ { proxy_pass http://127.0.0.1:1; location /in/x/ { } }", "/in/x/"),
    ],
)
def test_files_that_are_stored(check, inner, name):
    assert names(check, f"{STORES} {PROXY} {inner}") == [name]
    stored_here = inner.replace("{", f"{{ {STORES}", 1)
    assert names(check, f"{PROXY} {stored_here}") == [name]
    for off in ["redis_cache off;", "redis_cache_store off;"]:
        silent = inner.replace("{", f"{{ {off}").replace("{ }", "{ redis_cache off; }")
        assert names(check, f"{STORES} {PROXY} {silent}") == []


@pytest.mark.parametrize(
    "inner",
    [
        "fastcgi_pass 127.0.0.1:1;", "uwsgi_pass 127.0.0.1:1;", "scgi_pass 127.0.0.1:1;",
        "grpc_pass 127.0.0.1:1;", "set $memcached_key x; memcached_pass 127.0.0.1:1;",
        "proxy_pass http://127.0.0.1:1; if ($arg_a) { expires 1h; } limit_except GET { deny all; }",
        "proxy_pass http://127.0.0.1$arg_port;", "return 301 /elsewhere;", "internal; root /srv;", "rewrite ^ /other last;",
        f"redis_cache_pass {URL}; redis_cache_fallback @app;",
    ],
)  # fmt: skip
def test_what_something_else_answers(check, inner):
    assert names(check, f"{STORES} {PROXY} {APP} location /x/ {{ {inner} }}") == []


def test_a_server_answers_what_no_location_takes(check):
    inner = "location /app/ { proxy_pass http://127.0.0.1:1; }"
    outside = "outside the locations of the server"
    assert names(check, f"{STORES} {inner}") == [outside]
    assert names(check, inner, http=STORES) == [outside]
    assert names(check, f"{STORES} {inner} location = / {{ proxy_pass http://127.0.0.1:1; }}") == [outside]
    assert names(check, f"{STORES} {inner} {PROXY}") == []
    assert names(check, f"{STORES} {inner} {PROXY.replace('/', '^~ /', 1)}") == []
    assert names(check, "return 301 https://$host$request_uri;", http=STORES) == []


def test_the_place_is_that_of_the_location(check):
    [(_, _, place)] = files_in(check, f"{STORES}\n{PROXY}\n\nlocation /static/ {{\nroot /srv;\n}}")
    [(_, _, moved)] = files_in(check, f"{STORES}\n{PROXY}\n\n\n\nlocation /static/ {{\nroot /srv;\n}}")
    file, _, line = place.rpartition(":")
    assert file.endswith("nginx.conf") and int(moved.rpartition(":")[2]) == int(line) + 2
