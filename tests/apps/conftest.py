"""Real applications, each installed once a session, and the recipes of nginx-conf/ in front of them."""

import pytest

from apps.dokuwiki import DokuWiki
from apps.edge import Edge
from apps.mediawiki import MediaWiki
from apps.wagtail import Wagtail
from apps.wordpress import WordPress

APPS = {
    "wordpress": WordPress,
    "mediawiki": MediaWiki,
    "wagtail": Wagtail,
    "dokuwiki": DokuWiki,
}


def pytest_generate_tests(metafunc):
    """A test has the application that its file is called after, or else each in turn."""
    if "edge" in metafunc.fixturenames:
        own = metafunc.module.__name__.removeprefix("test_")
        names = [own] if own in APPS else list(APPS)
        metafunc.parametrize("edge", names, indirect=True)


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """`running(name)`: an application and its recipe, started when they are asked for first."""
    started = {}

    def running(name):
        if name not in started:
            edge = Edge(name, APPS[name](tmp_path_factory.mktemp(name)))
            started[name] = edge
            edge.start(tmp_path_factory.mktemp(f"edge-{name}"))
        return started[name]

    yield running
    for edge in started.values():
        edge.stop()


@pytest.fixture
def edge(request, running):
    """See apps.edge.Edge; Redis is empty."""
    edge = running(request.param)
    edge.forget()
    return edge
