"""Views of every kind. Each run of one of them takes the next number, so that the body shows
which run it came from."""

import itertools
import random

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.vary import vary_on_cookie, vary_on_headers

from nginx_redis_cache import add_tags
from nginx_redis_cache.decorators import cache_page
from nginx_redis_cache.invalidation import apurge, purge, purge_tags

from .models import Article

numbers = itertools.count(1)


def body(request):
    return f"{request.method} {request.get_full_path()} run {next(numbers)}"


@cache_page(60)
def page(request, name=""):
    return HttpResponse(body(request))


def unmarked(request):
    return HttpResponse(body(request))


@cache_page(60)
def template(request):
    return TemplateResponse(request, "plain.html", {"n": body(request)})


@cache_page(60)
async def async_page(request):
    return HttpResponse(body(request))


@cache_page(60)
async def async_template(request):
    return TemplateResponse(request, "plain.html", {"n": body(request)})


@method_decorator(cache_page(60), name="dispatch")
class ClassView(View):
    def get(self, request):
        return HttpResponse(body(request))

    post = get


@method_decorator(cache_page(60), name="dispatch")
class AsyncClassView(View):
    async def get(self, request):
        return HttpResponse(body(request))


@cache_page(60)
def streaming(request):
    return StreamingHttpResponse(iter([body(request)]))


@cache_page(60)
def cookie(request):
    response = HttpResponse(body(request))
    response.set_cookie("k", "v")
    return response


@cache_page(60)
def session(request):
    request.session["seen"] = True
    return HttpResponse(body(request))


@cache_page(60)
def session_read(request):
    return HttpResponse(f"{request.session.get('seen')} {body(request)}")


@cache_page(60)
def csrf(request):
    return TemplateResponse(request, "csrf.html", {"n": body(request)})


@cache_page(60)
def user(request):
    return TemplateResponse(request, "user.html", {"n": body(request)})


@cache_page(60)
def message(request):
    messages.info(request, "for you alone")
    return TemplateResponse(request, "messages.html", {"n": body(request)})


@cache_page(60)
def control(request):
    response = HttpResponse(body(request))
    response["Cache-Control"] = request.GET["value"]
    return response


@cache_page(None)
def by_header(request):
    response = HttpResponse(body(request))
    if "value" in request.GET:
        response["Cache-Control"] = request.GET["value"]
    return response


@never_cache
@cache_page(60)
def never(request):
    return HttpResponse(body(request))


@cache_page(60)
def status(request, code):
    return HttpResponse(body(request), status=code)


@cache_page(60)
def missing(request):
    raise Http404("nothing here")


@cache_page(60)
def redirect(request):
    return HttpResponseRedirect("/page/")


@cache_page(60)
def vary(request):
    response = HttpResponse(body(request))
    response["Vary"] = request.GET["value"]
    return response


@cache_page(60)
@vary_on_cookie
def vary_cookie(request):
    return HttpResponse(body(request))


@cache_page(60)
@vary_on_headers("X-Device")
def device(request):
    return HttpResponse(f"{request.headers.get('X-Device')} {body(request)}")


@cache_page(60)
def language(request):
    return HttpResponse(f"{get_language()} {body(request)}")


@cache_page(60)
def headers(request):
    response = HttpResponse(body(request), content_type="text/plain; charset=utf-8")
    for pair in request.GET.getlist("h"):
        name, _, value = pair.partition(":")
        response[name] = value
    return response


@cache_page(60)
def sized(request):
    """So many bytes of text, or of what is no text."""
    length = int(request.GET["n"])
    text = ("<li>an entry of a list</li>\n" * length)[:length].encode()
    data = random.Random(1).randbytes(length) if "noise" in request.GET else text
    response = HttpResponse(data, content_type=request.GET.get("type", "text/html"))
    if "control" in request.GET:
        response["Cache-Control"] = request.GET["control"]
    return response


@cache_page(60, tags=lambda request, name: ["all", f"tag-{name}"])
def tagged(request, name):
    return HttpResponse(body(request))


@cache_page(60, tags="all")
def tagged_by_header(request):
    add_tags(request, "added")
    response = HttpResponse(body(request))
    response["Surrogate-Key"] = "key-1 key-2"
    response["Cache-Tag"] = "tag one,tag-two"
    return response


@cache_page(60, tags=lambda request, pk: [f"article-{pk}"])
def article(request, pk):
    return HttpResponse(f"{Article.objects.get(pk=pk)} {body(request)}")


@cache_page(60, cache="other")
def other_cache(request):
    return HttpResponse(body(request))


@cache_page(60, key_prefix="other:")
def other_prefix(request):
    return HttpResponse(body(request))


@cache_page(60)
def slow(request):
    """Purges itself before it answers: what it made is old by then."""
    purge(request.build_absolute_uri())
    return HttpResponse(body(request))


@cache_page(60, tags="slow")
def slow_tagged(request):
    purge_tags("slow")
    return HttpResponse(body(request))


@cache_page(60)
async def slow_async(request):
    await apurge(request.build_absolute_uri())
    return HttpResponse(body(request))


def purge_page(request):
    """What a site's own purge button would do; `url` is a path or a URL."""
    if request.method != "POST":
        return HttpResponse(status=405)
    removed = purge(*request.GET.getlist("url")) if "url" in request.GET else 0
    removed += purge_tags(*request.GET.getlist("tag")) if "tag" in request.GET else 0
    return HttpResponse(str(removed))
