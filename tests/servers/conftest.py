"""Every test runs once with each of the servers. What was seen goes into a table."""

from functools import partialmethod

import pytest
from servers import CERTAIN, KINDS, Unavailable, program
from support.cluster import Cluster
from support.redis_server import RedisServer
from support.table import Table, label

PACKAGE = "package"
table = Table()
# Where a row's test stands: the order of the rows, whatever ran first.
places: dict[str, tuple] = {}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(autouse=True)
def started_are_of_the_kind(kind, monkeypatch, record_property):
    """Whatever the tests start, alone or in a cluster, is a server of the kind."""
    found = program(kind.suite, kind.package)
    if isinstance(found, Unavailable) and kind.suite != CERTAIN:
        pytest.skip(str(found))
    if isinstance(found, Exception):
        pytest.fail(str(found), pytrace=False)
    record_property("server", found.name if kind.hello else f"{found.name}, RESP2")
    record_property(PACKAGE, found.package)
    monkeypatch.setattr(RedisServer, "program", found.command)
    if kind.is_redis_6:
        monkeypatch.setattr(Cluster, "bus_offset", 10_000)
    if not kind.hello:
        command, client = RedisServer.command, RedisServer.client
        hidden = ["--rename-command", "HELLO", ""]
        monkeypatch.setattr(RedisServer, "command", lambda self: [*command(self), *hidden])
        monkeypatch.setattr(RedisServer, "client", partialmethod(client, protocol=2))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.user_properties.append(("row", label(item)))
    return report


def pytest_runtest_logreport(report):
    """Both engines share a cell, where a failure counts most and a skip least."""
    known = dict(report.user_properties)
    if "server" not in known or (report.when != "call" and report.passed):
        return
    server, row = known["server"], known["row"]
    outcomes = ["failed", "passed", "skipped", ""]
    table.put(PACKAGE, server, known[PACKAGE])
    table.put(row, server, min(report.outcome, table.get(row, server), key=outcomes.index))
    places[row] = report.location[:2]


def pytest_terminal_summary(terminalreporter):
    order = sorted(places, key=places.get)
    servers = sorted(table.rows.get(PACKAGE, {}), key=lambda name: ("RESP2" in name, name))
    for line in ["", *table.lines(servers, first=(PACKAGE, *order))]:
        terminalreporter.write_line(line)
