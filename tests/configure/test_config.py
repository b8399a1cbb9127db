"""./config: nginx's own build makes the module, beside nginx or linked into it."""

import gzip
import subprocess

from conftest import run
from support.nginx import ROOT
from support.origin import Answer
from support.pages import FRESH, settled
from support.stored import key_of, page

HTML = [("Content-Type", "text/html"), ("ETag", '"1"')]


def test_hit_and_miss(serve, built, redis, origin):
    nginx = serve("redis_cache_status_header on;", nginx=[built.nginx], module=built.module)
    redis.set(key_of(nginx, "/p"), page("stored", headers=HTML))
    response = nginx.get("/p")
    assert (response.status, response.body, response.cache) == (200, b"stored", ("hit", "fresh"))
    assert nginx.get("/p", {"If-None-Match": '"1"'}).status == 304
    response = nginx.get("/absent")
    assert (response.body, response.cache) == (b"app GET /absent", ("fwd=uri-miss", "absent"))
    assert origin.last.header("X-Redis-Cache-Key") == key_of(nginx, "/absent")


def test_its_place_among_the_filters(serve, built, redis):
    """Under the copy filter and before gzip: a page that is sent encoded is the stored one."""
    gzip_on = "gzip on; gzip_min_length 1; gzip_proxied any;"
    nginx = serve(gzip_on, nginx=[built.nginx], module=built.module)
    redis.set(key_of(nginx, "/p"), page("stored " * 100, headers=HTML))
    response = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert response.header("Content-Encoding") == "gzip"
    assert gzip.decompress(response.body) == b"stored " * 100


def test_a_filter_of_somebody_else_changes_nothing_that_is_stored(store, static, origin, stored):
    origin.answer = lambda asked: Answer(b"page", headers=[*FRESH, ("X-User", "nobody")])
    nginx = store("redis_cache_key page:$uri;", nginx=[static.nginx], module=None)
    for user in ["alice", "bob"]:
        assert settled(nginx, f"/p?{user}").header("X-User") == user
    assert len(origin.requests) == 1 and b"X-User: nobody" in stored(nginx, key="page:/p")


def test_a_dynamic_module_exports_its_tables_alone(dynamic):
    run(ROOT / "scripts/check-exports.sh", dynamic.module)
    assert run("nm", "-D", "--defined-only", dynamic.module).count("\n") == 3


def test_nginx_exports_nothing_of_rust(static):
    said = run("nm", "-D", "--defined-only", static.nginx)
    assert " ngx_http_core_module\n" in said
    names = [line.split()[-1] for line in said.splitlines()]
    assert not [name for name in names if name.startswith(("_R", "_ZN", "rust_", "__rust"))]
    assert "--add-module=" in run(static.nginx, "-V")


def test_the_order_that_nginx_is_told(dynamic):
    names = dynamic.source / "objs/ngx_http_redis_cache_module_modules.c"
    order = names.read_text().split("ngx_module_order[]")[1]
    wanted = ['"ngx_http_redis_cache_module"', '"ngx_http_copy_filter_module"', "NULL"]
    assert [line.strip(" ,") for line in order.splitlines()[1:4]] == wanted


def test_without_cargo_it_says_so(source):
    result = subprocess.run(
        ["./configure", f"--add-dynamic-module={ROOT}", "--builddir=objs-without"],
        cwd=source, env={"PATH": "/usr/bin:/bin", "NGX_CARGO": "no-such-cargo"},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert result.returncode == 1
    assert '"no-such-cargo" does not run: install Rust 1.85' in result.stdout
