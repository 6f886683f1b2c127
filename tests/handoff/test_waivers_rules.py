"""Waivers as a rule: what a policy says of them, which requirement one stands for, and when it ends soon."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from handoff.rules.gate_facts import Requirement, WaiverFact
from handoff.rules.reading import ROLES, Reader
from handoff.rules.waivers import WaiverRules, ends_soon, read_waiver_rules, waived

WAIVER = WaiverFact("w", "2026-04-01", "Rita", 4, "A person looks at each result.", counts=True)
ASKED = Requirement("answer", "fair", "Is it fair?", "validator", False, "was answered no", ("Vera",))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, WaiverRules()),
        ({"approver": "validator"}, WaiverRules("validator", 90, 14)),
        ({"approver": "validator", "max_days": 1, "warn_days": 1}, WaiverRules("validator", 1, 1)),
        ({"approver": "validator", "max_days": 366, "warn_days": 90}, WaiverRules("validator", 366, 90)),
    ],
)
def test_what_a_policy_does_not_say_is_as_usual(raw: Any, expected: WaiverRules) -> None:
    reader = Reader()
    assert (read_waiver_rules(reader, raw), reader.mistakes) == (expected, {})


@pytest.mark.parametrize(
    ("raw", "mistakes"),
    [
        ({"approver": "validater"}, {".approver": f"must be one of {', '.join(ROLES)} (did you mean validator?)"}),
        ({"approver": "validator", "max_days": 0}, {".max_days": "must be a whole number of days from 1 to 366"}),
        ({"approver": "validator", "max_days": 367}, {".max_days": "must be a whole number of days from 1 to 366"}),
        ({"approver": "validator", "warn_days": 0}, {".warn_days": "must be a whole number of days from 1 to 90"}),
        ({"approver": "validator", "warn_days": 91}, {".warn_days": "must be a whole number of days from 1 to 90"}),
        (
            {"approver": "validator", "most_days": 9},
            {".most_days": "is not known (did you mean max_days?); known are approver, max_days, warn_days"},
        ),
    ],
)
def test_a_mistake_is_told_by_its_place(raw: Any, mistakes: dict[str, str]) -> None:
    reader = Reader()
    read_waiver_rules(reader, raw)
    assert reader.mistakes == {f"waivers{place}": told for place, told in mistakes.items()}


def test_a_waiver_that_counts_stands_for_what_is_not_met() -> None:
    """It is told with it, and nobody is asked any more."""
    told = "waived until 2026-04-01, approved by Rita: A person looks at each result"
    assert waived(ASKED, {"item:fair": WAIVER}) == replace(ASKED, met=True, who=(), waived=told)
    met = replace(ASKED, met=True)
    assert waived(met, {"item:fair": WAIVER}) == met
    for key, waiver in [("item:other", WAIVER), ("test:fair", WAIVER), ("item:fair", replace(WAIVER, counts=False))]:
        assert waived(ASKED, {key: waiver}) == ASKED


def test_the_waiver_of_a_test_stands_for_no_item_of_its_name() -> None:
    test = replace(ASKED, kind="test")
    assert waived(test, {"item:fair": WAIVER}) == test
    assert waived(test, {"test:fair": WAIVER}).met


@pytest.mark.parametrize(
    ("today", "counts", "soon"),
    [
        (date(2026, 3, 17), True, False),
        (date(2026, 3, 18), True, True),  # fourteen days before its last one
        (date(2026, 4, 1), True, True),
        (date(2026, 3, 18), False, False),
    ],
)
def test_a_waiver_that_counts_ends_soon_from_its_warning_on(today: date, counts: bool, soon: bool) -> None:
    assert ends_soon(replace(WAIVER, counts=counts), today, 14) is soon
