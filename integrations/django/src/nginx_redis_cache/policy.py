"""May this response be stored, for everybody? A reason in one word, or None: yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.utils.functional import LazyObject, empty

from .fields import cache_control, names, seconds
from .request import has_others

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from .conf import Settings


def refusal(request: HttpRequest, response: HttpResponseBase, settings: Settings) -> str | None:
    """Why a response is not stored. The order is that in which the reasons are reported."""
    return (
        _of_request(request)
        or _of_response(response, settings)
        or _of_vary(request, response, settings)
    )


def _of_request(request: HttpRequest) -> str | None:
    if request.method != "GET":
        return "method"
    if "HTTP_AUTHORIZATION" in request.META or request.META.get("REMOTE_USER"):
        return "authorization"
    if _is_forwarded(request):
        return "forwarded"
    if _is_authenticated(request):
        return "user"
    session = getattr(request, "session", None)
    if getattr(session, "accessed", False) or getattr(session, "modified", False):
        return "session"
    if _has_messages(request):
        return "messages"
    # Set by get_token(), and taken back by CsrfViewMiddleware once its cookie is set.
    if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
        return "csrf"
    # A nonce of Content-Security-Policy that was used in the page.
    if getattr(request, "_csp_nonce", None):
        return "nonce"
    return None


def _is_forwarded(request: HttpRequest) -> bool:
    """Whether Django takes the host from a header that is in no key, and it is another one: the
    links of the page would lead there."""
    if not django_settings.USE_X_FORWARDED_HOST:
        return False
    host = request.META.get("HTTP_HOST")
    return request.META.get("HTTP_X_FORWARDED_HOST", host) != host


def _is_authenticated(request: HttpRequest) -> bool:
    """Whether somebody is known to be logged in, without asking for the session."""
    for name in ("user", "_cached_user", "_acached_user"):
        user = request.__dict__.get(name)
        if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
            continue
        if getattr(user, "is_authenticated", False):
            return True
    return False


def _has_messages(request: HttpRequest) -> bool:
    """Whether django.contrib.messages showed one. One that is shown in the request that added it
    leaves no trace in a cookie or the session."""
    storage = getattr(request, "_messages", None)
    return bool(getattr(storage, "used", False) and len(storage))  # type: ignore[arg-type]


def _of_response(response: HttpResponseBase, settings: Settings) -> str | None:
    if response.streaming:
        return "streaming"
    if not getattr(response, "is_rendered", True):
        return "unrendered"
    if response.status_code != 200 and response.status_code not in (settings.statuses or {}):
        return "status"
    if response.cookies or response.has_header("Set-Cookie"):
        return "set_cookie"
    directives = cache_control(response.get("Cache-Control", ""))
    if {"private", "no-store", "no-cache"} & directives.keys():
        return "cache_control"
    if (response.get("Content-Encoding") or "identity").lower() != "identity":
        return "encoded"
    if response.has_header("Content-Range"):
        return "range"
    return None


def _of_vary(request: HttpRequest, response: HttpResponseBase, settings: Settings) -> str | None:
    # Not so without redis_cache_cookies in nginx, nor with cookies that Django reads and nginx does
    # not count: one that comes twice, or is too long.
    in_key = settings.cookies is not None and not has_others(request, settings.cookies)
    if "cookie" in names(response.get("Vary", "")) and not in_key:
        return "vary"
    varies = variation(response)
    # What is never allowed (Authorization, *) cannot be in VARY.
    if not varies <= set(settings.vary):
        return "vary"
    if varies and settings.form == "raw":
        return "vary"
    # LocaleMiddleware names Accept-Language alone, but obeys its cookie first.
    language = django_settings.LANGUAGE_COOKIE_NAME
    counted = in_key and language in (settings.cookies or ())
    if "accept-language" in varies and language in request.COOKIES and not counted:
        return "language"
    return None


def variation(response: HttpResponseBase) -> frozenset[str]:
    """The request headers on which a stored response varies. One stored form does for every
    Accept-Encoding; cookies are in the key, or the response is not stored."""
    return names(response.get("Vary", "")) - {"accept-encoding", "cookie"}


def stale_windows(response: HttpResponseBase) -> tuple[int, int]:
    """For how many seconds more the page may be sent, while it is made anew and when Django fails
    (RFC 5861)."""
    directives = cache_control(response.get("Cache-Control", ""))
    if {"must-revalidate", "proxy-revalidate"} & directives.keys():
        return 0, 0
    named = ("stale-while-revalidate", "stale-if-error")
    revalidate, error = (seconds(directives, name) or 0 for name in named)
    return revalidate, error


def lifetime(response: HttpResponseBase, timeout: float | None, settings: Settings) -> float:
    """For how many seconds a response is fresh; not above 0 is: not at all."""
    if response.status_code != 200:
        return (settings.statuses or {}).get(response.status_code, 0)
    directives = cache_control(response.get("Cache-Control", ""))
    said = seconds(directives, "max-age")
    if settings.form == "http":
        shared = seconds(directives, "s-maxage")
        said = said if shared is None else shared
    if said == 0:
        return 0
    # In 2014 the response had the last word, now cache_page has.
    wishes = (said, timeout) if settings.form == "raw" else (timeout, said)
    named = (wish for wish in wishes if wish is not None)
    return next(named, django_settings.CACHE_MIDDLEWARE_SECONDS)
