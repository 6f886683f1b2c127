"""Tables as CSV (RFC 4180) that no spreadsheet takes for formulas."""

import csv
from collections.abc import Iterable, Iterator, Sequence

Row = Sequence[str | int]
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


class _Echo:
    """What a writer writes to, to have its line back."""

    def write(self, line: str) -> str:
        """Return what was written."""
        return line


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Give the lines of a table one by one. A text that a spreadsheet would compute begins with an apostrophe."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    for row in rows:
        yield str(writer.writerow([harmless(cell) for cell in row]))


def harmless(cell: str | int) -> str | int:
    """Return a cell that stays text, however it begins."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(STARTS_A_FORMULA):
        return f"'{cell}"
    return cell
