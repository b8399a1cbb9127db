"""For an nginx without OpenSSL the module builds as well, needs nothing of OpenSSL, and refuses TLS
with a sentence. Debian's nginx loads such a module too: the flag --with-compat makes them one."""

import pytest
from conftest import QUICKLY, run
from support.nginx import Nginx
from support.stored import key_of, page

SOURCE = "/usr/share/nginx/src"


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    directory = tmp_path_factory.mktemp("without")
    objs, target = directory / "objs", directory / "target"
    run("./configure", "--with-compat", "--with-threads", f"--builddir={objs}", cwd=SOURCE)
    environment = {
        **QUICKLY,
        "NGINX_SOURCE_DIR": SOURCE,
        "NGINX_BUILD_DIR": str(objs),
        "CARGO_TARGET_DIR": str(target),
    }
    said = run("cargo", "build", "--release", "--locked", env=environment)
    assert "warning" not in said
    return target / "release/libngx_http_redis_cache_module.so"


def test_no_symbol_of_openssl(module):
    assert "ssl" not in run("nm", "--dynamic", "--undefined-only", module).lower()


def test_plain_and_secure_urls(serve, module, redis, tmp_path):
    nginx = serve(module=module)
    redis.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").body == b"stored"
    server = f"location / {{ redis_cache_pass rediss{redis.url[5:]}; }}"
    passed, said = Nginx(tmp_path / "check", server=server, module=module).test()
    assert not passed
    assert "asks for TLS, and this nginx was built without it (--with-http_ssl_module)" in said
