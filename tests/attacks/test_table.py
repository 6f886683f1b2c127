"""The table of attacks: it names every attack of the lists, and for each door tests that are there, or a reason."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.attacks.table import ATTACKS, DOORS, TESTS, named_in
from tests.attacks.test_requests import REQUESTS

CODES = set(re.findall(r"^\| `(\w+)`", (TESTS.parent / "docs/errors.md").read_text(), re.MULTILINE))
WORDS = {"attack", "code", "then", "elsewhere", "database", *DOORS}
# The last number, and those that were not given or stand in one row with another: approvals, rights, files, workers,
# trail, web; then roles, policies, checklists, signatures, emergencies, evidence, bad input.
IDS = {
    "AP": (34, {4, 8, 12, 16, 20, 24, 28, 32}),
    "AZ": (21, {2, 6, 10, 14, 18}),
    "RG": (19, {4, 8, 12, 16}),
    "WK": (22, {*range(2, 13), 15, 19}),
    "AU": (14, {2, 3, 4, 7, 11}),
    "WB": (11, {4, 8}),
    "RO": (8, set()),
    "PO": (13, set()),
    "CH": (12, set()),
    "SI": (8, set()),
    "EM": (14, set()),
    "EV": (4, set()),
    "IN": (13, set()),
}
OF_REQUESTS = "attacks/test_requests.py::test_every_attack_is_refused_and_changes_nothing"


@cache
def collected(file: str) -> frozenset[str]:
    """Return the tests that pytest collects from a file of the suite."""
    assert re.fullmatch(r"test_\w+\.py", Path(file).name), file
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


def test_every_attack_of_the_lists_has_a_row() -> None:
    wanted = {f"{part}-{n:02}" for part, (last, none) in IDS.items() for n in range(1, last + 1) if n not in none}
    assert ATTACKS.keys() == wanted


def odd(row: dict[str, Any]) -> Iterator[str]:
    """Tell what is odd about a row."""
    if not row.keys() <= WORDS or not row["attack"].endswith("."):
        yield "it is no row"
    if not row.keys() & {"code", "then"} or row.get("code") not in {None, *CODES}:
        yield f"what is expected: {row.get('code')}"
    if not named_in(row):
        yield "nothing tries it"
    yield from (f"nothing is said of the {door}" for door in DOORS if not row.get(door, row.get("elsewhere")))
    for name in named_in(row):
        file, _, test = name.partition("::")
        if test not in collected(file):
            yield f"{name} is not there"


def unsent(key: str, row: dict[str, Any]) -> set[str]:
    """Return the doors at which a row counts on a request that nobody sends."""
    sent = {"api" if door.startswith("api:") else "browser" for one in REQUESTS if one.id == key for door in one.doors}
    return {door for door in DOORS if OF_REQUESTS in row.get(door, ())} - sent


def test_every_door_has_tests_that_are_there_or_a_reason() -> None:
    assert [(key, words) for key, row in ATTACKS.items() for words in odd(row)] == []


def test_every_request_that_a_row_counts_on_is_sent() -> None:
    assert {key: doors for key, row in ATTACKS.items() if (doors := unsent(key, row))} == {}
    assert {one.id for one in REQUESTS} <= ATTACKS.keys()


def test_the_command_that_runs_them_reads_the_table_without_the_site() -> None:
    """`make attacks` is a process of its own, in which no settings are there before pytest reads them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    asked = [sys.executable, "-c", "from tests.attacks.__main__ import figures; print(figures(1))"]
    done = subprocess.run(asked, cwd=TESTS.parent, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{len(ATTACKS)} attacks, at")
