"""Tell which records of a side an engine would score, and count the causes for which it would reject the others."""

from __future__ import annotations

from collections import Counter

import numpy as np

from engine.fields import Field, compile_field
from engine.schemas import Schema
from engine.streams.replay.sides import MISSING, Column, Side, Unreadable
from engine.streams.scoring import STRUCTURE
from engine.table_columns import ColumnCheck
from engine.table_rows import CODES, RULES


def judge(side: Side, schema: Schema) -> tuple[np.ndarray, dict[str, int]]:
    """Return of each row whether it meets a schema, and how many records an engine would reject by cause.

    Each record counts once, by its first fault, as in a run.
    """
    unreadable, first = np.zeros(len(side), "?"), np.zeros(len(side), "u1")
    for one in schema.fields:
        column = side.columns[one.name]
        unreadable[[row for row, value in column.odd.items() if type(value) is Unreadable]] = True
        np.copyto(first, _codes(one, column), where=first == 0)
    unknown = np.array([row for row in side.unknown if not first[row]], "i8")
    first[unknown] = CODES["unknown_field"]
    first[unreadable] = 0
    rejects = Counter(side.rejects)
    rejects["encoding"] += int(unreadable.sum())
    for code, count in enumerate(np.bincount(first).tolist()):
        if code:
            rejects["schema" if RULES[code] in STRUCTURE else "constraint"] += count
    return (first == 0) & ~unreadable, {cause: count for cause, count in sorted(rejects.items()) if count}


def _codes(field: Field, column: Column) -> np.ndarray:
    """Return for each row the code of the rule that its value breaks, or 0."""
    codes = np.zeros(len(column.values), "u1")
    broken = ColumnCheck(field).broken(column.values)
    codes[broken.rows] = broken.codes
    told = compile_field(field)
    for row, value in column.odd.items():
        wrong = ("missing", "") if value is MISSING else told(value)
        codes[row] = CODES[wrong[0]] if wrong else 0
    return codes
