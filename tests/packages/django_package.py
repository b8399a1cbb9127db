"""The Django package in a root, beside a stand-in for python3-http-sfv, which no suite has."""

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

from box import HOST, Box
from roots import at_least
from support.debian import run

STAND_IN = "python3-http-sfv"

# Arguments: the host and the key that nginx hands over.
SITE = """
import sys

import django
from django.conf import settings

HOST, KEY = sys.argv[1:]
settings.configure(
    SECRET_KEY="of the test",
    ALLOWED_HOSTS=[HOST],
    ROOT_URLCONF="__main__",
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:6379/1",
        }
    },
    INSTALLED_APPS=["nginx_redis_cache"],
    MIDDLEWARE=["nginx_redis_cache.middleware.UpdateCacheMiddleware"],
)
django.setup()

from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from nginx_redis_cache import cache_page


@cache_page(600)
def news(request):
    return HttpResponse("news of Django")


urlpatterns = [path("news/", news)]
call_command("check")
response = Client().get(
    "/news/", HTTP_HOST=HOST, RAW_URI="/news/", headers={"X-Redis-Cache-Key": KEY}
)
assert response.content == b"news of Django", response
"""


def lacking(box: Box, deb: Path) -> list[str]:
    """The dependencies that the suite has not, or not new enough."""
    depends = re.findall(r"(\S+) \(>= (\S+)\)", run(["dpkg-deb", "-f", deb, "Depends"]))
    assert len(depends) == 3, depends
    return [
        name
        for name, wanted in depends
        if not any(at_least(version, wanted) for version in box.root.versions(name))
    ]


def stand_in(to: Path):
    """A package of the http-sfv that this machine's tests use."""
    found = distribution("http_sfv")
    work = to.with_suffix(".work")
    for file in found.files:
        if file.suffix != ".pyc" and ".." not in file.parts:
            path = work / "usr/lib/python3/dist-packages" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found.locate_file(file), path)
    (work / "DEBIAN").mkdir()
    (work / "DEBIAN/control").write_text(
        f"Package: {STAND_IN}\nVersion: {found.version}\nArchitecture: all\n"
        "Maintainer: the tests <root@localhost>\nDepends: python3, python3-typing-extensions\n"
        "Description: stand-in for the tests\n"
    )
    run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", work, to])
    shutil.rmtree(work)


def store_a_view(box: Box, deb: Path, key: str):
    """Installs the package and has a site of one view store its page under `key`."""
    name = f"{STAND_IN}.deb"
    stand_in(box.root.path / name)
    box.apt("install", f"/{name}", f"/{deb.name}")
    (box.root.path / "srv/pages.py").write_text(SITE)
    box.run("python3", "/srv/pages.py", HOST, key)
