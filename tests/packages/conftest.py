"""The suites that prepare.py made ready, one box for each, and the table of what was seen.

These tests run in namespaces of their own (scripts/test-packages.sh), without a network: nginx
listens on port 80 there, Redis and the application where README's configuration has them.
"""

import json
import os

import pytest
from box import Box
from roots import ROOTS, Root

TOLD = ROOTS / "suites.json"
SUITES = json.loads(TOLD.read_text()) if TOLD.exists() else {}

# Rows of the table: what a test says of itself, and how it went in each suite.
rows: dict[str, dict[str, str]] = {}


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
    rows.setdefault("nginx", {})[suite] = box.nginx_version
    rows.setdefault("built against", {})[suite] = box.abi
    for name, value in SUITES[suite].items():
        rows.setdefault(name, {})[suite] = value


@pytest.fixture
def row(request, box):
    """`row("held")` says in the table how a step went, where there is more to say than passed."""
    return lambda text: rows.setdefault(label(request.node), {}).update({box.root.suite: text})


def label(item) -> str:
    return item.function.__doc__.split("\n")[0].rstrip(".")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or not report.passed:
        cells = rows.setdefault(label(item), {})
        suite = item.callspec.params["box"]
        cells[suite] = "failed" if report.failed else cells.get(suite, report.outcome)
    return report


def pytest_terminal_summary(terminalreporter):
    suites = list(SUITES)
    terminalreporter.write_line("\n| | " + " | ".join(suites) + " |")
    terminalreporter.write_line("|---" * (len(suites) + 1) + "|")
    facts = [name for name in ("nginx", "built against", "rustc", "build") if name in rows]
    for name in [*facts, *(name for name in rows if name not in facts)]:
        cells = " | ".join(rows[name].get(suite, "") for suite in suites)
        terminalreporter.write_line(f"| {name} | {cells} |")
