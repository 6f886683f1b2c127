"""Past gates judged anew by other rules: on facts as they were kept, and what would have been missing is counted."""

from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoff.decisions import plain
from handoff.rules.answers import AnswerFact
from handoff.rules.change_facts import ChangeFact, MeasuredFact
from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.gate_facts import EmergencyFact, Facts, FindingFact, SignOffFact, TestFact, WaiverFact
from handoff.rules.lapses import AgainFact, ConditionFact
from handoff.rules.policies import PolicyRules, SignOffRule
from handoff.rules.simulations import Passed, Simulation, change_of, facts_of, lacking_in, signoff_of, simulate
from handoff.rules.waivers import WaiverRules
from handoff.rules.watches import CanaryFact
from tests.handoff.test_gates_rules import (
    ACCEPTANCE,
    FULL,
    OTTO,
    RELEASED,
    REVIEW,
    RITA,
    RULES,
    VALIDATION,
    signed,
    with_signoffs,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


# What was kept


def test_what_was_kept_of_persons_and_of_each_fact_is_read_again() -> None:
    """A past gate is judged on the same people as then: on delegates, and on those with a second account."""
    chain = Chain(
        acts={1: ("offered this handoff",)}, signed={2: "validator"}, persons={3: 1},
        stands_for={"validator": {2: (4, "Vera")}},
    )  # fmt: skip
    given = SignOffFact(
        "s", "review", "validation", "validator", 2, "Rita", "approve", "review", {"version": "v"}, True,
        "2026-01-01T00:00:00+00:00", (ConditionFact("c", "Rehearse it.", "2026-02-01T00:00:00+00:00", 2, "Rita"),), 4,
        AgainFact("it drifted", "2026-01-20T00:00:00+00:00", "2026-01-30T00:00:00+00:00"),
    )  # fmt: skip
    facts = Facts(
        version="v", parts={"answers": "a"}, differences=("d",), answering={"d": "validator"}, moved={"m": "x"},
        findings=(FindingFact("f", "t", "low", True, 1, "Dana", "2026-02-01"),), acknowledged={"d": 1},
        answers={"purpose": AnswerFact("yes", 1, ("link",), people=((1, "Dana", "yes"),), figures=(1.5,))},
        signoffs=(given,),
        tests={"golden": TestFact("passed", "v")}, holders={"validator": {2: "Rita"}}, chain=chain, tier="high",
        now=datetime(2026, 1, 2, tzinfo=UTC),
        waivers={"item:x": WaiverFact("w", "2026-02-01", "Rita", 1, "c", True)}, waivers_asked={"item:y": 1},
        exceptions=("torch 2.4.0",), replays=2, owner="Otto", owner_account=6, owner_operates=True,
        owner_duties={"it_operations": True},
        consumers=(ConsumerFact("k", "Board", "scores", 5, "Iris", True, ["k", "d", ["label"], "breaking", ["c"]]),),
        change=ChangeFact(
            "full", MeasuredFact("d", 1, "v", {"f1": 0.5}), MeasuredFact("e", 2, "w"), 1, 2.5, ("model",),
            (("tools.python", "Python"),), True, True, True, "a", 1, ("no",), {"f1": 0.5},
        ),
        emergency=EmergencyFact("g", "2026-01-03T00:00:00+00:00", "Iris", "Rita", "INC-7"),
        canary=CanaryFact(2.5, 10, 1, 4.5, 0.5),
    )  # fmt: skip
    assert not [one.name for one in fields(Facts) if not getattr(facts, one.name)]
    assert not [one.name for one in fields(Chain) if not getattr(chain, one.name)]
    assert facts_of(plain(facts)) == facts


OLD: dict[str, Any] = {
    "version": "v", "parts": {"answers": "a"}, "differences": ["d"], "answers": {}, "acknowledged": {}, "signoffs": [],
    "tests": {}, "holders": {}, "chain": {"acts": {}, "signed": {}},
}  # fmt: skip


def test_what_older_facts_do_not_have_is_not_there_and_what_nobody_knows_any_more_is_left_out() -> None:
    assert facts_of(OLD) == Facts("v", {"answers": "a"}, ("d",))
    assert facts_of({**OLD, "colour": "red", "now": None, "emergency": None, "change": None}) == facts_of(OLD)
    row = {"id": "s", "gate": "review", "requirement": "r", "role": "validator", "person": 2, "name": "Rita"}
    row |= {"decision": "approve", "meaning": "review", "scope": {}, "entitled": True, "colour": "red"}
    expected = SignOffFact("s", "review", "r", "validator", 2, "Rita", "approve", "review", {}, True)
    assert signoff_of(row) == signoff_of({**row, "again": None, "conditions": []}) == expected


def test_a_change_may_have_nothing_to_be_compared_with() -> None:
    live = MeasuredFact("d", 1, "v")
    for change in (ChangeFact(), ChangeFact(live=live), ChangeFact(reviewed=live)):
        kept = plain(replace(FULL, change=change))["change"]
        assert change_of(kept) == change
        assert facts_of({**OLD, "change": kept}).change == change


# What would have been missing


def passed(facts: Facts = FULL, gate: str = "review", tier: str = "low", handoff: str = "h") -> Passed:
    """Return a gate that opened at noon, with what was kept of it."""
    return Passed(handoff, gate, NOON, tier, plain(facts))


def reviewed_by(*rules: SignOffRule, **more: Any) -> PolicyRules:
    """Return the rules with more sign-offs at the review."""
    review = replace(REVIEW, signoffs=(*REVIEW.signoffs, *rules))
    return replace(RULES, gates={**RULES.gates, "review": review}, **more)


RISK = SignOffRule("risk", "risk_compliance", "approval")
RISK_SIGNS = "Risk compliance signs: approval"


def test_what_a_gate_would_have_lacked_is_told_and_that_of_an_earlier_one_there() -> None:
    released = with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)
    assert lacking_in(RULES, passed()) == ()
    assert lacking_in(reviewed_by(RISK), passed()) == (RISK_SIGNS,)
    assert lacking_in(reviewed_by(RISK), passed(released, "release")) == ()
    assert lacking_in(RULES, passed(replace(released, tests={}), "release")) == ("Promotion test: golden",)


@pytest.mark.parametrize(
    ("kept", "of_the_handoff", "lacks"),
    [("", "low", False), ("", "high", True), ("low", "high", False), ("high", "low", True)],
)
def test_the_risk_tier_of_the_time_counts_and_where_it_was_not_kept_that_of_the_handoff(
    kept: str, of_the_handoff: str, lacks: bool
) -> None:
    rules = reviewed_by(replace(RISK, required_above="low"))
    assert lacking_in(rules, passed(replace(FULL, tier=kept), tier=of_the_handoff)) == ((RISK_SIGNS,) if lacks else ())


@pytest.mark.parametrize(("now", "lacks"), [(None, True), (NOON - timedelta(days=3), False), (NOON, True)])
def test_the_clock_of_the_time_counts_and_where_it_was_not_kept_when_the_gate_opened(
    now: datetime | None, lacks: bool
) -> None:
    """A signature of eleven days before noon, where one holds for ten."""
    old = signed("risk", "risk_compliance", RITA, "approval", signed_at=(NOON - timedelta(days=11)).isoformat())
    facts = replace(with_signoffs(VALIDATION, ACCEPTANCE, old), now=now)
    assert lacking_in(reviewed_by(replace(RISK, valid_days=10)), passed(facts)) == ((RISK_SIGNS,) if lacks else ())
    fresh = replace(facts, now=None, signoffs=(VALIDATION, ACCEPTANCE, replace(old, signed_at=NOON.isoformat())))
    assert lacking_in(reviewed_by(replace(RISK, valid_days=10)), passed(fresh)) == ()


def test_a_waiver_of_the_time_stands_only_where_the_rules_allow_waivers() -> None:
    waiver = WaiverFact("w", "2026-04-01", "Rita", OTTO, "A person looks.", counts=True)
    waived = passed(replace(FULL, answers={}, waivers={"item:purpose": waiver}))
    assert lacking_in(RULES, waived) == ("Written down?",)
    assert lacking_in(replace(RULES, waivers=WaiverRules("risk_compliance")), waived) == ()


def test_handoffs_and_gates_are_counted_and_what_was_missing_by_its_gate_and_words() -> None:
    untested = replace(with_signoffs(VALIDATION, ACCEPTANCE, RELEASED), tests={})
    rows = [passed(), passed(untested, "release"), passed(handoff="i"), passed(replace(FULL, answers={}), handoff="i")]
    assert simulate(RULES, []) == Simulation()
    assert simulate(RULES, rows[:1]) == Simulation({"h"}, 1)
    assert simulate(reviewed_by(RISK), rows) == Simulation(
        handoffs={"h", "i"},
        gates=4,
        stopped={
            "h": {"review": (RISK_SIGNS,), "release": ("Promotion test: golden",)},
            "i": {"review": ("Written down?", RISK_SIGNS)},
        },
        missing=Counter({f"review: {RISK_SIGNS}": 3, "release: Promotion test: golden": 1, "review: Written down?": 1}),
    )
