"""The suites that prepare.py made ready, one box for each, and the table of what was seen.

These tests run in namespaces of their own (scripts/test-packages.sh), without a network: nginx
listens on port 80 there, Redis and the application where README's configuration has them.
"""

import json
import os

import pytest
from box import Box
from roots import ROOTS, Root
from support.table import Table, label

TOLD = ROOTS / "suites.json"
SUITES = json.loads(TOLD.read_text()) if TOLD.exists() else {}

table = Table()


def pytest_configure(config):
    if os.environ.get("PACKAGES_APART") != "1":
        raise pytest.UsageError("run scripts/test-packages.sh: it makes the roots and namespaces")
    if not SUITES:
        raise pytest.UsageError("prepare.py made no suite ready")


@pytest.fixture(scope="session", params=SUITES)
def box(request, tmp_path_factory):
    suite = request.param
    box = Box(Root(suite, ROOTS / f"{suite}-test"), tmp_path_factory.mktemp(suite))
    with box:
        yield box
    facts = {"nginx": box.nginx_version, "built against": box.abi, **SUITES[suite]}
    for name, value in facts.items():
        table.put(name, suite, value)


@pytest.fixture
def row(request, box):
    """`row("held")` says in the table how a step went, where there is more to say than passed."""
    return lambda text: table.put(label(request.node), box.root.suite, text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or not report.passed:
        row, suite = label(item), item.callspec.params["box"]
        said = table.get(row, suite) or report.outcome
        table.put(row, suite, "failed" if report.failed else said)
    return report


def pytest_terminal_summary(terminalreporter):
    facts = ("nginx", "built against", "rustc", "build")
    for line in ["", *table.lines(list(SUITES), first=facts)]:
        terminalreporter.write_line(line)
