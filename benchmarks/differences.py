"""Measures the difference report: `python -m benchmarks.differences`.

500 packages that the version asks for, and 200 fields; a tenth of each differ. The figure is what a draft's page waits
for: the comparison, the plain data, and the digest under which an offer freezes it. The comparison alone, and what a
worker does before each gate (read the frozen one, compute it anew, compare), are told too.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from benchmarks.table import Row, printed
from handoff.rules.aspects import declared
from handoff.rules.differences import Difference, _range, report
from handoff.rules.reports import as_content, moved, read
from handoff.rules.scopes import digest
from handoff.rules.severities import version_of
from handoff.rules.sides import Cargo, Consumer, Owner, Side, Stream

PACKAGES, FIELDS, SINKS = 500, 200, 20
ROUNDS = 41
GOAL_MS = 50.0
HELD = declared({}, kind="production", tier="high", acknowledge="it_operations")


def sides() -> tuple[Cargo, Side, Side]:
    """Return a version, where it was made and where it shall run."""
    here = {f"library-{at}": f"{at % 7}.{at % 13}.{at % 17}" for at in range(PACKAGES)}
    there = {name: f"{version}.post1" if at % 10 == 0 else version for at, (name, version) in enumerate(here.items())}
    fields = {f"field_{at}": "double" for at in range(FIELDS)}
    live = {name: "float" if at % 10 == 0 else kind for at, (name, kind) in enumerate(fields.items())}
    sinks = {f"sink-{at}": Stream("sql") for at in range(SINKS)}
    consumers = {f"report {at}": Consumer(Owner("Iris", "name:i", 1), "doses") for at in range(SINKS)}
    asked = {name: f">=0.{at},<100" for at, name in enumerate(here)}
    cargo = Cargo("d" * 64, "a" * 64, "b" * 64, ">=3.11", asked, {"golden": "c" * 64}, fields)
    rules = {name: {"answer": "allow", "versions": ">=0"} for name in list(here)[::3]}
    lab = Side(
        "Lab",
        "creation",
        "Lab",
        Owner("Dana", "name:d", 2),
        "find",
        "3.11.7",
        here,
        "8 CPU",
        streams={"input": Stream("file", "csv")},
    )
    plant = Side(
        "Plant", "production", "IT", Owner("Otto", "name:o", 3), "run", "3.12.1", there, "4 CPU",
        {"default": "allow", "rules": rules},
        {"input": Stream("kafka", "avro", fields=live), **sinks}, consumers,
    )  # fmt: skip
    return cargo, lab, plant


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median of several rounds, each with nothing remembered of the versions that it reads."""
    taken = []
    for _ in range(ROUNDS):
        version_of.cache_clear(), _range.cache_clear()
        gc.collect()
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def rows() -> list[Row]:
    """Return the figures."""
    cargo, lab, plant = sides()

    def compared() -> tuple[Difference, ...]:
        return report(cargo, lab, plant, {}, HELD)

    items = compared()
    if len(items) < PACKAGES + FIELDS or len([item for item in items if not item.equal]) < (PACKAGES + FIELDS) // 10:
        raise RuntimeError("the report is not the one that should be measured")
    content = as_content(items)
    whole = milliseconds(lambda: digest(as_content(compared())))
    again = milliseconds(lambda: moved(read(content), compared()))
    name = f"difference report of {PACKAGES} packages and {FIELDS} fields"
    return [
        Row(name, f"{whole:.1f} ms", f"{GOAL_MS:.0f} ms", whole / GOAL_MS, f"under {GOAL_MS:.0f} ms", whole < GOAL_MS),
        Row("its comparison alone", f"{milliseconds(compared):.1f} ms", "", None),
        Row("recomputed and compared, before a gate", f"{again:.1f} ms", "", None),
    ]


if __name__ == "__main__":
    print(printed(rows(), f"The difference report, {len(report(*sides(), {}, HELD))} items"))
