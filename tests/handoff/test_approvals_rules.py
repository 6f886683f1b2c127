"""Which approvals behind an opened gate have fallen or run out, and which signatures are taken now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handoff.rules.approvals import answered_anew, changed_in, expired, fallen, taken_now, to_attest
from handoff.rules.consumer_signoffs import OwnerRule
from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.gates import Facts, SignOffFact
from handoff.rules.lapses import AgainFact, ConditionFact, EndedFact
from handoff.rules.policies import Gate, PolicyRules, SignOffRule
from tests.handoff.test_gates_rules import FULL, IRIS, OTTO, RITA, RULES, THREE, VERA, signed

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULE = SignOffRule("one", "it_operations", "approval", valid_days=10)
OTHER = SignOffRule("other", "validator", "review")
POLICY = replace(RULES, tests=(), gates={"review": Gate("review", signoffs=(RULE, OTHER)), "release": Gate("release")})
HOLDS = signed("one", "it_operations", OTTO, "approval", signed_at=NOON.isoformat())
IRIS_TOO = replace(HOLDS, id="i", person=IRIS)
OLD = (NOON - timedelta(days=11)).isoformat()
RUN_OUT = replace(HOLDS, signed_at=OLD)
VERAS = signed("other", "validator", VERA, "review", signed_at=OLD)  # which never runs out
FACTS = replace(FULL, holders=THREE, now=NOON)
GONE = "The approval as IT operations at the review gate ran out on 3 March 2026."
ASKED = AgainFact("the owner changed", (NOON - timedelta(days=1)).isoformat(), (NOON + timedelta(days=5)).isoformat())
NOT_YET = replace(ASKED, asked=(NOON + timedelta(seconds=1)).isoformat())
CONDITION = ConditionFact("c", "Train it again.", (NOON - timedelta(days=1)).isoformat(), OTTO, "Otto")
LADEN = ConsumerFact("c", "Billing", "table", RITA, "Rita", True, ("c", "v", ["changed"]))


def given(*signoffs: SignOffFact) -> Facts:
    """Return facts with these sign-offs alone."""
    return replace(FACTS, signoffs=signoffs)


def of(rule: SignOffRule) -> PolicyRules:
    """Return the policy with another first rule."""
    return replace(POLICY, gates={**POLICY.gates, "review": Gate("review", signoffs=(rule, OTHER))})


def ended(ending: str, because: str, requirement: str = "one", role: str = "it_operations") -> EndedFact:
    """Return an approval of Otto's that ended."""
    return EndedFact("e", "review", requirement, role, OTTO, "Otto", ending, because)


# What has fallen


@pytest.mark.parametrize(
    ("count", "signoffs", "expected"),
    [
        (1, (HOLDS,), {}),
        (1, (RUN_OUT,), {"signoff.review-one-2": GONE}),
        (1, (RUN_OUT, IRIS_TOO), {}),  # another stands for it
        (2, (RUN_OUT, IRIS_TOO), {"signoff.review-one-2": GONE}),
        (2, (HOLDS, IRIS_TOO), {}),
        (1, (RUN_OUT, replace(IRIS_TOO, signed_at=OLD)), {"signoff.review-one-2": GONE, "signoff.i": GONE}),
        (1, (RUN_OUT, replace(IRIS_TOO, requirement="other")), {"signoff.review-one-2": GONE}),
        (1, (RUN_OUT, replace(IRIS_TOO, decision="refuse")), {"signoff.review-one-2": GONE}),
        (1, (RUN_OUT, replace(IRIS_TOO, decision="conditional")), {}),
        (1, (replace(RUN_OUT, decision="changes"),), {}),  # no approval that could fall
        (1, (replace(RUN_OUT, requirement="gone"),), {}),
        (1, (VERAS,), {}),
        (
            1,
            (replace(HOLDS, conditions=(CONDITION,)),),
            {
                "signoff.review-one-2": "The approval as IT operations at the review gate hangs on a condition that "
                "was due on 3 March 2026: Train it again."
            },
        ),
    ],
)
def test_an_approval_falls_where_too_few_others_stand_beside_it(
    count: int, signoffs: tuple[SignOffFact, ...], expected: dict[str, str]
) -> None:
    assert fallen(of(replace(RULE, count=count)), given(*signoffs), (), ["review"]) == expected
    assert fallen(of(replace(RULE, count=count)), given(*signoffs), (), ["release"]) == {}


def test_two_accounts_of_one_person_stand_for_one() -> None:
    rules = of(replace(RULE, count=2))
    third = replace(RUN_OUT, id="v", person=VERA)
    merged = replace(given(HOLDS, IRIS_TOO, third), chain=Chain(persons={IRIS: OTTO}))
    assert fallen(rules, merged, (), ["review"]) == {"signoff.v": GONE}
    assert fallen(rules, replace(merged, chain=Chain()), (), ["review"]) == {}


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (ended("revoked", "was revoked: it is wrong."), "was revoked: it is wrong."),
        (ended("expired", "ran out on 3 March 2026"), "ran out on 3 March 2026."),
        (ended("merged", "they are one person"), "was voided: they are one person."),
        (ended("changed", "the model version is another"), ""),
        (ended("revoked", "was revoked", requirement="another"), ""),
    ],
)
def test_what_was_revoked_or_barred_falls_and_what_a_change_voided_does_not(one: EndedFact, why: str) -> None:
    told = {"signoff.e": f"The approval as IT operations at the review gate {why}"} if why else {}
    assert fallen(POLICY, given(), (one,), ["release", "review"]) == told
    assert fallen(POLICY, given(HOLDS), (one,), ["review"]) == {}, "another stands for it"
    assert fallen(POLICY, given(), (one,), []) == {}


def test_the_approval_of_an_owner_of_consumers_falls_too() -> None:
    one = ended("revoked", "was revoked.", f"consumer-{RITA}", f"consumer-{RITA}")
    told = {"signoff.e": "The approval as Owner of a consumer at the review gate was revoked."}
    assert fallen(POLICY, replace(given(), consumers=(LADEN,)), (one,), ["review"]) == told
    assert fallen(POLICY, given(), (one,), ["review"]) == {}


def test_each_approval_whose_time_is_over_has_run_out() -> None:
    """By the days of its rule, at whichever gate; one of no rule of the policy never does."""
    both = replace(POLICY, gates={**POLICY.gates, "release": Gate("release", signoffs=(replace(RULE, key="two"),))})
    stray, refused = replace(RUN_OUT, requirement="gone"), replace(RUN_OUT, decision="refuse")
    laden = replace(RUN_OUT, decision="conditional", requirement="two", gate="release")
    facts = given(HOLDS, RUN_OUT, VERAS, stray, refused, laden)
    assert expired(both, facts) == [(one, "ran out on 3 March 2026") for one in (RUN_OUT, laden)]
    assert expired(both, given(replace(HOLDS, conditions=(CONDITION,)))) == []


# What is answered anew


@pytest.mark.parametrize(
    ("signoff", "decision", "expected"),
    [
        (HOLDS, "approve", False),
        (HOLDS, "conditional", False),
        (replace(HOLDS, decision="conditional"), "approve", False),
        (HOLDS, "refuse", True),
        (HOLDS, "changes", True),
        (replace(HOLDS, decision="changes"), "approve", True),
        (replace(HOLDS, decision="refuse"), "refuse", True),
        (RUN_OUT, "approve", True),
        (replace(HOLDS, again=ASKED), "approve", True),
        (replace(HOLDS, again=NOT_YET), "approve", False),
        (replace(HOLDS, scope={**HOLDS.scope, "policy": "another"}), "approve", True),
        (replace(HOLDS, requirement="other"), "refuse", False),
        (replace(RUN_OUT, requirement="other"), "approve", False),
    ],
)
def test_a_decision_takes_the_place_of_an_earlier_one_that_says_something_else_or_holds_no_more(
    signoff: SignOffFact, decision: str, expected: bool
) -> None:
    assert answered_anew(signoff, RULE, decision, FACTS) is expected


def test_only_an_approval_is_of_something_that_can_change() -> None:
    changed = replace(FACTS, parts={**FACTS.parts, "answers": "others", "policy": "another"})
    assert changed_in(HOLDS, FACTS) == ()
    assert changed_in(HOLDS, changed) == ("answers", "policy")
    assert changed_in(replace(HOLDS, decision="conditional"), changed) == ("answers", "policy")
    assert changed_in(replace(HOLDS, decision="refuse"), changed) == ()


# What is taken


def test_all_signatures_of_the_gate_under_way_are_taken_whatever_was_given() -> None:
    assert taken_now(POLICY, given(HOLDS), "review", []) == {"one": ("review", RULE), "other": ("review", OTHER)}
    assert taken_now(POLICY, given(HOLDS), "", []) == {}
    asked = taken_now(POLICY, replace(given(), consumers=(LADEN,)), "review", [])
    assert list(asked) == ["one", "other", f"consumer-{RITA}"]
    assert isinstance(asked[f"consumer-{RITA}"][1], OwnerRule)


@pytest.mark.parametrize(
    ("signoffs", "expected"),
    [
        ((HOLDS, VERAS), []),
        ((RUN_OUT, VERAS), ["one"]),
        ((VERAS,), ["one"]),
        ((), ["one", "other"]),
        ((replace(HOLDS, again=ASKED), VERAS), ["one"]),
        ((replace(HOLDS, again=NOT_YET), VERAS), []),
        ((replace(HOLDS, again=ASKED), IRIS_TOO, VERAS), []),  # another stands beside it
    ],
)
def test_of_a_gate_that_has_opened_what_is_missing_again_or_asked_for_anew_is_taken(
    signoffs: tuple[SignOffFact, ...], expected: list[str]
) -> None:
    rules = {"one": ("review", RULE), "other": ("review", OTHER)}
    assert taken_now(POLICY, given(*signoffs), "", ["review"]) == {key: rules[key] for key in expected}
    assert taken_now(POLICY, given(*signoffs), "", ["release"]) == {}


def test_advice_is_not_missing_and_a_test_of_the_same_name_is_no_signature() -> None:
    advice = of(replace(RULE, advisory=True))
    assert taken_now(advice, given(VERAS), "", ["review"]) == {}
    golden = SignOffRule("golden", "it_operations", "approval")
    rules = replace(POLICY, tests=("golden",), gates={**POLICY.gates, "release": Gate("release", signoffs=(golden,))})
    there = signed("golden", "it_operations", IRIS, "approval", "release")
    facts = replace(given(HOLDS, VERAS, there), tests={})
    assert taken_now(rules, facts, "", ["review", "release"]) == {}
    assert taken_now(rules, given(HOLDS, VERAS), "", ["review", "release"]) == {"golden": ("release", golden)}


def test_of_each_rule_the_soonest_that_is_due_anew_is_told() -> None:
    soon = replace(ASKED, due=(NOON + timedelta(days=2)).isoformat(), because="it drifted")
    two, both = of(replace(RULE, count=2)), (replace(HOLDS, again=ASKED), replace(IRIS_TOO, again=soon))
    assert to_attest(two, given(*both, VERAS), ["review"]) == {"one": soon}
    assert to_attest(two, given(*reversed(both), VERAS), ["review"]) == {"one": soon}
    assert to_attest(two, given(both[0], IRIS_TOO), ["review"]) == {"one": ASKED}
    assert to_attest(two, given(*both), ["release"]) == {}
    assert to_attest(two, given(HOLDS, IRIS_TOO, VERAS), ["review"]) == {}
