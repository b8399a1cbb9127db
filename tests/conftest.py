"""Fixtures of the end-to-end tests: a real nginx and Redis, a scripted application, a fake Redis.

Everything listens on loopback, lives in the test's temporary directory and is ended by its pid.
A test fails on any [alert] or [emerg] line and on any worker that exited on a signal.
"""

import itertools
import ssl
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.certificates import Certificates  # noqa: E402
from support.checks import APP  # noqa: E402
from support.django_site import DjangoSite  # noqa: E402
from support.fake_redis import FakeRedis, bulk  # noqa: E402
from support.listener import Listener, cut  # noqa: E402
from support.nginx import Nginx  # noqa: E402
from support.nutcracker import Nutcracker  # noqa: E402
from support.origin import Answer, Origin  # noqa: E402
from support.pages import FRESH  # noqa: E402
from support.raw_origin import RawOrigin  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402
from support.site import BUDGET, site  # noqa: E402
from support.stored import key_of, page  # noqa: E402

DOORS = ["pass", "in_place"]


def pytest_configure(config):
    config.addinivalue_line("markers", "engines(*names): those of redis_cache_io; else `event`")
    config.addinivalue_line("markers", "doors(*names): those of the fixture `door`; else both")


def pytest_generate_tests(metafunc):
    """Both engines obey one set of rules, so a module has both only where Redis or the client
    misbehaves; the doors differ in what nginx does around them."""
    for fixture, mark, usual in [("io", "engines", ["event"]), ("door", "doors", DOORS)]:
        if fixture in metafunc.fixturenames:
            marker = metafunc.definition.get_closest_marker(mark)
            metafunc.parametrize(fixture, marker.args if marker else usual, indirect=True)


@pytest.fixture
def io(request):
    """The engine; see the mark `engines`."""
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
def hosts(tmp_path):
    """The environment in which the system's resolver knows names: `hosts({name: addresses})`."""

    def hosts(names):
        file = tmp_path / "hosts"
        lines = [f"{address} {name}\n" for name, all in names.items() for address in all]
        file.write_text("".join(lines))
        return {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(file)}

    return hosts


@pytest.fixture
def cacheable(origin):
    """Every page of the application may be stored for a minute, and says which one it is."""
    origin.answer = lambda asked: Answer(b"app " + asked.target.encode(), headers=FRESH)


@pytest.fixture
def silent():
    """A port where connections are taken and nothing is ever said."""
    held = []
    listener = Listener(held.append)
    yield listener.port
    listener.close()
    cut(held)


@pytest.fixture
def raw_origin():
    application = RawOrigin()
    yield application
    application.stop()


@pytest.fixture
def fake_redis():
    server = FakeRedis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def start_tls_redis(tmp_path, certificates):
    """Starts a Redis with TLS; `pair` is its certificate."""
    started = []

    def start(*arguments, pair=None, **more):
        directory = tmp_path / f"tls{len(started)}"
        authority = certificates.authority.certificate
        pair = pair or certificates.good
        server = RedisServer(directory, *arguments, tls=pair, authority=authority, **more)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def tls_redis(start_tls_redis):
    return start_tls_redis()


@pytest.fixture
def fake_tls_redis(certificates):
    """Starts a fake Redis with TLS that has the page `stored` under every key; `setup` may change
    its context."""
    started = []

    def start(pair=None, setup=lambda context: None):
        pair = pair or certificates.good
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        setup(context)
        server = FakeRedis(context=context)
        server.on_get = lambda conn, key: conn.sendall(bulk(page("stored")))
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_nutcracker(tmp_path, redis):
    """Starts a twemproxy in front of the `redis` fixture; see support.nutcracker."""
    started = []

    def start(*options):
        proxy = Nutcracker(tmp_path / f"nutcracker{len(started)}", redis, *options)
        started.append(proxy)
        return proxy.start()

    yield start
    for proxy in started:
        proxy.stop()


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
def door(request):
    """Where a lookup takes place: redis_cache_pass with a fallback, or redis_cache; see the mark
    `doors`."""
    return request.param


@pytest.fixture
def store(start_nginx, redis, origin, io, door):
    """Starts an nginx that stores the application's answers, at either door; the application is
    at `/` and, behind the door `pass`, in `@app`.

    `location` adds directives of the cache, `app` such of the location that the application
    answers in; `url` is another application than that of the `origin` fixture.
    """

    def start(location="", app="", http="", server="", locations="", url=None, target=None, **more):
        proxy = f"proxy_pass {url or origin.url}; proxy_set_header Host $http_host; {app}"
        cache = f"redis_cache_store on; redis_cache_status_header on; {location}"
        target = target or redis.url
        if door == "pass":
            lookup = f"redis_cache_pass {target}; redis_cache_fallback @app; {cache}"
            places = f"location / {{ {lookup} }} location @app {{ {proxy} }}"
        else:
            places = f"location / {{ redis_cache {target}; {cache} {proxy} }}"
        return start_nginx(
            http=f"redis_cache_io {io};\n{BUDGET}\n{http}",
            server=f"{server}\n{places}\n{locations}",
            **more,
        )

    return start


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One nginx that stores, for the tables of a whole module; see support.site.Site."""
    with site(tmp_path_factory.mktemp("site")) as cache:
        yield cache


@pytest.fixture
def stored(redis):
    """`stored(nginx, target)`: what lies under a key, or None; `within` waits for it to come."""

    def stored(nginx, target="/p", within=0.0, key=None):
        key = key or key_of(nginx, target)
        with redis.client() as client:
            end = time.monotonic() + within
            while (value := client.get(key)) is None and time.monotonic() < end:
                time.sleep(0.005)
            return value

    return stored


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
    for django in started:
        django.stop()
    for django in started:
        assert "Traceback" not in django.log(), django.log()


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
