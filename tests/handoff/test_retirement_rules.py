"""The notice of a retirement as a rule: what a policy says, the first day it leaves, and what was frozen of it."""

from datetime import date
from typing import Any

import pytest

from handoff.rules.reading import Reader
from handoff.rules.retirement import RetirementRules, notice_in, read_retirement_rules

WRONG = "must be a whole number of days from 0 to 730"


@pytest.mark.parametrize(
    ("raw", "days", "mistakes"),
    [
        ({}, 0, {}),
        ({"notice_days": 0}, 0, {}),
        ({"notice_days": 730}, 730, {}),
        ({"notice_days": -1}, 0, {".notice_days": WRONG}),
        ({"notice_days": 731}, 0, {".notice_days": WRONG}),
        ({"notice_day": 3}, 0, {".notice_day": "is not known (did you mean notice_days?); known are notice_days"}),
        ([], 0, {"": "must be a mapping"}),
    ],
)
def test_a_policy_says_how_many_days_of_notice_are_given(raw: Any, days: int, mistakes: dict[str, str]) -> None:
    reader = Reader()
    assert read_retirement_rules(reader, raw) == RetirementRules(days)
    assert reader.mistakes == {f"retirement{place}": told for place, told in mistakes.items()}


def test_the_first_day_is_after_the_days_of_notice() -> None:
    assert RetirementRules().first_day(date(2026, 2, 20)) == date(2026, 2, 20)
    assert RetirementRules(14).first_day(date(2026, 2, 20)) == date(2026, 3, 6)


def test_what_was_frozen_without_a_word_of_it_gives_no_notice() -> None:
    frozen: list[dict[str, Any] | None] = [None, {}, {"retirement": {}}, {"retirement": {"notice_days": 14}}]
    assert [notice_in(policy) for policy in frozen] == [0, 0, 0, 14]
