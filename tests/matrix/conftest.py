"""The nginx of each suite, unpacked and with its module built once a run."""

import functools

import pytest
from suites import VERSIONS, Suite
from support.debian import Failed, Unavailable


@functools.cache
def prepare(name):
    try:
        return Suite(name)
    except (Unavailable, Failed) as reason:
        return reason


@pytest.fixture(scope="session")
def suite_of():
    """`suite_of("trixie")`. A suite that cannot be had is skipped, but never bookworm."""

    def suite_of(name):
        suite = prepare(name)
        if isinstance(suite, Unavailable) and name != "bookworm":
            pytest.skip(str(suite))
        if isinstance(suite, Exception):
            pytest.fail(str(suite), pytrace=False)
        return suite

    return suite_of


@pytest.fixture(params=VERSIONS)
def suite(request, suite_of):
    return suite_of(request.param)


@pytest.fixture
def start(serve, suite):
    """As `serve`, with the nginx of the suite."""
    return lambda *args, **kwargs: serve(*args, nginx=suite.nginx, module=suite.module, **kwargs)
