"""The pages of the demo, and what its buttons ask for."""

from datetime import datetime

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from nginx_redis_cache import cache_page, purge, purge_tags

SECONDS = 60


@cache_page(SECONDS, tags=["pages"])
def page(request, name="Front page"):
    made_at = datetime.now().strftime("%H:%M:%S.%f")
    return render(request, "page.html", {"name": name, "made_at": made_at, "seconds": SECONDS})


def token(request):
    """A stored page is the same for everybody and holds no token, so the button asks for one."""
    return HttpResponse(get_token(request), content_type="text/plain")


@require_POST
def purge_page(request):
    target = request.POST.get("path", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        return HttpResponse("no path", status=400)
    removed = purge(request.build_absolute_uri(target))
    return HttpResponse(f"{removed} purged\n", content_type="text/plain")


@require_POST
def purge_all(request):
    return HttpResponse(f"{purge_tags('pages')} purged\n", content_type="text/plain")


urlpatterns = [
    path("", page),
    path("pages/<slug:name>/", page),
    path("token/", token),
    path("purge/", purge_page),
    path("purge-all/", purge_all),
]
