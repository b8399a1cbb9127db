"""Under ASGI no question to Redis holds the event loop."""

import asyncio

import pytest

from nginx_redis_cache.store import HttpStore

VIEWS = ["/page/", "/template/", "/class/", "/async/", "/async-template/", "/async-class/"]


@pytest.fixture
def on_loop(monkeypatch):
    """Whether each question to Redis was asked on a thread with an event loop."""
    asked = []

    def watched(method):
        def call(*arguments):
            try:
                asyncio.get_running_loop()
                asked.append(True)
            except RuntimeError:
                asked.append(False)
            return method(*arguments)

        return call

    for name in ("observe", "fill"):
        monkeypatch.setattr(HttpStore, name, watched(getattr(HttpStore, name)))
    return asked


@pytest.mark.parametrize("target", VIEWS)
def test_redis_is_asked_on_a_thread(site, redis, on_loop, explained, target):
    assert site.aget(target)["X-Redis-Cache-Store"] == "stored"
    assert on_loop == [False, False]


@pytest.mark.parametrize("target", ["/unmarked/", "/page/", "/async/"])
def test_of_the_whole_site_too(site, redis, on_loop, explained, settings, target):
    """And what lies under the key is asked for once, also where a view is marked too."""
    first, *rest = settings.MIDDLEWARE
    assert first.endswith(".UpdateCacheMiddleware")
    settings.MIDDLEWARE = ["nginx_redis_cache.middleware.CacheMiddleware", *rest]
    assert site.aget(target)["X-Redis-Cache-Store"] == "stored"
    assert on_loop == [False, False]


def test_other_methods_of_an_async_class(site, redis, explained):
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    for method, status in (("options", 200), ("delete", 405)):
        response = async_to_sync(getattr(AsyncClient(), method))("/async-class/")
        assert response.status_code == status


def test_unmarked_requests_ask_nothing(site, redis, on_loop):
    site.aget("/unmarked/")
    site.get("/unmarked/")
    assert on_loop == []
