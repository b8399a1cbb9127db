"""The middleware that stores pages. It stands first in MIDDLEWARE, or right behind
GZipMiddleware, so that it sees the cookies that all others set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .conf import get_settings
from .render import Mark, begin, finish, of


class UpdateCacheMiddleware:
    """Stores the pages that `cache_page` marked; in the raw form all, as in 2014."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]):
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        self.site_mark = self._site_mark() if self.marks_all() else None
        if self.is_async:
            markcoroutinefunction(self)

    def marks_all(self) -> bool:
        return get_settings().stores_all_pages

    @staticmethod
    def _site_mark() -> Mark:
        if get_settings().form == "http":
            return Mark()
        # As in 2014 this prefix takes the place of that of the cache, also where it is empty.
        return Mark(key_prefix=settings.CACHE_MIDDLEWARE_KEY_PREFIX)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        if self.site_mark:
            begin(request, self.site_mark)
        response = cast(HttpResponseBase, self.get_response(request))
        finish(request, response)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        # Redis is asked on a thread: a slow one must not hold the event loop.
        if self.site_mark:
            await sync_to_async(begin)(request, self.site_mark)
        response = cast(HttpResponseBase, await self.get_response(request))
        if of(request) is None:
            finish(request, response)
        else:
            await sync_to_async(finish)(request, response)
        return response


class CacheMiddleware(UpdateCacheMiddleware):
    """Stores the pages of the whole site, for CACHE_MIDDLEWARE_SECONDS unless a response or
    `cache_page` says otherwise."""

    def marks_all(self) -> bool:
        return True
