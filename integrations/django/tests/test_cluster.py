"""A real Redis Cluster: pages, variants, purges and tags, whatever their slots."""

import io
import time

import pytest
from django.core.management import CommandError, call_command
from support.cluster import Cluster

from nginx_redis_cache import entry, purge, purge_tags
from nginx_redis_cache.connection import TROUBLE

pytestmark = [pytest.mark.usefixtures("explained")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
def pages(cluster, settings):
    settings.NGINX_REDIS_CACHE = {"URL": cluster.url, "CLUSTER": True, "EXPLAIN": True}
    client = cluster.client()
    client.flushall(target_nodes="primaries")
    yield client
    client.close()


def is_page(value):
    return value is not None and entry.decode(value) is None


def test_pages_and_purges(site, pages):
    targets = [f"/page/{n}/" for n in range(20)]
    for target in targets:
        assert site.get(target)["X-Redis-Cache-Store"] == "stored"
    slots = {pages.keyslot(site.key(target)) // 5462 for target in targets}
    assert slots == {0, 1, 2}
    assert all(is_page(pages.get(site.key(target))) for target in targets)
    assert purge(*(f"http://testserver{target}" for target in targets)) == 20
    assert not any(is_page(pages.get(site.key(target))) for target in targets)
    # Over a tombstone the script writes.
    assert site.get(targets[0])["X-Redis-Cache-Store"] == "stored"


def test_variants(site, pages):
    target = "/vary/?value=Accept-Language"
    for language in ("de", "en"):
        response = site.get(target, headers={"Accept-Language": language})
        assert response["X-Redis-Cache-Store"] == "stored"
        marker = entry.decode(pages.get(site.key(target)))
        named = {"accept-language": language}
        variant = entry.variant_key(site.key(target), marker, named.get)
        assert pages.get(variant).endswith(response.content)


def test_tags(site, pages):
    for n in range(20):
        assert site.get(f"/tagged/{n}/")["X-Redis-Cache-Store"] == "stored"
    assert purge_tags("tag-3") == 1
    assert purge_tags("all") == 19
    assert not any(is_page(pages.get(site.key(f"/tagged/{n}/"))) for n in range(20))


def test_the_raw_form(site, pages, cluster, settings):
    settings.NGINX_REDIS_CACHE = {
        "URL": cluster.url, "CLUSTER": True, "EXPLAIN": True, "FORM": "raw"
    }  # fmt: skip
    targets = [f"/tagged/{n}/" for n in range(10)]
    for target in targets:
        assert site.get(target, key=b"")["X-Redis-Cache-Store"] == "stored"
    assert purge(f"http://testserver{targets[0]}") == 1
    assert purge_tags("all") == 9
    assert site.get("/slow/", key=b"")["X-Redis-Cache-Store"] == "raced"


def test_commands(site, pages):
    for n in range(5):
        site.get(f"/page/{n}/")
    out = io.StringIO()
    call_command("nginx_cache", "stats", stdout=out)
    assert "pages: 5\n" in out.getvalue()
    call_command("nginx_cache", "purge", "--all", stdout=out)
    assert out.getvalue().endswith("5 purged\n")


def test_a_cluster_that_is_not_there(site, settings):
    settings.NGINX_REDIS_CACHE = {
        "URL": "redis://127.0.0.1:1", "CLUSTER": True, "EXPLAIN": True, "TIMEOUT": 0.3
    }  # fmt: skip
    began = time.monotonic()
    response = site.get("/page/")
    assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")
    assert time.monotonic() - began < 2
    with pytest.raises(TROUBLE):
        purge("http://testserver/page/")
    with pytest.raises(CommandError, match="could not be asked"):
        call_command("nginx_cache", "stats")


def test_a_cluster_that_hangs(site, pages, cluster, settings):
    settings.NGINX_REDIS_CACHE = {
        "URL": cluster.url, "CLUSTER": True, "EXPLAIN": True, "TIMEOUT": 0.3
    }  # fmt: skip
    assert site.get("/page/")["X-Redis-Cache-Store"] == "stored"
    for node in cluster.nodes:
        node.pause()
    began = time.monotonic()
    try:
        response = site.get("/page/other/")
        assert (response.status_code, response["X-Redis-Cache-Store"]) == (200, "redis")
        assert time.monotonic() - began < 4
    finally:
        for node in cluster.nodes:
            node.resume()


def test_what_was_purged_while_it_was_made(site, pages):
    assert site.get("/slow/")["X-Redis-Cache-Store"] == "raced"
    assert site.get("/slow-tagged/")["X-Redis-Cache-Store"] == "purged"
