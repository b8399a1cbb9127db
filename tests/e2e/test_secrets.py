"""A password stands in no log, no message of `nginx -t`, no variable, not even at debug level."""

import pytest
from support.nginx import Nginx
from support.redis_server import RedisServer

pytestmark = pytest.mark.engines("event", "blocking")

SECRET = "s3cr3t-w0rd"


@pytest.fixture
def said(tmp_path, io):
    """What nginx -t says of a location with these directives."""
    count = iter(range(100))

    def said(directives, expect_pass=False):
        app = "location @app { return 200; }"
        server = f"location / {{ redis_cache_fallback @app; {directives} }} {app}"
        nginx = Nginx(
            tmp_path / f"check{next(count)}", server=server, http=f"redis_cache_io {io};",
            error_level="debug",
        )  # fmt: skip
        passed, text = nginx.test()
        assert passed == expect_pass, text
        log = nginx.directory / "logs/test.log"
        return text + (log.read_text() if log.exists() else "")

    return said


WRONG_URLS = [
    f"redis://:{SECRET}@h:99999/1", f"redis://:{SECRET}@h/x", f"redis://user:{SECRET}@",
    f"redis://user:{SECRET}@/1", f"rediss://:{SECRET}@h/x", f"redis://:{SECRET}@h/-1",
    f"redis://:{SECRET}@$host", f"redis://:{SECRET}$x@h", f"redis://:{SECRET}@h?db=1",
    f"http://:{SECRET}@h", f"redis//:{SECRET}@h", f":{SECRET}@h", f"redis:// :{SECRET}@h",
    f"redis://:{SECRET}%zz@h/x", f"redis://:{SECRET}@[::1/1", f"redis://:{SECRET}@h/1#x",
    f"redis://:{SECRET}@no-such-host.invalid/1", f"unix://:{SECRET}@/tmp/x?db=y",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_wrong_url(said, url):
    text = said(f'redis_cache_pass "{url}";')
    assert "redis_cache_pass" in text and SECRET not in text


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}", f"redis://user:{SECRET}", f"redis://h/1?password={SECRET}",
        f"unix:/tmp/x.sock?pass={SECRET}", f"redis+unix:///tmp/x.sock?db=1&pass={SECRET}",
    ],
)  # fmt: skip
def test_a_wrong_url_without_an_at(said, url):
    assert SECRET not in said(f"redis_cache_pass {url};")


def test_settings_that_contradict_each_other(said, tmp_path):
    (tmp_path / "password").write_text(SECRET)
    (tmp_path / "lines").write_text(f"{SECRET}\n{SECRET}\n")
    file = f"redis_cache_password_file {tmp_path}/password;"
    with_password = f"redis_cache_pass redis://:{SECRET}@127.0.0.1/1;"
    for directives in [
        f"{with_password} {file}",
        f"{with_password} proxy_pass http://127.0.0.1:1;",
        f"{with_password} {with_password}",
        f"{with_password} redis_cache_buffers 1m;",
        f"{file} {file} redis_cache_pass redis://127.0.0.1/1;",
        f"redis_cache_password_file {tmp_path}/lines; redis_cache_pass redis://127.0.0.1/1;",
        f"{with_password} }} location /b {{ redis_cache_pass redis://:other@127.0.0.1/1;",
        f"{with_password} redis_cache_fallback @none;",
    ]:
        assert SECRET not in said(directives)


def test_a_right_configuration(said):
    text = said(f"redis_cache_pass redis://u:{SECRET}@127.0.0.1/1;", expect_pass=True)
    assert SECRET not in text


@pytest.mark.parametrize("given", [SECRET, SECRET + "x"])
def test_logs_and_variables_at_work(serve, tmp_path, given):
    server = RedisServer(tmp_path / "locked", "--requirepass", SECRET)
    server.start()
    nginx = serve(
        "redis_cache_status_header on; add_header X-Server $redis_cache_server always;",
        app="add_header X-Server $redis_cache_server always;",
        target=f"redis://:{given}@127.0.0.1:{server.port}/1",
        error_level="debug",
    )
    for target in ["/a", "/b"]:
        response = nginx.get(target)
        assert response.header("X-Server") in (None, f"127.0.0.1:{server.port}/1")
        assert SECRET not in str(response.headers)
    server.kill()
    nginx.get("/c")
    nginx.reload()
    nginx.stop()
    assert "redis_cache: " in nginx.error_log()
    for log in [nginx.error_log(), "\n".join(nginx.access_log())]:
        assert SECRET not in log
