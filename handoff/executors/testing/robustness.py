"""Robustness: a record that breaks the schema is refused with a reason, and never answered in silence."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.runner import Limits
from engine.schemas import Field
from handoff.executors.testing.candidates import golden_of, running, schema_of, validation_of
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan

MOST_FIELDS = 200
NUMBERS = frozenset({"int", "long", "float", "double"})


@dataclass(frozen=True, slots=True)
class Probe:
    """One broken record: which field was broken, and how."""

    field: str
    how: str
    record: dict[str, Any]


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Send broken records, each expected to be refused; a sound record before and after shows that it still works."""
    sound = [row["input"] for row in (*golden_of(plan), *validation_of(plan))][:1]
    if not sound:
        return Finding(False, "There is no sound record to start from.", {"broken_records": 0})
    probes = list(probes_for(schema_of(plan, "input").fields[:MOST_FIELDS], sound[0]))
    with running(plan.elements, plan.format, limits) as runner:
        before = runner.score(sound)
        outcomes = runner.score([probe.record for probe in probes])
        after = runner.score(sound)
    answered = []
    for probe, outcome in zip(probes, outcomes, strict=True):
        refused = outcome.output is None and bool(outcome.violations)
        if not refused:
            answered.append(f"{probe.field} {probe.how}")
        rules = ", ".join(sorted({v.rule for v in outcome.violations})) or "it reached the model"
        log.line(f"{probe.field} {probe.how}: {rules if refused else 'NOT refused: ' + rules}")
    works = all(o.output is not None for o in (*before, *after))
    figures = {
        "broken_records": len(probes),
        "refused": len(probes) - len(answered),
        "kinds": sorted({probe.how for probe in probes}),
        "sound_record_works_afterwards": works,
    }
    what = counted(len(probes), "broken record")
    if answered or not works:
        why = f"not refused: {', '.join(answered[:5])}" if answered else "a sound record gets no output"
        return Finding(False, f"{len(answered)} of {what} not refused with a reason; {why}.", figures)
    return Finding(True, f"All {what} refused with field and rule; none was answered.", figures)


def probes_for(fields: tuple[Field, ...], sound: Mapping[str, Any]) -> Iterator[Probe]:
    """Yield broken copies of a sound record, built from the schema: every field, in every way it can be broken."""
    for field in fields:
        without = {name: value for name, value in sound.items() if name != field.name}
        yield Probe(field.name, "missing", without)
        for how, value in _broken_values(field, sound.get(field.name)):
            yield Probe(field.name, how, {**sound, field.name: value})
    yield Probe("a_field_that_nobody_knows", "extra", {**sound, "a_field_that_nobody_knows": 1})


def _broken_values(field: Field, sound: Any) -> Iterator[tuple[str, Any]]:
    if not field.nullable:
        yield "null", None
    if field.type == "array":
        yield "of the wrong type", "a text"
        if field.size is not None:
            yield "one value short", list(sound or [])[: field.size - 1]
            yield from ((how, [value] * field.size) for how, value in _broken_scalars(field))
        return
    yield from _broken_scalars(field)


def _broken_scalars(field: Field) -> Iterator[tuple[str, Any]]:
    numeric = field.kind in NUMBERS
    yield "of the wrong type", "a text" if numeric or field.kind == "boolean" else 12345
    if numeric:
        yield "true instead of a number", True
        yield "NaN", math.nan
        yield "infinite", math.inf
    whole = field.kind in ("int", "long")
    if field.minimum is not None:
        yield "below the minimum", _beyond(field.minimum, -1, whole)
    if field.maximum is not None:
        yield "above the maximum", _beyond(field.maximum, 1, whole)
    if field.allowed and not numeric and field.kind != "boolean":
        yield "not among the allowed", "§ not allowed §"
    elif field.pattern:
        yield "against the pattern", "§\n§"


def _beyond(limit: float, direction: int, whole: bool) -> float | int:
    far = limit + direction * max(1.0, abs(limit) * 0.01)
    return math.floor(far) if whole and direction < 0 else math.ceil(far) if whole else far
