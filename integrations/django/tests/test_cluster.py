"""A real Redis Cluster: pages, variants, purges and tags, whatever their slots."""

import pytest
from support.cluster import Cluster

from nginx_redis_cache import entry, purge, purge_tags

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


def test_what_was_purged_while_it_was_made(site, pages):
    assert site.get("/slow/")["X-Redis-Cache-Store"] == "raced"
    assert site.get("/slow-tagged/")["X-Redis-Cache-Store"] == "purged"
