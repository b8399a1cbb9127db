"""`cache_page`: marks a view whose pages UpdateCacheMiddleware may store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest

from .render import Mark, as_tags, begin

View = TypeVar("View", bound=Callable[..., Any])

Tags = str | Iterable[str] | Callable[..., str | Iterable[str]]


def cache_page(
    timeout: float | None,
    *,
    cache: str | None = None,
    key_prefix: str | None = None,
    tags: Tags = (),
) -> Callable[[View], View]:
    """Marks a view, sync or async, whose pages may be stored for `timeout` seconds.

    With None the response's Cache-Control says for how long, or CACHE_MIDDLEWARE_SECONDS.
    `cache` is another alias than CACHE_MIDDLEWARE_ALIAS; `key_prefix` what the key begins with
    instead of KEY_PREFIX of NGINX_REDIS_CACHE or, in the raw form, of the cache. `tags` are
    names to purge the page by, or a function of the view's arguments that returns them.

    The decorator itself stores nothing. Whether everybody may see a page is known only once all
    middleware has had its turn.
    """
    if callable(timeout):
        raise TypeError("cache_page has to be called: @cache_page(600)")
    fixed = () if callable(tags) else as_tags(tags)

    def mark_for(request: HttpRequest, *args: Any, **kwargs: Any) -> Mark:
        named = as_tags(tags(request, *args, **kwargs)) if callable(tags) else fixed
        return Mark(timeout, cache, key_prefix, named)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view) or _belongs_to_async_view(view):

            @wraps(view)
            async def async_marked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                mark = mark_for(request, *args, **kwargs)
                # Redis is asked on a thread: a slow one must not hold the event loop.
                await sync_to_async(begin)(_django_request(request), mark)
                return await view(request, *args, **kwargs)

            return cast(View, async_marked)

        @wraps(view)
        def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            begin(_django_request(request), mark_for(request, *args, **kwargs))
            return view(request, *args, **kwargs)

        return cast(View, marked)

    return decorate


def _belongs_to_async_view(view: Any) -> bool:
    """`dispatch` of a class-based view with async handlers is no coroutine function itself; it
    comes here within the partial of `method_decorator`."""
    owner = getattr(getattr(view, "func", view), "__self__", None)
    return bool(getattr(owner, "view_is_async", False))


def _django_request(request: HttpRequest) -> HttpRequest:
    """Django REST framework hands its methods a request around Django's."""
    return cast(HttpRequest, getattr(request, "_request", request))
