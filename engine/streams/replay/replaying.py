"""Contract replay: the same records through two sources are the same values, types, nulls and predictions, or not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from engine.formats import Model
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream
from engine.streams.replay.alignment import Alignment, align
from engine.streams.replay.differences import FieldReport, Tolerance, compare_field
from engine.streams.replay.reading import MOST_RECORDS, read_side
from engine.streams.replay.reports import Predictions, Report, SideReport
from engine.streams.replay.sides import MOST_TOLD, Gathering, Side
from engine.streams.replay.verdicts import judge
from engine.streams.scoring import BatchScorer
from engine.streams.transports import Batch

SCORED_AT_ONCE = 10_000
EXACT = Tolerance()


@dataclass(frozen=True, slots=True)
class Terms:
    """How sides are compared: fields that tell records apart (none: their order), and tolerances by field.

    Fields of inputs and of outputs have their own; a field without one has to be equal.
    """

    keys: tuple[str, ...] = ()
    inputs: Mapping[str, Tolerance] = field(default_factory=dict)
    outputs: Mapping[str, Tolerance] = field(default_factory=dict)
    most: int = MOST_RECORDS


@dataclass(frozen=True, slots=True)
class Scored:
    """A model whose predictions are compared, too, and the schema of its outputs."""

    opened: Model
    outputs: Schema


def replay(
    creation: Stream, production: Stream, schema: Schema, terms: Terms, *, reach: Reach, scored: Scored | None = None
) -> Report:
    """Read both sources to their present end, and compare them by the model's input schema.

    Raises StreamError as sources do and `replay_key`, and RecordError `records_too_many`.
    """
    sides, seconds = [], []
    for stream in (creation, production):
        begun = time.perf_counter()
        sides.append(read_side(stream, schema, reach=reach, most=terms.most))
        seconds.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    aligned = align(sides[0], sides[1], schema, terms.keys)
    fields = _compared(schema, sides, aligned, terms.inputs)
    verdicts = [judge(side, own.schema or schema) for side, own in zip(sides, (creation, production), strict=True)]
    took = time.perf_counter() - begun
    alone = ((aligned.only_creation, aligned.twins[0]), (aligned.only_production, aligned.twins[1]))
    reports = [
        SideReport(
            len(side) + sum(side.rejects.values()), spent, rejects, len(rows), twins,
            _names(side, rows, terms.keys), side.examples,
        )
        for side, spent, (_, rejects), (rows, twins) in zip(sides, seconds, verdicts, alone, strict=True)
    ]  # fmt: skip
    found = None
    if scored is not None:
        found = _predictions(schema, sides, [good for good, _ in verdicts], aligned, terms, scored)
    return Report(reports[0], reports[1], len(aligned.creation), fields, found, took)


def _compared(
    schema: Schema, sides: Sequence[Side], aligned: Alignment, tolerances: Mapping[str, Tolerance]
) -> tuple[FieldReport, ...]:
    (creation, production), rows = sides, (aligned.creation, aligned.production)
    return tuple(
        compare_field(
            one, creation.columns[one.name], production.columns[one.name], rows, tolerances.get(one.name, EXACT)
        )
        for one in schema.fields
    )


def _names(side: Side, rows: np.ndarray, keys: Sequence[str]) -> tuple[object, ...]:
    """Return what tells the first of some rows from others: their keys, or their places."""
    first = rows[:MOST_TOLD]
    if not keys:
        return tuple(side.places[first].tolist())
    return tuple(zip(*(side.columns[key].listed(first) for key in keys), strict=True))


def _predictions(
    schema: Schema, sides: list[Side], good: list[np.ndarray], aligned: Alignment, terms: Terms, scored: Scored
) -> Predictions:
    """Score the records of each side that meet the schema, as a run does, and compare the answers of each pair."""
    begun = time.perf_counter()
    rows = (aligned.creation, aligned.production)
    answers = [
        _answered(schema, side, paired, fit[paired], scored)
        for side, paired, fit in zip(sides, rows, good, strict=True)
    ]
    both = align(answers[0], answers[1], scored.outputs, ())
    fields = _compared(scored.outputs, answers, both, terms.outputs)
    took = time.perf_counter() - begun
    return Predictions(len(both.creation), len(both.only_creation), len(both.only_production), fields, took)


def _answered(schema: Schema, side: Side, rows: np.ndarray, fit: np.ndarray, scored: Scored) -> Side:
    """Return the predictions for the fit ones of some rows; their places are the numbers of the pairs."""
    scorer, gathering = BatchScorer(scored.opened, schema, scored.outputs), Gathering(scored.outputs)
    pairs = np.flatnonzero(fit)
    for start in range(0, len(pairs), SCORED_AT_ONCE):
        part = pairs[start : start + SCORED_AT_ONCE]
        taken = pa.array(rows[part])
        table = pa.table({one.name: side.columns[one.name].values.take(taken) for one in schema.fields})
        answers, _ = scorer.score(Batch([str(pair) for pair in part.tolist()], table=table))
        gathering.add_records(answers.records, np.array([int(key) for key in answers.keys], "i8"))
    return gathering.side()
