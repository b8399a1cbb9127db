"""A table for docs/compatibility.md: what tests say of themselves, and how they went where."""


class Table:
    def __init__(self):
        self.rows: dict[str, dict[str, str]] = {}

    def put(self, row: str, column: str, text: str):
        self.rows.setdefault(row, {})[column] = text

    def get(self, row: str, column: str) -> str:
        return self.rows.get(row, {}).get(column, "")

    def lines(self, columns: list[str], first: tuple[str, ...] = ()) -> list[str]:
        """In Markdown; the rows in the order in which they came, but for the first ones."""
        names = [name for name in first if name in self.rows]
        names += [name for name in self.rows if name not in names]
        cells = [[name, *(self.get(name, column) for column in columns)] for name in names]
        head = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        return [*head, *(f"| {' | '.join(row)} |" for row in cells)]


def label(item) -> str:
    """The first line of a test's docstring."""
    return item.function.__doc__.split("\n")[0].rstrip(".")
