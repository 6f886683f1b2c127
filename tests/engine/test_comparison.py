"""Comparing outputs: within the tolerance they agree, and whatever is odd does not."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.comparison import KEPT, compare


def agree(want: Any, have: Any, absolute: float = 1e-6, relative: float = 1e-3) -> bool:
    """Say whether one value agrees with another."""
    return compare([{"y": want}], [{"y": have}], absolute=absolute, relative=relative).equal


numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, st.floats(0, 10), st.floats(0, 1))
def test_numbers_agree_as_numpy_says(want: float, have: float, absolute: float, relative: float) -> None:
    theirs = bool(np.isclose(have, want, rtol=relative, atol=absolute))
    assert agree(want, have, absolute, relative) == theirs


@pytest.mark.parametrize(
    ("want", "have", "equal"),
    [
        (1, 1.0, True),
        (1000.0, 1001.0, True),
        (1000.0, 1001.1, False),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [2.0, 1.0], False),
        ([1.0], [1.0, 2.0], False),
        ([1.0], 1.0, False),
        ("a", "a", True),
        ("a", "b", False),
        ("1", 1, False),
        (True, True, True),
        (True, 1, False),
        (None, None, True),
        (None, 0.0, False),
        (math.nan, math.nan, False),
        (math.inf, math.inf, False),
        (1e308, -1e308, False),
        (10**400, 10**400, False),
    ],
)
def test_values_of_each_kind(want: Any, have: Any, equal: bool) -> None:
    assert agree(want, have) == equal


def test_missing_and_additional_things_never_agree() -> None:
    options = {"absolute": 0.0, "relative": 0.0}
    assert not compare([{"a": 1}], [{"a": 1, "b": 1}], **options).equal
    assert not compare([{"a": 1, "b": None}], [{"a": 1}], **options).equal
    assert not compare([{"a": 1}, {"a": 1}], [{"a": 1}], **options).equal
    assert not compare([{"a": 1}], [{"a": 1}, {"a": 1}], **options).equal
    assert not compare([{"a": 1}], [None], **options).equal


def test_the_worst_and_the_first_differences_are_told() -> None:
    result = compare([{"y": 0.0}] * 50, [{"y": float(at)} for at in range(50)], absolute=0.5, relative=0.0)
    assert (result.compared, result.worst, len(result.mismatches)) == (50, 49.0, KEPT)
    assert (result.mismatches[0].record, result.mismatches[0].field, result.mismatches[0].actual) == (1, "y", 1.0)
