"""Compare the outputs that were expected with those that came, field by field, within a tolerance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEPT = 20


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One value that is not what was expected. `record` counts from 0."""

    record: int
    field: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome: whether all agree, the largest absolute difference of numbers, and the first mismatches."""

    equal: bool
    compared: int
    worst: float
    mismatches: tuple[Mismatch, ...]


def compare(
    expected: Sequence[Mapping[str, Any]],
    actual: Sequence[Mapping[str, Any] | None],
    *,
    absolute: float,
    relative: float,
) -> Comparison:
    """Return how N actual outputs agree with N expected ones.

    Numbers agree if |actual − expected| ≤ absolute + relative·|expected| (NumPy's allclose, not symmetric: the expected
    value sets the scale); booleans, texts and nulls must be equal; lists agree value by value. A missing or additional
    field, a missing record, NaN and infinity never agree.
    """
    found: list[Mismatch] = []
    worst = 0.0
    for index in range(max(len(expected), len(actual))):
        want = expected[index] if index < len(expected) else None
        have = actual[index] if index < len(actual) else None
        if want is None or have is None:
            found.append(Mismatch(index, "", want, have))
            continue
        for field in want.keys() | have.keys():
            gap = _gap(want.get(field, _MISSING), have.get(field, _MISSING), absolute, relative)
            worst = max(worst, abs(gap)) if math.isfinite(gap) else worst
            if gap < 0:
                found.append(Mismatch(index, field, want.get(field), have.get(field)))
    return Comparison(not found, len(expected), worst, tuple(found[:KEPT]))


_MISSING = object()


def _gap(want: Any, have: Any, absolute: float, relative: float) -> float:
    """Return the absolute difference; below zero (at least a tiny bit) if the values do not agree."""
    if isinstance(want, list) and isinstance(have, list):
        if len(want) != len(have):
            return -math.inf
        gaps = [_gap(w, h, absolute, relative) for w, h in zip(want, have, strict=True)]
        return min(gaps) if any(g < 0 for g in gaps) else max(gaps, default=0.0)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (want, have))
    if not numbers:
        return 0.0 if type(want) is type(have) and want == have else -math.inf
    try:
        if not (math.isfinite(want) and math.isfinite(have)):
            return -math.inf
        gap = float(abs(have - want))
    except OverflowError:  # a whole number beyond every double
        return -math.inf
    return gap if gap <= absolute + relative * abs(want) else -gap
