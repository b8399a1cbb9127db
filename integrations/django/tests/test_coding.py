"""COMPRESS: a page is stored in a coding, and sent by Django as it is."""

import gzip

import pytest
from django.core.exceptions import ImproperlyConfigured
from test_form import facts, stored

from nginx_redis_cache.conf import get_settings
from nginx_redis_cache.nginx_conf import nginx_conf


@pytest.fixture(autouse=True)
def compress(settings):
    settings.NGINX_REDIS_CACHE = {"COMPRESS": "gzip", "EXPLAIN": True}


def page(site, redis, target):
    """A response, and what is stored of it."""
    response = site.get(target)
    assert response["X-Redis-Cache-Store"] == "stored"
    return response, *stored(redis, site.key(target))[1:]


def test_a_page_is_stored_coded(site, redis, kind):
    response, headers, body = page(site, redis, "/sized/?n=5000")
    assert len(body) < 1000
    assert gzip.decompress(body) == response.content
    named = dict(headers)
    assert named["Content-Encoding"] == "gzip"
    assert named["Vary"] == "Accept-Encoding"
    assert named["ETag"] == "W/" + response["ETag"]
    assert response["ETag"].startswith('"')
    assert str(facts(headers)["coded"].value) == "strong"
    assert "Content-Encoding" not in response
    assert "Vary" not in response


def test_the_same_page_has_the_same_bytes(site, redis):
    _, _, body = page(site, redis, "/sized/?n=5000")
    redis.flushall()
    assert page(site, redis, "/sized/?n=5000")[2] == body


def test_what_is_short_is_left_alone(site, redis):
    response, headers, body = page(site, redis, "/sized/?n=1023")
    assert body == response.content
    assert "coded" not in facts(headers)
    assert dict(headers)["ETag"] == response["ETag"]


@pytest.mark.parametrize("more", ["type=image/png", "control=no-transform", "noise"])
def test_so_is_what_is_not_text_or_does_not_shrink(site, redis, more):
    response, headers, body = page(site, redis, f"/sized/?n=5000&{more}")
    assert body == response.content
    assert "coded" not in facts(headers)


def test_the_body_counts_for_max_size(site, redis, settings):
    settings.NGINX_REDIS_CACHE = {"COMPRESS": "gzip", "EXPLAIN": True, "MAX_SIZE": 4000}
    assert site.get("/sized/?n=5000")["X-Redis-Cache-Store"] == "size"


def test_nginx_is_told(settings, redis):
    assert "redis_cache_compress gzip;" in nginx_conf()
    settings.NGINX_REDIS_CACHE = {}
    assert "redis_cache_compress" not in nginx_conf()


@pytest.mark.parametrize(
    "given", [{"COMPRESS": "zip"}, {"COMPRESS": ["gzip"]}, {"COMPRESS": "gzip", "FORM": "raw"}]
)
def test_other_values(settings, given):
    settings.NGINX_REDIS_CACHE = given
    with pytest.raises(ImproperlyConfigured, match="COMPRESS"):
        get_settings()
