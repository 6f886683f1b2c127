"""Tests of the sample. They are collected only where they are named."""

import pytest

from tests.mutants.sample.guarded import half_tried, remembered, tried


@pytest.mark.parametrize(("number", "wanted"), [(0, 1), (12, 13), (13, 0)])
def test_numbers_go_up_but_for_thirteen(number: int, wanted: int) -> None:
    assert tried(number) == wanted


def test_what_is_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        tried(-1)


@pytest.mark.parametrize(("number", "wanted"), [(2, True), (3, False)])
def test_small_is_below_three(number: int, wanted: bool) -> None:
    assert remembered(number) is wanted


def test_a_small_number_is_named() -> None:
    assert half_tried(4) == "small"
