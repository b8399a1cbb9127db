"""Wheel and source distribution are built, have what they should and no more, and work where
nothing else is installed."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent
SOURCE = PACKAGE / "src/nginx_redis_cache"

# A project that has never seen this repository.
PROJECT = """
import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["www.example.com"],
    INSTALLED_APPS=["nginx_redis_cache"],
    MIDDLEWARE=["nginx_redis_cache.middleware.UpdateCacheMiddleware"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": "redis://127.0.0.1:6379/1"}},
)
django.setup()
from nginx_redis_cache import cache_page, purge, purge_tags
from nginx_redis_cache.decorators import cache_page as article
from nginx_redis_cache.middleware import CacheMiddleware

assert cache_page is article
call_command("check", fail_level="INFO")
call_command("nginx_cache", "config")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The directory with both distributions; the wheel is built from the source distribution."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", directory, PACKAGE]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return directory


def sources():
    files = (path for path in SOURCE.rglob("*") if path.is_file())
    return {str(p.relative_to(PACKAGE / "src")) for p in files if "__pycache__" not in p.parts}


def test_the_wheel_has_the_package_and_no_more(built):
    [wheel] = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == sources()
    assert {"nginx_redis_cache/py.typed", "nginx_redis_cache/nginx.conf.template"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in info)


def test_the_source_distribution_has_what_builds_it(built):
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {f"src/{name}" for name in sources()}
    wanted |= {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO"}
    assert wanted <= names
    assert names - wanted <= {".gitignore"}


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_it_works_where_nothing_else_is(built, tmp_path, kind):
    [distribution] = built.glob(kind)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    install = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*install, distribution], check=True)
    run = [python, "-I", "-W", "error", "-c", PROJECT]
    result = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "System check identified no issues" in result.stdout
    assert "redis_cache_pass     redis://127.0.0.1:6379/1;" in result.stdout
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True)
    assert "django-redis" not in listed.stdout.lower()
