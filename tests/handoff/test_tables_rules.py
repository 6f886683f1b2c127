"""Tables line by line: every cell in quotes, and none that a spreadsheet would compute."""

import pytest

from handoff.rules.tables import harmless, lines


def test_a_table_is_given_line_by_line_with_every_cell_in_quotes() -> None:
    found = lines([("name", "number"), ('said "no"', 3), ("=1+1", -1)])
    assert next(found) == '"name","number"\r\n'
    assert list(found) == ['"said ""no""","3"\r\n', '"\'=1+1","-1"\r\n']
    assert list(lines([])) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "|", "%"])
def test_a_text_that_a_spreadsheet_would_compute_stays_text(start: str) -> None:
    """Behind spaces, too; a number is no text."""
    assert harmless(f"{start}1") == f"'{start}1"
    assert harmless(f"  {start}1") == f"'  {start}1"
    assert harmless(f"a{start}1") == f"a{start}1"
    assert (harmless(-1), harmless("")) == (-1, "")
