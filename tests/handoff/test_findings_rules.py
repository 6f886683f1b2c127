"""Findings as a rule: when they are due, who closes them, and what a policy says of both."""

from itertools import product
from typing import Any

import pytest

from handoff.rules.findings import FindingRules, barred_from_closing, due_within, read_finding_rules
from handoff.rules.reading import Reader

OWNER, RAISER, OTHER = 1, 2, 3
ANOTHER = "the policy asks that somebody else than its owner closes a finding"
ONLY = "only its owner, who raised it, validation, risk and compliance, and IT operations close a finding"


@pytest.mark.parametrize("another", [True, False])
def test_who_may_not_close_a_finding_is_told_why(another: bool) -> None:
    """Over every person and every role that they may hold beside another one."""
    roles = ("", "validator", "risk_compliance", "it_operations", "data_scientist", "model_owner")
    for person, role in product((OWNER, RAISER, OTHER), roles):
        watches = role in ("validator", "risk_compliance", "it_operations")
        expected = "" if watches or person != OTHER else ONLY
        if another and person == OWNER:
            expected = ANOTHER
        held = frozenset({"analytic_engineer", role} - {""})
        told = barred_from_closing(person, held, owner=OWNER, raised_by=RAISER, another_closes=another)
        assert told == expected, (person, role)


def test_of_a_finding_that_is_nobodys_the_watchers_alone_close_it() -> None:
    for another in (True, False):
        told = [
            barred_from_closing(OTHER, held, owner=None, raised_by=None, another_closes=another)
            for held in (frozenset[str](), frozenset({"validator"}))
        ]
        assert told == [ONLY, ""]


def test_the_worse_a_finding_is_the_sooner_it_is_due() -> None:
    assert {severity: due_within(severity) for severity in ("low", "medium", "high")} == {
        "low": 90, "medium": 30, "high": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expected", "mistakes"),
    [
        ({}, False, {}),
        ({"another_closes": False}, False, {}),
        ({"another_closes": True}, True, {}),
        ({"another_closes": "yes"}, False, {"findings.another_closes": "must be true or false"}),
        (
            {"another_close": True},
            False,
            {"findings.another_close": "is not known (did you mean another_closes?); known are another_closes"},
        ),
        ([], False, {"findings": "must be a mapping"}),
    ],
)
def test_an_owner_closes_what_they_own_unless_the_policy_says_otherwise(
    raw: Any, expected: bool, mistakes: dict[str, str]
) -> None:
    reader = Reader()
    assert read_finding_rules(reader, raw) == FindingRules(expected)
    assert reader.mistakes == mistakes
