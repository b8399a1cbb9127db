"""Fixtures with a Django site behind nginx."""

import pytest
from support.django_site import DjangoSite

# Of production, with a budget for a busy machine; what each location adds comes with it.
HTTP = "redis_cache_connect_timeout 2s; redis_cache_timeout 2s;"


@pytest.fixture
def start_django(tmp_path, redis):
    """Starts a Django site that stores in the `redis` fixture; see DjangoSite."""
    started = []

    def start(**arguments):
        url = arguments.pop("redis_url", redis.url)
        site = DjangoSite(tmp_path / f"django{len(started)}", url, **arguments)
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

    def start(site, location="", django=""):
        return start_nginx(
            http=HTTP,
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
                    {django}
                }}
            """,
        )

    return start
