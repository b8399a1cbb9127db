"""Purging by URL, path, view and tag; within transactions; when models change."""

import threading

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from project.models import Article, Topic
from redis import RedisError

from nginx_redis_cache import (
    apurge,
    apurge_tags,
    apurge_view,
    entry,
    purge,
    purge_on_change,
    purge_tags,
    purge_view,
)
from nginx_redis_cache.invalidation import keys_of
from nginx_redis_cache.keys import KeyFault
from nginx_redis_cache.store import SHARDS

pytestmark = pytest.mark.usefixtures("explained")


def is_stored(redis, key):
    value = redis.get(key)
    return value is not None and not isinstance(entry.decode(value), entry.Tombstone)


def test_a_url(site, redis, kind):
    for target in ("/page/", "/page/?x=1"):
        site.get(target)
    assert purge("http://testserver/page/") == 1
    assert not is_stored(redis, site.key("/page/"))
    assert is_stored(redis, site.key("/page/?x=1"))
    assert purge("http://testserver/page/", "http://testserver:80/page/?x=1") == 1


def test_a_path_on_all_origins(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"ORIGINS": ["http://testserver/", "https://www.example.com"]}
    other = b"page:https://www.example.com/page/"
    redis.set(other, "x")
    site.get("/page/")
    assert keys_of("/page/") == [site.key("/page/"), other]
    assert purge("/page/") == 2
    assert not is_stored(redis, site.key("/page/"))


def test_origins_are_those_of_allowed_hosts(redis, settings):
    settings.ALLOWED_HOSTS = ["a.example", ".b.example", "*"]
    assert keys_of("/p") == [b"page:http://a.example/p", b"page:https://a.example/p"]
    settings.ALLOWED_HOSTS = ["*"]
    with pytest.raises(KeyFault, match="ORIGINS"):
        purge("/p")


def test_a_url_that_is_none(redis):
    with pytest.raises(KeyFault):
        purge("page/")
    assert redis.keys() == []


def test_a_view(site, redis):
    for target in ("/page/a/", "/page/b/", "/page/b/?x=1&y=%C3%A4"):
        site.get(target)
    assert purge_view("named", ["a"]) == 1
    assert purge_view("named", kwargs={"name": "b"}) == 1
    assert purge_view("named", ["b"], query={"x": 1, "y": "\u00e4"}) == 1
    assert not any(is_stored(redis, key) for key in redis.keys())


def test_the_prefix_of_a_decorator(site, redis):
    key = site.key("/other-prefix/", prefix="other:")
    site.get("/other-prefix/", key=key)
    assert purge("http://testserver/other-prefix/") == 0
    assert is_stored(redis, key)
    assert purge("http://testserver/other-prefix/", key_prefix="other:") == 1
    assert not is_stored(redis, key)


def test_tags(site, redis, kind):
    for name in ("a", "b"):
        site.get(f"/tagged/{name}/")
    site.get("/page/")
    assert purge_tags("tag-a") == 1
    assert not is_stored(redis, site.key("/tagged/a/"))
    assert is_stored(redis, site.key("/tagged/b/"))
    assert purge_tags("all", "unknown") == 1
    assert not is_stored(redis, site.key("/tagged/b/"))
    assert is_stored(redis, site.key("/page/"))


@pytest.mark.parametrize("tag", ["added", "key-1", "key-2", "tag one", "tag-two", "all"])
def test_tags_from_the_view_and_its_headers(site, redis, tag):
    site.get("/tagged-by-header/")
    assert purge_tags(tag) == 1
    assert not is_stored(redis, site.key("/tagged-by-header/"))


def test_a_page_can_be_stored_after_its_tag_was_purged(site, redis):
    site.get("/tagged/a/")
    purge_tags("tag-a")
    assert site.get("/tagged/a/")["X-Redis-Cache-Store"] == "stored"
    assert purge_tags("tag-a") == 1


def test_a_tag_that_is_purged_while_a_page_is_made(site, redis):
    assert site.get("/slow-tagged/")["X-Redis-Cache-Store"] == "purged"
    assert not is_stored(redis, site.key("/slow-tagged/"))


def test_tags_of_a_page_with_variants(site, redis):
    target = "/headers/?h=Vary:Accept-Language&h=Surrogate-Key:t"
    for language in ("de", "en"):
        response = site.get(target, headers={"Accept-Language": language})
        assert response["X-Redis-Cache-Store"] == "stored"
    assert purge_tags("t") == 1
    assert redis.get(site.key(target)) is None


def test_the_index_of_a_tag_is_trimmed_and_expires(site, redis):
    shards = [b"page:!tag:%d:tag-a" % number for number in range(SHARDS)]
    site.get("/tagged/a/")
    [shard] = [name for name in shards if redis.exists(name)]
    assert redis.zrange(shard, 0, -1) == [site.key("/tagged/a/")]
    assert 60_000 < redis.pttl(shard) <= 120_000
    redis.zadd(shard, {"long gone": 1})
    redis.unlink(site.key("/tagged/a/"))
    site.get("/tagged/a/")
    assert redis.zrange(shard, 0, -1) == [site.key("/tagged/a/")]
    # A page or variant with a shorter life does not shorten that of the index.
    redis.zadd(shard, {site.key("/tagged/a/"): 9e15})
    redis.pexpire(shard, 500_000)
    redis.unlink(site.key("/tagged/a/"))
    site.get("/tagged/a/")
    assert redis.pttl(shard) > 400_000
    assert redis.zscore(shard, site.key("/tagged/a/")) == 9e15


def test_many_pages_of_a_tag_go_in_batches(redis):
    names = {b"page:http://testserver/%d" % n: n for n in range(3000)}
    redis.mset(dict.fromkeys(names, "x"))
    redis.zadd("page:!tag:0:t", dict.fromkeys(names, 1000000000000000.0))
    redis.config_resetstat()
    assert purge_tags("t") == 3000
    assert not redis.exists(*names)
    stats = redis.info("commandstats")
    assert stats["cmdstat_zpopmin"]["calls"] <= 3000 / 500 + 2 * SHARDS
    assert "cmdstat_keys" not in stats
    assert "cmdstat_del" not in stats


def test_a_lost_counter_does_not_let_old_pages_through(site, redis):
    purge_tags("x", "y", "z")
    from nginx_redis_cache.conf import get_settings
    from nginx_redis_cache.render import Mark, store_of
    from nginx_redis_cache.store import Page

    store = store_of(Mark(), get_settings())
    key = site.key("/p")
    seen = store.observe(key)
    redis.unlink("page:!purges")
    purge_tags("t")
    assert store.fill(key, seen, Page(b"old", 5000, tags=("t",)), lambda name: None) == "purged"
    assert not redis.exists(key)


def test_async(site, redis):
    site.get("/page/a/")
    site.get("/tagged/a/")
    assert async_to_sync(apurge)("http://testserver/page/a/") == 1
    assert async_to_sync(apurge_view)("named", ["a"]) == 0
    assert async_to_sync(apurge_tags)("all") == 1


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_a_purge_waits_for_the_commit(self, site, redis):
        site.get("/page/")
        with transaction.atomic():
            assert purge("http://testserver/page/") is None
            assert is_stored(redis, site.key("/page/"))
        assert not is_stored(redis, site.key("/page/"))

    def test_a_rollback_purges_nothing(self, site, redis):
        site.get("/tagged/a/")
        with transaction.atomic():
            assert purge_tags("all") is None
            transaction.set_rollback(True)
        assert is_stored(redis, site.key("/tagged/a/"))

    def test_a_purge_that_fails_after_the_commit_is_logged(self, settings, redis, caplog):
        settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
        with transaction.atomic():
            Topic.objects.create(name="kept")
            purge("http://testserver/page/")
        assert Topic.objects.filter(name="kept").exists()
        assert "on_commit" in caplog.text


@pytest.fixture
def registered():
    """Signals as they were, whatever a test registers."""
    signals = [post_save, post_delete, m2m_changed]
    before = [list(signal.receivers) for signal in signals]
    purge_on_change(Article, tags=lambda a: [f"article-{a.pk}"], urls=lambda a: ["/page/"])
    yield
    for signal, receivers in zip(signals, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("registered")
class TestModels:
    @pytest.fixture
    def target(self, site):
        article = Article.objects.create(title="first")
        target = f"/articles/{article.pk}/"
        assert site.get(target)["X-Redis-Cache-Store"] == "stored"
        site.get("/page/")
        return target

    def test_save(self, site, redis, target):
        article = Article.objects.get()
        with transaction.atomic():
            article.title = "second"
            article.save()
            assert is_stored(redis, site.key(target))
        assert not is_stored(redis, site.key(target))
        assert not is_stored(redis, site.key("/page/"))
        assert b"second" in site.get(target).content

    def test_delete(self, site, redis, target):
        Article.objects.all().delete()
        assert not is_stored(redis, site.key(target))

    def test_relations(self, site, redis, target):
        Article.objects.get().topics.add(Topic.objects.create(name="t"))
        assert not is_stored(redis, site.key(target))

    def test_another_model(self, site, redis, target):
        Topic.objects.create(name="t")
        assert is_stored(redis, site.key(target))

    def test_redis_down_fails_no_save(self, settings, target, caplog):
        settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
        Article.objects.create(title="saved")
        assert Article.objects.filter(title="saved").exists()
        assert "were not purged" in caplog.text


def test_purge_on_change_wants_to_know_what():
    with pytest.raises(TypeError):
        purge_on_change(Article)


def test_a_purge_says_that_redis_is_down(settings):
    settings.NGINX_REDIS_CACHE = {"URL": "redis://127.0.0.1:1/0"}
    with pytest.raises(RedisError):
        purge("http://testserver/page/")
    with pytest.raises(RedisError):
        purge_tags("t")


def test_a_cache_that_is_not_in_redis(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with pytest.raises(ImproperlyConfigured):
        purge("http://testserver/page/")


def test_a_purge_that_is_cut_off_can_be_repeated(site, redis, redis_server, monkeypatch):
    from nginx_redis_cache.store import Store

    site.get("/tagged/a/")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "unlink", lambda self, keys: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(OSError, match="cut"):
            purge_tags("tag-a")
    assert is_stored(redis, site.key("/tagged/a/"))
    assert purge_tags("tag-a") == 1


def test_purges_of_many_threads(site, redis):
    for n in range(20):
        site.get(f"/tagged/{n}/")
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(purge_tags("all"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 20
