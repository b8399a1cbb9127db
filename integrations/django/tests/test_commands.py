"""`manage.py nginx_cache`."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import run
from django.core.cache import cache
from django.core.management import CommandError

from nginx_redis_cache import entry


def test_purge(site, redis):
    for target in ("/page/", "/tagged/a/", "/tagged/b/"):
        site.get(target)
    assert run("purge", "http://testserver/page/") == "1 purged\n"
    assert run("purge", "--tag", "tag-a", "--tag", "tag-b") == "2 purged\n"
    assert isinstance(entry.decode(redis.get(site.key("/page/"))), entry.Tombstone)


def test_purge_by_path(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"ORIGINS": ["http://testserver"]}
    site.get("/page/")
    assert run("purge", "/page/") == "1 purged\n"


def test_purge_of_a_prefix_of_its_own(site, redis):
    site.get("/other-prefix/", key=site.key("/other-prefix/", prefix="other:"))
    url = "http://testserver/other-prefix/"
    assert run("purge", url, "--key-prefix", "other:") == "1 purged\n"


def test_purge_all_leaves_other_keys_alone(site, redis):
    for n in range(1200):
        redis.set(f"page:http://testserver/{n}", "x")
    redis.set("session:1", "x")
    redis.set("pages:1", "x")
    site.get("/tagged/a/")
    redis.config_resetstat()
    assert run("purge", "--all") == "1201 purged\n"
    left = {key for key in redis.keys() if not key.startswith(b"page:!")}
    assert left == {b"session:1", b"pages:1"}
    assert "cmdstat_flushdb" not in redis.info("commandstats")


def test_purge_all_of_the_raw_form_leaves_what_else_the_cache_holds(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"FORM": "raw"}
    cache.set("mine", 5)
    for n in range(3):
        site.get(f"/page/{n}/", key=b"")
    assert "pages: 3\n" in run("stats")
    assert run("purge", "--all") == "3 purged\n"
    assert redis.keys() == [b":1:mine"]


def test_purge_all_of_hashed_keys(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"KEY_HASH": "md5"}
    page = b"page:" + b"0" * 32
    redis.mset({page: "x", page + b"|gen|" + b"1" * 64: "x", b"page:other": "x"})
    assert run("purge", "--all") == "2 purged\n"
    assert redis.keys() == [b"page:other"]


def test_purge_all_without_a_prefix_touches_nothing(redis, settings):
    settings.NGINX_REDIS_CACHE = {"KEY_PREFIX": ""}
    redis.set("session:1", "x")
    with pytest.raises(CommandError, match="KEY_PREFIX"):
        run("purge", "--all")
    assert redis.keys() == [b"session:1"]


def test_show(site, redis):
    site.get("/page/")
    shown = run("show", "http://testserver/page/", "http://testserver/none/").splitlines()
    assert shown[0] == "page:http://testserver/page/"
    assert shown[1].startswith("  page, ")
    assert shown[1].endswith(" ms left")
    assert "  HTTP/1.1 200 OK" in shown
    assert any(line.startswith("  Redis-Cache: v=1, stored=") for line in shown)
    assert shown[-2:] == ["page:http://testserver/none/", "  nothing"]


def test_show_of_a_page_that_varies(site, redis):
    target = "/vary/?value=Accept-Language"
    for language in ("de", "en"):
        site.get(target, headers={"Accept-Language": language})
    shown = run("show", f"http://testserver{target}")
    assert shown.count("  marker, ") == 1
    assert shown.count("  page, ") == 2
    run("purge", f"http://testserver{target}")
    assert "  tombstone, " in run("show", f"http://testserver{target}")


def test_stats(site, redis):
    site.get("/tagged/a/")
    site.get("/page/")
    site.get("/vary/?value=Accept-Language")
    run("purge", "http://testserver/page/", "--tag", "x")
    redis.set("session:1", "x")
    lines = dict(line.split(": ") for line in run("stats").splitlines())
    assert lines["pages"] == "2"
    assert lines["markers"] == "1"
    assert lines["tombstones"] == "1"
    assert int(lines["tag sets"]) == 2
    assert int(lines["bytes"]) > 500
    assert lines["purges by tag"] == "1"
    assert "or more" in run("stats", "--limit", "2")


@pytest.fixture
def front():
    """A front end that records what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Host"], self.headers["Cookie"]))
            self.send_response(404 if "none" in self.path else 200)
            self.send_header("Cache-Status", "nginx-redis-cache; fwd=uri-miss")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    server.asked = asked
    yield server
    server.shutdown()
    server.server_close()


def test_warm(front, settings):
    address = f"127.0.0.1:{front.server_port}"
    out = run("warm", f"http://{address}/p?x=\u00e4")
    assert out == f"200 http://{address}/p?x=\u00e4 nginx-redis-cache; fwd=uri-miss\n"
    settings.NGINX_REDIS_CACHE = {"ORIGINS": ["http://www.example.com"]}
    run("warm", "/page/", "--connect", address)
    assert front.asked == [("/p?x=%C3%A4", address, None), ("/page/", "www.example.com", None)]
    with pytest.raises(CommandError, match="1 of the pages"):
        run("warm", "/none/", "--connect", address)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["purge"], "needs URLs"),
        (["purge", "page/"], "no absolute"),
        (["purge", "--tag", "\u00e4"], "is no tag"),
        (["show"], "URL"),
        ([], "word"),
        (["other"], "other"),
    ],
)
def test_wrong_calls(redis, words, said):
    with pytest.raises(CommandError, match=said):
        run(*words)


def test_redis_down(settings):
    settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
    for word in (["purge", "http://a/"], ["show", "http://a/"], ["stats"]):
        with pytest.raises(CommandError, match="could not be asked"):
            run(*word)


def test_paths_without_a_host(redis, settings):
    settings.ALLOWED_HOSTS = ["*"]
    for word in ("purge", "show", "warm"):
        with pytest.raises(CommandError, match="ORIGINS"):
            run(word, "/page/")
