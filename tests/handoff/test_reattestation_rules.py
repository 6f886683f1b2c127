"""Re-attestation as a rule: how a policy says it, what two say together, and what asks for an approval anew."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoff.rules.lapses import AgainFact
from handoff.rules.policy_terms import ReattestationRules
from handoff.rules.reading import Reader
from handoff.rules.reattestation import TRIGGERS, TriggerFact, asked_anew, read_reattestation, united
from tests.handoff.test_gates_rules import OTTO, signed

START = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN = signed("go", "it_operations", OTTO, "approval", "release", signed_at=START.isoformat())
WORDS = ", ".join(TRIGGERS)
NEITHER = "must say every_days, triggers, or both"


def on(days: float) -> str:
    """Return an instant so many days after the approval, as it is kept."""
    return (START + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, ReattestationRules()),
        ({"every_days": 31}, ReattestationRules(31, (), ("release",), 30)),
        ({"triggers": ["owner", "drift"]}, ReattestationRules(0, ("drift", "owner"), ("release",), 30)),
        (
            {"every_days": 3650, "triggers": ["risk"], "gates": ["release", "review"], "within_days": 1},
            ReattestationRules(3650, ("risk",), ("review", "release"), 1),
        ),
        ({"every_days": 2, "within_days": 1}, ReattestationRules(2, (), ("release",), 1)),
        ({"triggers": ["policy"], "within_days": 3650}, ReattestationRules(0, ("policy",), ("release",), 3650)),
    ],
)
def test_what_a_policy_does_not_say_is_as_usual(raw: Any, expected: ReattestationRules) -> None:
    reader = Reader()
    assert (read_reattestation(reader, raw), reader.mistakes) == (expected, {})
    assert expected.asks is bool(raw)


@pytest.mark.parametrize(
    ("raw", "mistakes"),
    [
        ([], {"": "must be a mapping"}),
        ({}, {"": NEITHER}),
        ({"every_days": 0}, {"": NEITHER}),
        ({"within_days": 5}, {"": NEITHER}),
        ({"every_days": -1}, {".every_days": "must be a whole number of days from 0 to 3650", "": NEITHER}),
        ({"every_days": 3651}, {".every_days": "must be a whole number of days from 0 to 3650", "": NEITHER}),
        ({"every_days": 30}, {".within_days": "must be less than the 30 days of the interval"}),
        ({"every_days": 9, "within_days": 0}, {".within_days": "must be a whole number of days from 1 to 3650"}),
        (
            {"triggers": ["risk"], "within_days": 3651},
            {".within_days": "must be a whole number of days from 1 to 3650"},
        ),
        ({"triggers": []}, {".triggers": f"must be a list, not empty, of {WORDS}"}),
        (
            {"every_days": 90, "gates": []},
            {".gates": "must be a list, not empty, of review, release, confirm"},
        ),
        (
            {"every_days": 90, "every_day": 3},
            {
                ".every_day": "is not known (did you mean every_days?); "
                "known are every_days, gates, triggers, within_days"
            },
        ),
    ],
)
def test_what_makes_no_sense_is_told_by_its_place_and_nothing_else_is(raw: Any, mistakes: dict[str, str]) -> None:
    reader = Reader()
    read_reattestation(reader, raw)
    assert reader.mistakes == {f"reattestation{place}": told for place, told in mistakes.items()}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (None, None, None),
        ({}, None, None),
        (
            None,
            {"triggers": ["risk"]},
            {"triggers": ["risk"], "gates": ["release"], "within_days": 30},
        ),
        (
            {"every_days": 365, "triggers": ["owner"], "gates": ["review"]},
            {"every_days": 90, "triggers": ["drift", "owner"], "within_days": 9},
            {"every_days": 90, "triggers": ["drift", "owner"], "gates": ["review", "release"], "within_days": 9},
        ),
        # the notice stays shorter than the interval, whichever policy says it
        ({"every_days": 20}, {"triggers": ["risk"], "within_days": 60}, {
            "every_days": 20, "triggers": ["risk"], "gates": ["release"], "within_days": 19,
        }),
        ({"every_days": 20, "within_days": 18}, {"every_days": 365, "gates": ["confirm"]}, {
            "every_days": 20, "gates": ["release", "confirm"], "within_days": 18,
        }),
        # no interval is none of 0 days
        ({"every_days": 0, "triggers": ["risk"], "within_days": 60}, {"every_days": 80, "within_days": 70}, {
            "every_days": 80, "triggers": ["risk"], "gates": ["release"], "within_days": 60,
        }),
        ({"triggers": ["risk"], "within_days": 3650}, {}, {
            "triggers": ["risk"], "gates": ["release"], "within_days": 3650,
        }),
    ],
)  # fmt: skip
def test_two_policies_ask_for_the_sooner_and_for_all(one: Any, other: Any, both: dict[str, Any] | None) -> None:
    assert united(one, other) == united(other, one) == both


EVERY = ReattestationRules(every_days=100, triggers=("owner", "amendment"), within_days=10)
YEARLY = AgainFact("it is asked for every 100 days", on(90), on(100))
MOVED = AgainFact("another person answers for its target on 21 January 2026", on(20), on(30))


@pytest.mark.parametrize(
    ("rules", "happened", "expected"),
    [
        (EVERY, [], YEARLY),
        (EVERY, [TriggerFact("owner", on(20))], MOVED),
        (EVERY, [TriggerFact("amendment", on(21)), TriggerFact("owner", on(20))], MOVED),
        (EVERY, [TriggerFact("drift", on(20))], YEARLY),  # the policy names other triggers
        (EVERY, [TriggerFact("owner", on(91))], YEARLY),
        (replace(EVERY, every_days=0), [TriggerFact("owner", on(20))], MOVED),
        (replace(EVERY, every_days=0), [TriggerFact("drift", on(20))], None),
        (replace(EVERY, every_days=0), [TriggerFact("owner", on(0))], None),  # it was signed after that, or with it
        (replace(EVERY, every_days=0), [TriggerFact("owner", on(-1))], None),
        (replace(EVERY, triggers=()), [TriggerFact("owner", on(20))], YEARLY),
        (replace(EVERY, gates=("review",)), [TriggerFact("owner", on(20))], None),
        (replace(EVERY, gates=("review", "release")), [], YEARLY),
    ],
)
def test_what_comes_first_asks_for_an_approval_anew(
    rules: ReattestationRules, happened: list[TriggerFact], expected: AgainFact | None
) -> None:
    assert asked_anew(rules, [GIVEN], happened) == (replace(GIVEN, again=expected),)


def test_only_approvals_are_asked_for_anew() -> None:
    """An approval under conditions is one, too; who refused, or asked for changes, has not approved."""
    decisions = ("approve", "conditional", "changes", "refuse")
    found = asked_anew(EVERY, [replace(GIVEN, decision=one) for one in decisions], [])
    assert [one.again for one in found] == [YEARLY, YEARLY, None, None]


def test_a_policy_that_asks_for_nothing_anew_looks_at_no_instant() -> None:
    undated = (replace(GIVEN, signed_at=""),)
    assert asked_anew(ReattestationRules(), undated, [TriggerFact("owner", on(20))]) == undated
