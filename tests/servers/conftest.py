"""The fixture `redis` is each of the servers in turn. What was seen goes into a table."""

import pytest
from servers import CERTAIN, KINDS, Unavailable, WithoutHello, program
from support.redis_server import RedisServer
from support.table import Table, label

PACKAGE = "package"
table = Table()
# Where a row's test stands: the order of the rows, whatever ran first.
places: dict[str, tuple] = {}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def start_server(kind, tmp_path, record_property):
    """Starts one more server of the kind: `start_server("--maxmemory", "1mb")`."""
    found = program(kind.suite, kind.package)
    if isinstance(found, Unavailable) and kind.suite != CERTAIN:
        pytest.skip(str(found))
    if isinstance(found, Exception):
        pytest.fail(str(found), pytrace=False)
    record_property("server", found.name if kind.hello else f"{found.name}, RESP2")
    record_property(PACKAGE, found.package)
    started = []

    def start(*arguments, **options):
        server = (RedisServer if kind.hello else WithoutHello)(
            tmp_path / f"server{len(started)}", *arguments, program=found.command, **options
        )
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def redis(start_server):
    return start_server()


@pytest.fixture
def door():
    """One of them: tests/e2e/ has all rules at both."""
    return "in_place"


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
