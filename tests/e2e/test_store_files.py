"""Both directives on the level of the server: what docs/operations.md says of files on disk, and the
way around it that it shows."""

import re

import pytest
from support.nginx import ROOT
from support.pages import answers
from support.site import BUDGET


@pytest.fixture
def files(tmp_path):
    (tmp_path / "root/list").mkdir(parents=True)
    (tmp_path / "root/style.css").write_text("body {}")
    return tmp_path / "root"


@pytest.fixture
def everywhere(start_nginx, redis, io, files):
    """Starts an nginx with both directives on the level of the server."""

    def start(locations, cache=""):
        cache = f"redis_cache {redis.url}; redis_cache_store on; redis_cache_status_header on; {cache}"
        http = f"redis_cache_io {io}; {BUDGET}"
        return start_nginx(http=http, server=f"root {files}; {cache} {locations}")

    return start


OWN = "location = /style.css { } location /list/ { autoindex on; } location = /status { stub_status; }"
TARGETS = ["/style.css", "/list/", "/status"]


def test_what_nginx_makes_itself_is_kept_for_redis_cache_valid(everywhere, stored):
    nginx = everywhere(OWN, cache="redis_cache_valid 10m;")
    for target in TARGETS:
        assert nginx.get(target).status == 200
        assert stored(nginx, target, within=5), target
        assert nginx.get(target).cache[0] == "hit"


def test_without_redis_cache_valid_it_is_only_asked_for(everywhere):
    nginx = everywhere(OWN.replace("style.css {", "style.css { expires 30d;"))
    for count, target in enumerate(TARGETS, 1):
        assert nginx.get(target).cache[0] == "fwd=uri-miss"
        assert nginx.logged(count)[-1].endswith("w=no_lifetime")


def documented():
    """The block under "Files on disk"."""
    text = (ROOT / "docs/operations.md").read_text()
    return re.search(r"^## Files on disk\n.*?```nginx\n(.*?)```", text, re.M | re.S)[1]


def test_the_documented_way_keeps_files_out(start_nginx, check, redis, origin, io, files, stored):
    passed, said = check(documented(), app="")
    assert passed and "[warn]" not in said, said
    server = documented().replace("redis://127.0.0.1:6379/1", redis.url)
    server = server.replace("http://127.0.0.1:8000", origin.url).replace("/var/www", str(files))
    http = f"redis_cache_io {io}; redis_cache_status_header on; {BUDGET}"
    nginx = start_nginx(http=http, server=server)
    assert nginx.get("/style.css").body == b"body {}"
    assert nginx.get("/style.css").header("Cache-Status") is None
    answers(origin, {})
    first = nginx.get("/page?a=1")
    assert stored(nginx, "/page?a=1", within=5)
    assert nginx.get("/page?a=1").body == first.body
    assert len(origin.requests) == 1 and stored(nginx, "/style.css") is None
