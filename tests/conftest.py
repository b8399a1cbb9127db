"""Fixtures of the end-to-end tests: a real nginx and Redis, a scripted application, a fake Redis.

Everything listens on loopback, lives in the test's temporary directory and is ended by its pid.
A test fails on any [alert] or [emerg] line and on any worker that exited on a signal.
"""

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.checks import APP  # noqa: E402
from support.django_site import DjangoSite  # noqa: E402
from support.fake_redis import FakeRedis  # noqa: E402
from support.nginx import Nginx  # noqa: E402
from support.origin import Origin  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

# The defaults are for production; a test machine may be busy.
BUDGET = "redis_cache_connect_timeout 2s; redis_cache_timeout 2s;"

ENGINES = ["event", "blocking"]


@pytest.fixture(params=ENGINES)
def io(request):
    """The engine: every test that asks for it, or for `serve`, runs once for each."""
    return request.param


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def origin():
    application = Origin()
    yield application
    application.stop()


@pytest.fixture
def fake_redis():
    server = FakeRedis()
    yield server
    server.stop()


@pytest.fixture
def start_nginx(tmp_path):
    """Starts an nginx: `start_nginx(http="...", servers="...")`; see support.nginx.Nginx."""
    started = []

    def start(**arguments):
        nginx = Nginx(tmp_path / f"nginx{len(started)}", **arguments)
        started.append(nginx)
        nginx.start()
        return nginx

    yield start
    for nginx in started:
        nginx.stop()
    for nginx in started:
        nginx.check_error_log()


@pytest.fixture
def serve(start_nginx, redis, origin, io):
    """Starts the usual nginx: `/` is answered from Redis, `@app` is the scripted application.

    `location` adds directives beside redis_cache_pass, `http` and `server` directives of those
    levels, `locations` whole locations; `target` is another URL than that of the `redis` fixture.
    """

    def start(location="", http="", server="", locations="", target=None, app="", **arguments):
        return start_nginx(
            http=f"redis_cache_io {io};\n{BUDGET}\n{http}",
            server=f"""
                {server}
                location / {{
                    redis_cache_pass {target or redis.url};
                    redis_cache_fallback @app;
                    {location}
                }}
                location @app {{
                    proxy_pass {origin.url};
                    proxy_set_header Host $http_host;
                    {app}
                }}
                {locations}
            """,
            **arguments,
        )

    return start


@pytest.fixture
def check(tmp_path, io):
    """`check(server, http)`: whether `nginx -t` passes, and what it says."""
    count = itertools.count()

    def check(server="", http="", app=APP):
        http = f"redis_cache_io {io}; {http}" if "redis_cache_io" not in server + http else http
        directory = tmp_path / f"check{next(count)}"
        return Nginx(directory, server=f"{server}\n{app}", http=http).test()

    return check


@pytest.fixture
def start_django(tmp_path, redis):
    """Starts a Django site that stores in the `redis` fixture; see support.django_site."""
    started = []

    def start(**arguments):
        site = DjangoSite(tmp_path / f"django{len(started)}", redis.url, **arguments)
        started.append(site)
        return site.start()

    yield start
    for site in started:
        site.stop()
    for site in started:
        assert "Traceback" not in site.log(), site.log()


@pytest.fixture
def behind_nginx(start_nginx, redis):
    """An nginx in front of a Django site; `location` adds to the location of the pages."""

    def start(site, location=""):
        return start_nginx(
            http=BUDGET,
            server=f"""
                location / {{
                    redis_cache_pass {redis.url};
                    redis_cache_fallback @django;
                    redis_cache_status_header on;
                    {location}
                }}
                location @django {{
                    proxy_pass {site.url};
                    proxy_set_header Host $http_host;
                    proxy_set_header Accept-Encoding "";
                }}
            """,
        )

    return start
