"""Measures the check of whole tables beside its peers: `python -m benchmarks.schemas`.

1,000,000 rows of 30 columns in memory, once all within the schema and once with one row in a hundred broken. Beside
polars that only counts the bad values of each column (no rules told apart, no rows), pandera on polars, and
jsonschema-rs, which gets 50,000 of the rows as records. They take turns on the same rows, in an environment of their
own; the figures are medians. Our check tells the rows, the rules and the first violations in full.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.environments import environment
from benchmarks.table import Row, printed
from engine.schemas import Schema
from engine.tables import TableCheck, compile_table

ROWS = 1_000_000
ROUNDS = 9
SLOW_ROUNDS = 3
RECORDS = 50_000  # of the rows, for jsonschema-rs
PACKAGES = ["pyarrow==26.0.1", "polars==2.1.0", "pandera[polars]==0.35.0", "jsonschema-rs==0.60.3"]
SCRIPT = Path(__file__).parent / "validators" / "peers.py"
GOALS = {"polars": 1.0, "pandera": 2.0, "jsonschema-rs": 20.0}
TITLES = {"polars": "polars, only counting", "pandera": "pandera on polars", "jsonschema-rs": "jsonschema-rs"}


def schema() -> dict[str, Any]:
    """Return 30 fields: 20 doubles (4 may be null), 4 longs, an int of few values, a boolean, 2 enums, 2 patterns."""
    limits = {"minimum": 0, "maximum": 100}
    fields: list[dict[str, Any]] = [{"name": f"d{at}", "type": "double", **limits} for at in range(16)]
    fields += [{"name": f"n{at}", "type": ["null", "double"], **limits} for at in range(4)]
    fields += [{"name": f"l{at}", "type": "long", "minimum": 0, "maximum": 10**6} for at in range(4)]
    fields += [{"name": "grade", "type": "int", "allowed": [1, 2, 3, 4]}, {"name": "active", "type": "boolean"}]
    symbols = {"type": "enum", "symbols": ["north", "east", "south", "west"]}
    fields += [{"name": f"e{at}", "type": {**symbols, "name": f"e{at}_symbols"}} for at in range(2)]
    fields += [{"name": "code", "type": "string", "pattern": "[A-Z]{2}-[0-9]{6}"}]
    fields += [{"name": "invoice", "type": "string", "pattern": "[A-Z]{2}-[0-9]{4,7}"}]
    return {"type": "record", "name": "bench", "fields": fields}


def table(broken: int) -> pa.Table:
    """Return rows within the schema, `broken` of them with one value outside, each in another column."""
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {f"d{at}": rng.uniform(0, 100, ROWS) for at in range(16)}
    columns |= {f"n{at}": rng.uniform(0, 100, ROWS) for at in range(4)}
    columns |= {f"l{at}": rng.integers(0, 10**6, ROWS) for at in range(4)}
    columns |= {"grade": rng.integers(1, 5, ROWS).astype("i4"), "active": rng.integers(0, 2, ROWS).astype("?")}
    columns |= {f"e{at}": rng.choice(np.array(["north", "east", "south", "west"]), ROWS) for at in range(2)}
    for name, low, high in (("code", 10**5, 10**6), ("invoice", 10**3, 10**7)):
        columns[name] = np.char.add("AB-", rng.integers(low, high, ROWS).astype("U7"))
    for at, row in enumerate(rng.choice(ROWS, broken, replace=False)):
        column = columns[list(columns)[at % len(columns)]]
        if column.dtype.kind != "b":
            column[row] = {"f": 101.0, "i": -1, "U": "up"}[column.dtype.kind]
    null = {f"n{at}": rng.random(ROWS) < 0.05 for at in range(4)}
    return pa.table({name: pa.array(column, mask=null.get(name)) for name, column in columns.items()})


class Peers:
    """The process in which the peers wait for orders."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it is ready."""
        self._process = process
        self.versions = self._answer()

    def load(self, path: Path) -> None:
        """Let them read a table."""
        self._say(f"load {path}")
        self._answer()

    def check(self, peer: str) -> tuple[float, int]:
        """Return a peer's seconds, and what it refused."""
        self._say(peer)
        answer = self._answer()
        return answer["seconds"], answer["refused"]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def peers(folder: Path) -> Iterator[Peers]:
    """Start the peers in their own environment."""
    path = folder / "schema.json"
    path.write_text(json.dumps(schema()))
    command = [environment("schemas", PACKAGES), SCRIPT, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peers(process)
        finally:
            process.terminate()


def seconds(check: TableCheck, rows: pa.Table) -> tuple[float, int]:
    """Return our seconds, and how many values we refuse."""
    begun = time.perf_counter()
    verdict = check.check(rows)
    return time.perf_counter() - begun, sum(verdict.counts.values())


def measured(name: str, rows: pa.Table, peers: Peers, folder: Path) -> Iterator[Row]:
    """Yield the figures of one table."""
    path = folder / f"{name}.arrow"
    with pa.ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows)
    peers.load(path)
    check = compile_table(Schema.parse(schema()))
    ours: list[float] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in GOALS}
    for number in range(ROUNDS + 1):
        took, refused = seconds(check, rows)
        ours.append(took)
        for peer in GOALS if number <= SLOW_ROUNDS else ["polars"]:
            took, other = peers.check(peer)
            theirs[peer].append(took * (ROWS / RECORDS if peer == "jsonschema-rs" else 1))
            assert peer == "jsonschema-rs" or other == refused, f"{peer} refuses {other} values, we {refused}"
    mine = statistics.median(ours[1:])
    for peer, goal in GOALS.items():
        other_time = statistics.median(theirs[peer][1:])
        ratio = other_time / mine
        beside = f"{TITLES[peer]} {ROWS / other_time / 1e6:,.2f} million rows/s"
        value = f"{ROWS / mine / 1e6:,.1f} million rows/s"
        yield Row(f"check, {name}", value, beside, ratio, f">= {goal:g}", ratio >= goal)


def rows() -> list[Row]:
    """Run the whole benchmark."""
    with tempfile.TemporaryDirectory() as name, peers(Path(name)) as asked:
        tables = {"all good": table(0), "1 % broken": table(ROWS // 100)}
        return [row for title, one in tables.items() for row in measured(title, one, asked, Path(name))]


if __name__ == "__main__":
    print(printed(rows(), f"Tables of {ROWS:,} rows by 30 columns against a schema"))
