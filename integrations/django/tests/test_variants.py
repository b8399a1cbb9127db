"""Pages that vary lie behind a marker, under a key for each variant."""

import pytest

from nginx_redis_cache import entry, purge
from nginx_redis_cache.conf import get_settings
from nginx_redis_cache.render import Mark, store_of
from nginx_redis_cache.store import Page

pytestmark = pytest.mark.usefixtures("explained")


def variant_of(redis, key, **headers):
    """The stored page for request headers, as nginx finds it."""
    marker = entry.decode(redis.get(key))
    assert isinstance(marker, entry.Marker)
    names = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    value = redis.get(entry.variant_key(key, marker, names.get))
    return value and value.partition(b"\r\n\r\n")[2]


def ask(site, target, language=None, **headers):
    if language is not None:
        headers["Accept-Language"] = language
    response = site.get(target, headers={n.replace("_", "-"): v for n, v in headers.items()})
    return response["X-Redis-Cache-Store"], response.content


TARGET = "/vary/?value=Accept-Language"


def test_a_variant_for_each_language(site, redis):
    key = site.key(TARGET)
    pages = {language: ask(site, TARGET, language) for language in ("de", "en", "", None)}
    assert {outcome for outcome, _ in pages.values()} == {"stored"}
    for language, (_, body) in pages.items():
        headers = {} if language is None else {"accept_language": language}
        assert variant_of(redis, key, **headers) == body
    assert len(redis.keys()) == 5


def test_headers_that_mean_the_same_are_one_variant(site, redis):
    ask(site, TARGET, "de-AT, de;q=0.9, fr;q=0")
    _, body = ask(site, TARGET, "DE-at,  de;q=0.5")
    assert variant_of(redis, site.key(TARGET), accept_language="de-at,de") == body
    assert len(redis.keys()) == 2


def test_the_marker_lives_as_long_as_the_pages_behind_it(site, redis):
    ask(site, TARGET, "de")
    key = site.key(TARGET)
    redis.pexpire(key, 1000)
    first = entry.decode(redis.get(key))
    ask(site, TARGET, "en")
    assert entry.decode(redis.get(key)) == first
    assert redis.pttl(key) > 59_000


def test_another_field_makes_a_new_marker_with_all_fields(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"VARY": ["Accept-Language", "X-Device"], "EXPLAIN": True}
    key = site.key("/vary/")
    url = "/vary/?value="

    def asked(vary, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return site.get(url + vary, key=key, headers=headers)

    asked("Accept-Language", Accept_Language="de")
    first = entry.decode(redis.get(key))
    assert first.vary == {"accept-language"}
    response = asked("X-Device", Accept_Language="de", X_Device="phone")
    second = entry.decode(redis.get(key))
    assert second.vary == {"accept-language", "x-device"}
    assert second.generation != first.generation
    found = variant_of(redis, key, accept_language="de", x_device="phone")
    assert found == response.content
    # A page that varies on less goes under the marker that is there.
    response = asked("", Accept_Language="fr", X_Device="tv")
    assert entry.decode(redis.get(key)) == second
    assert variant_of(redis, key, accept_language="fr", x_device="tv") == response.content


def test_a_marker_that_another_writer_made_is_used(site, redis):
    key = site.key(TARGET)
    head = b'HTTP/1.1 200 OK\r\nRedis-Cache: gen="g", v=1, vary=("Accept-Language"), x=1\r\n\r\n'
    redis.set(key, head)
    _, body = ask(site, TARGET, "de")
    assert redis.get(key) == head
    assert variant_of(redis, key, accept_language="de") == body


def test_a_purge_takes_all_variants(site, redis):
    ask(site, TARGET, "de")
    ask(site, TARGET, "en")
    assert purge("http://testserver" + TARGET) == 1
    assert isinstance(entry.decode(redis.get(site.key(TARGET))), entry.Tombstone)
    outcome, body = ask(site, TARGET, "de")
    assert outcome == "stored"
    assert variant_of(redis, site.key(TARGET), accept_language="de") == body
    assert variant_of(redis, site.key(TARGET), accept_language="en") is None


def test_a_variant_that_was_purged_while_it_was_made_is_out_of_reach(site, redis):
    ask(site, TARGET, "de")
    key = site.key(TARGET)
    store = store_of(Mark(), get_settings())
    late = Page(b"late", 60_000, frozenset({"accept-language"}))
    language = {"accept-language": "fr"}.get
    seen = store.observe(key)
    assert purge("http://testserver" + TARGET) == 1
    assert store.fill(key, seen, late, language) in ("stored", "raced")
    assert isinstance(entry.decode(redis.get(key)), entry.Tombstone)
    assert ask(site, TARGET, "de")[0] == "stored"
    assert variant_of(redis, key, accept_language="fr") is None


def test_the_first_variant_that_was_purged_while_it_was_made_is_not_stored(site, redis):
    key = site.key(TARGET)
    store = store_of(Mark(), get_settings())
    seen = store.observe(key)
    purge("http://testserver" + TARGET)
    late = Page(b"late", 60_000, frozenset({"accept-language"}))
    assert store.fill(key, seen, late, lambda name: None) == "raced"
    assert redis.keys() == [key]


def locale(settings):
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(3, "django.middleware.locale.LocaleMiddleware")
    settings.MIDDLEWARE = middleware


def test_djangos_languages(site, redis, settings):
    locale(settings)
    outcome, body = ask(site, "/language/", "de")
    assert outcome == "stored"
    assert body.startswith(b"de ")
    assert variant_of(redis, site.key("/language/"), accept_language="de") == body


def test_a_language_that_a_cookie_chose_is_not_that_of_the_variant(site, redis, settings):
    locale(settings)
    headers = {"Accept-Language": "en", "Cookie": "django_language=de"}
    response = site.get("/language/", headers=headers)
    assert response.content.startswith(b"de ")
    assert response["X-Redis-Cache-Store"] == "language"
    assert redis.keys() == []
