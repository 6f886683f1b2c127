"""Open the sealed version that is under test: its elements as the tests read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.fault_points import fault_point
from engine.records import read_golden, read_validation
from engine.runner import Limits, Outcome, Runner
from engine.schemas import Schema
from engine.thresholds import Thresholds
from handoff.plans import TestPlan


@contextmanager
def running(elements: dict[str, Path], format: str, limits: Limits) -> Iterator[Runner]:
    """Run a version in a process of its own, loaded; the process is gone afterwards."""
    with Runner(elements, format, limits) as runner:
        runner.load()
        fault_point("test.running")
        yield runner


def why_without_output(outcome: Outcome) -> str:
    """Return what kept a record from getting an output."""
    refused = "; ".join(violation.message for violation in outcome.violations)
    odd = "; ".join(violation.message for violation in outcome.output_violations)
    return f"refused: {refused}" if refused else f"its output breaks the output schema: {odd}"


def thresholds_of(plan: TestPlan) -> Thresholds:
    """Return the thresholds that were sealed with the version."""
    return Thresholds.parse(plan.thresholds)


def schema_of(plan: TestPlan, side: str) -> Schema:
    """Return the input or output schema."""
    return Schema.parse(plan.elements[f"{side}_schema"].read_bytes())


def golden_of(plan: TestPlan) -> list[dict[str, Any]]:
    """Return the golden records; without that element there are none."""
    return _read(plan, "golden", read_golden)


def validation_of(plan: TestPlan) -> list[dict[str, Any]]:
    """Return the validation records; without that element there are none."""
    return _read(plan, "validation", read_validation)


def _read(plan: TestPlan, name: str, reader: Any) -> list[dict[str, Any]]:
    path = plan.elements.get(name)
    if path is None:
        return []
    with path.open("rb") as stream:
        return list(reader(stream))
