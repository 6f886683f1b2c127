"""Whose sign-offs are waited for where a change is standard, by the policy and what is known of the change."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.rules.change_facts import ChangeFact, MeasuredFact
from handoff.rules.policies import Gate, PolicyRules, SignOffRule
from handoff.rules.standard_changes import MetricLimits, StandardRules
from handoff.rules.standard_signoffs import kind_of, lightened
from tests.handoff.test_gates_rules import FULL, RULES

VALIDATION = SignOffRule("validation", "validator", "review")
RISK = SignOffRule("risk", "risk_compliance", "approval", after=("validation",), required_above="low")
ACCEPTANCE = SignOffRule("acceptance", "it_operations", "responsibility", after=("validation", "either"))
EITHER = SignOffRule("either", "", "approval", quorum=("validator", "it_operations"))
RELEASED = SignOffRule("release", "it_operations", "approval", after=("risk-2",))
RISK_2 = replace(RISK, key="risk-2", after=())
REVIEW, RELEASE = (
    Gate("review", signoffs=(VALIDATION, RISK, ACCEPTANCE, EITHER)),
    Gate("release", signoffs=(RISK_2, RELEASED)),
)
METRICS = {"roc_auc": MetricLimits(worse_by=0.01)}
STANDARD = StandardRules({"review": ("it_operations",)}, METRICS)
RETRAIN = StandardRules({"release": ("it_operations",)}, METRICS)
LIVE = MeasuredFact("d", 1, "v", {"roc_auc": 0.9})
SMALL = ChangeFact(
    live=LIVE, reviewed=LIVE, same_bindings=True, same_policy=True, elements=("model",), figures={"roc_auc": 0.895}
)
RETRAINED = replace(SMALL, pipeline="p" * 64, retrained_from=1)
BIG = replace(SMALL, figures={"roc_auc": 0.8})
FEWER_REVIEW = Gate(
    "review",
    signoffs=(
        replace(VALIDATION, advisory=True),
        replace(RISK, advisory=True, required_above=""),
        replace(ACCEPTANCE, after=("either",)),
        EITHER,
    ),
)
FEWER_RELEASE = Gate(
    "release", signoffs=(replace(RISK_2, advisory=True, required_above=""), replace(RELEASED, after=()))
)


def policy(**kinds: StandardRules) -> PolicyRules:
    """Return a policy that knows these kinds of changes."""
    return replace(RULES, gates={"review": REVIEW, "release": RELEASE}, **kinds)  # type: ignore[arg-type]


def gates(review: Gate = REVIEW, release: Gate = RELEASE) -> dict[str, Gate]:
    """Return the gates of a policy."""
    return {"review": review, "release": release}


@pytest.mark.parametrize(
    ("kinds", "change", "kind", "expected"),
    [
        ({}, SMALL, "full", gates()),
        ({"standard_change": STANDARD}, None, "full", gates()),
        ({"standard_change": STANDARD}, BIG, "full", gates()),
        ({"standard_change": STANDARD}, SMALL, "standard", gates(FEWER_REVIEW)),
        ({"retrain": RETRAIN}, SMALL, "full", gates()),
        ({"retrain": RETRAIN}, RETRAINED, "retrain", gates(release=FEWER_RELEASE)),
        ({"standard_change": STANDARD, "retrain": RETRAIN}, RETRAINED, "retrain", gates(release=FEWER_RELEASE)),
        ({"standard_change": STANDARD, "retrain": RETRAIN}, SMALL, "standard", gates(FEWER_REVIEW)),
        # of what went live already nothing is computed; the policy may know the kind no more
        ({"standard_change": STANDARD}, replace(BIG, recorded="standard"), "standard", gates(FEWER_REVIEW)),
        ({"retrain": RETRAIN}, replace(SMALL, recorded="standard"), "standard", gates()),
    ],
)
def test_where_a_change_is_standard_only_some_are_waited_for(
    kinds: dict[str, Any], change: ChangeFact | None, kind: str, expected: dict[str, Gate]
) -> None:
    """The others may sign still; nobody who is waited for waits for them. The kind is judged once."""
    rules, facts = policy(**kinds), replace(FULL, change=change)
    assert kind_of(rules, facts).kind == kind
    found = lightened(rules, facts)
    assert found.gates == expected
    assert found.lighter == {}
    assert replace(found, gates=rules.gates, **kinds) == rules
    assert lightened(found, facts) is found
