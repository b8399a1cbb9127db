"""For an nginx without OpenSSL and threads the module builds as well, needs nothing of either, and refuses
TLS with a sentence. Debian's nginx loads such a module too: the flag --with-compat makes them one."""

import gzip

import pytest
from conftest import QUICKLY, run
from support.nginx import Nginx
from support.origin import Answer
from support.pages import FRESH
from support.ports import wait_for
from support.stored import key_of, page

SOURCE = "/usr/share/nginx/src"


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    directory = tmp_path_factory.mktemp("without")
    objs, target = directory / "objs", directory / "target"
    run("./configure", "--with-compat", f"--builddir={objs}", cwd=SOURCE)
    environment = {
        **QUICKLY,
        "NGINX_SOURCE_DIR": SOURCE,
        "NGINX_BUILD_DIR": str(objs),
        "CARGO_TARGET_DIR": str(target),
    }
    said = run("cargo", "build", "--release", "--locked", env=environment)
    assert "warning" not in said
    return target / "release/libngx_http_redis_cache_module.so"


def test_no_symbol_of_either(module):
    wanted = run("nm", "--dynamic", "--undefined-only", module).lower()
    assert "ssl" not in wanted
    assert "ngx_thread" not in wanted


def test_plain_and_secure_urls(serve, module, redis, tmp_path):
    nginx = serve(module=module)
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    server = f"location / {{ redis_cache_pass rediss{redis.url[5:]}; }}"
    passed, said = Nginx(tmp_path / "check", server=server, module=module).test()
    assert not passed
    assert "asks for TLS, and this nginx was built without it (--with-http_ssl_module)" in said


@pytest.mark.parametrize("size, is_coded", [(500_000, True), (2_000_000, False)])
def test_large_pages_hold_the_worker_for_a_moment_alone(serve, module, redis, origin, size, is_coded):
    body = b"".join(b"<li>entry %d</li>\n" % n for n in range(150_000))[:size]
    origin.answer = lambda asked: Answer(body, headers=FRESH)
    directives = "redis_cache_store on; redis_cache_compress gzip; redis_cache_status_header on;"
    nginx = serve(directives, module=module)
    assert nginx.get("/p").body == body
    with redis.client() as client:
        value = wait_for(lambda: client.get(key_of(nginx, "/p")), "the page")
    assert (b"coded=" in value.partition(b"\r\n\r\n")[0]) == is_coded
    found = nginx.get("/p", {"Accept-Encoding": "gzip"})
    assert found.cache[0] == "hit"
    assert (gzip.decompress(found.body) if is_coded else found.body) == body
