"""Stores pages in Redis for nginx, in the form of the 2014 article: the body alone, under the
prefix and the MD5 of host and URI."""

import hashlib
import logging

import redis
from django.conf import settings

log = logging.getLogger(__name__)


class StorePages:
    """Stores what every visitor may see, under the key that nginx looked up."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.redis = redis.Redis.from_url(settings.PAGES_URL, socket_timeout=1)

    def __call__(self, request):
        response = self.get_response(request)
        # nginx hands the key over after a miss. Without it the page is not stored.
        key = request.headers.get("X-Redis-Cache-Key")
        if key and key == key_of(request) and is_for_everybody(request, response):
            try:
                self.redis.set(key, response.content, ex=settings.PAGES_SECONDS)
            except redis.RedisError as error:
                log.warning("the page was not stored: %s", error)
        return response


def key_of(request):
    """The key of the request as the client sent it. Django's own URL would not do: it is decoded
    and encoded anew, so that one page could be stored in the place of another."""
    uri = request.META["HTTP_HOST"] + request.META["RAW_URI"]
    return settings.PAGES_PREFIX + hashlib.md5(uri.encode("latin-1")).hexdigest()


def is_for_everybody(request, response):
    return (
        request.method == "GET"
        and response.status_code == 200
        and not response.streaming
        and not request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        and not response.cookies
        and not response.has_header("Cache-Control")
        and not response.has_header("Content-Encoding")
        and not response.has_header("Vary")
    )
