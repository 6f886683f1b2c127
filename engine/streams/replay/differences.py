"""Compare a field of two sides, row by row: which rows differ, in what way, and the first of them as examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.fields import Field
from engine.streams.replay.causes import cause
from engine.streams.replay.sides import MISSING, MOST_TOLD, Column
from engine.table_rows import numbers, offsets, validity

DIFFERENCES = ("", "value", "type", "null", "default", "missing")
VALUE, TYPE, NULL, DEFAULT, LACKING = range(1, 6)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers agree if |production − creation| ≤ absolute + relative · |creation|, as for golden records."""

    absolute: float = 0.0
    relative: float = 0.0


@dataclass(frozen=True, slots=True)
class Example:
    """One differing value: its row among those compared, both values, the kind of difference, and a likely cause."""

    row: int
    creation: Any
    production: Any
    kind: str
    cause: str


@dataclass(frozen=True, slots=True)
class FieldReport:
    """How a field differs: in how many records, by kind, the largest gap of numbers, and the first examples."""

    field: str
    differing: int
    kinds: dict[str, int]
    worst: float
    examples: tuple[Example, ...]


def compare_field(
    field: Field, creation: Column, production: Column, rows: tuple[np.ndarray, np.ndarray], tolerance: Tolerance
) -> FieldReport:
    """Return how two columns differ in the rows that belong together."""
    if not len(rows[0]):
        return FieldReport(field.name, 0, {}, 0.0, ())
    here, there = _taken(creation.values, rows[0]), _taken(production.values, rows[1])
    codes, worst = _plain(field, here, there, tolerance)
    if creation.odd or production.odd:
        at = np.flatnonzero(_holds(creation, rows[0]) | _holds(production, rows[1]))
        pairs = zip(creation.listed(rows[0][at]), production.listed(rows[1][at]), strict=True)
        codes[at] = [_kind(mine, other) for mine, other in pairs]
    differing = np.flatnonzero(codes)
    counted = np.bincount(codes[differing], minlength=len(DIFFERENCES)).tolist()
    kinds = {name: count for name, count in zip(DIFFERENCES, counted, strict=True) if count}
    first = differing[:MOST_TOLD]
    pairs = zip(creation.listed(rows[0][first]), production.listed(rows[1][first]), strict=True)
    examples = tuple(
        Example(at, mine, other, DIFFERENCES[codes[at]], cause(mine, other))
        for at, (mine, other) in zip(first.tolist(), pairs, strict=True)
    )
    return FieldReport(field.name, len(differing), kinds, worst, examples)


def _plain(field: Field, here: pa.Array, there: pa.Array, tolerance: Tolerance) -> tuple[np.ndarray, float]:
    """Return for each row how it differs, and the largest gap, as long as all values are of the field's type."""
    worst = 0.0
    if field.items:
        wrong, worst = _lists(field, here, there, tolerance)
    elif field.numeric:
        wrong, worst = _numbers(field, numbers(here), numbers(there), tolerance, _both(here, there))
    else:
        wrong = pc.fill_null(pc.not_equal(here, there), False).to_numpy(zero_copy_only=False)
    codes = wrong.astype("u1")
    if here.null_count or there.null_count:
        mine, other = here.is_null(), there.is_null()
        _mark(codes, pc.and_(mine, pc.invert(other)), there)
        _mark(codes, pc.and_(other, pc.invert(mine)), here)
    return codes, worst


def _mark(codes: np.ndarray, rows: pa.BooleanArray, values: pa.Array) -> None:
    """Note rows where one side is null: beside a value, or beside what stands for none."""
    at = np.flatnonzero(rows.to_numpy(zero_copy_only=False))
    if len(at):
        codes[at] = [DEFAULT if _stands_for_none(value) else NULL for value in values.take(pa.array(at)).to_pylist()]


def _both(here: pa.Array, there: pa.Array) -> np.ndarray | None:
    mine, other = validity(here), validity(there)
    if mine is None or other is None:
        return other if mine is None else mine
    return mine & other


def _numbers(
    field: Field, here: np.ndarray, there: np.ndarray, tolerance: Tolerance, valid: np.ndarray | None
) -> tuple[np.ndarray, float]:
    if field.kind == "float":  # that is what the model gets, however many digits came
        with np.errstate(over="ignore"):
            here, there = here.astype("f4"), there.astype("f4")
    wrong = here != there
    if valid is not None:
        wrong &= valid
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return wrong, 0.0
    mine, other = here[rows].astype("f8"), there[rows].astype("f8")
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(other - mine)
        fine = gaps <= tolerance.absolute + tolerance.relative * np.abs(mine)
    fine &= np.isfinite(gaps)
    if field.kind in ("int", "long") and tolerance == Tolerance():
        fine[:] = False  # beyond 2^53 two whole numbers may be one double
    fine |= np.isnan(mine) & np.isnan(other)
    wrong[rows[fine]] = False
    finite = gaps[np.isfinite(gaps)]
    return wrong, float(finite.max()) if len(finite) else 0.0


def _lists(field: Field, here: pa.Array, there: pa.Array, tolerance: Tolerance) -> tuple[np.ndarray, float]:
    """Compare lists: of another length, or value by value."""
    lengths, others = np.diff(offsets(here)), np.diff(offsets(there))
    wrong = lengths != others
    valid = _both(here, there)
    if valid is not None:
        wrong &= valid
    same = (lengths == others) if valid is None else (lengths == others) & valid
    if not same.all():
        here, there = here.filter(pa.array(same)), there.filter(pa.array(same))
    mine, other = here.flatten(), there.flatten()
    worst = 0.0
    if not len(mine):
        return wrong, worst
    if field.numeric:
        items, worst = _numbers(field, numbers(mine), numbers(other), tolerance, None)
    else:
        items = pc.not_equal(mine, other).to_numpy(zero_copy_only=False)
    owners = np.repeat(np.flatnonzero(same), lengths[same])
    wrong[owners[items]] = True
    return wrong, worst


def _taken(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """Return some rows in another order; all of them as they are are not copied."""
    if len(rows) == len(values) and (not len(rows) or (rows[0] == 0 and (np.diff(rows) == 1).all())):
        return values
    return values.take(pa.array(rows))


def _holds(column: Column, rows: np.ndarray) -> np.ndarray:
    """Tell of each row whether its value is none of the field's type."""
    odd = np.zeros(len(column.values), "?")
    odd[list(column.odd)] = True
    return odd[rows]


def _kind(creation: Any, production: Any) -> int:
    """Return how two values differ of which at least one is not of the field's type; 0 if they are the same."""
    if type(creation) is type(production):
        return 0 if creation is production or creation == production else VALUE
    for one, other in ((creation, production), (production, creation)):
        if one is MISSING:
            return DEFAULT if _stands_for_none(other) else LACKING
    for one, other in ((creation, production), (production, creation)):
        if one is None:
            return DEFAULT if _stands_for_none(other) else NULL
    return TYPE


def _stands_for_none(value: Any) -> bool:
    """Tell whether a value is what programs put where there is none: 0, an empty text, false, no items, NaN."""
    return value is not None and value is not MISSING and (not value or value != value)
