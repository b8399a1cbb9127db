"""The table of docs/reliability.md: what the visitors of test_failover.py saw, after the tests."""

import pytest
from support.table import Table

table = Table()
COLUMNS: dict[str, None] = {}


@pytest.fixture
def figures(record_property):
    """`figures(row, cells)`: a row of the table."""
    return lambda row, cells: record_property("figures", [row, cells])


def pytest_runtest_logreport(report):
    if report.when != "call":
        return
    for name, value in report.user_properties:
        if name == "figures":
            row, cells = value
            for column, text in cells.items():
                COLUMNS[column] = None
                table.put(row, column, text)


def pytest_terminal_summary(terminalreporter):
    if table.rows:
        for line in ["", *table.lines(list(COLUMNS), first=tuple(sorted(table.rows)))]:
            terminalreporter.write_line(line)
