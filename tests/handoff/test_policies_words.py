"""Each part of what a policy demands is told in words, and so is what another one demands more, less or otherwise."""

from copy import deepcopy
from typing import Any

import pytest

from handoff.rules.policies import parse
from handoff.rules.policy_changes import Changes, changes, demands, signoff_in_words
from handoff.rules.policy_terms import SignOffRule
from tests.handoff.test_policies_rules import GOOD

REVIEW = {
    "acknowledge": "it_operations",
    "checklist": [
        {
            "key": "purpose",
            "question": "Written down?",
            "role": "data_scientist",
            "evidence": ["link", "file"],
            "two_people": True,
            "valid_days": 90,
        },
        {
            "key": "load",
            "question": "How many?",
            "role": "analytic_engineer",
            "evidence": ["figure"],
            "figure": "> 0 and < 200",
            "visible_if": {"purpose": ["yes", "not_applicable"]},
        },
    ],
    "signoffs": [
        {"key": "validation", "role": "validator", "meaning": "review", "count": 2},
        {
            "key": "risk",
            "quorum": {"count": 2, "of": ["risk_compliance", "model_owner", "validator"]},
            "meaning": "approval",
            "after": ["validation"],
        },
        {"key": "look", "role": "it_operations", "meaning": "review", "advisory": True},
        {"key": "owner", "role": "model_owner", "meaning": "approval", "required_above": "medium"},
    ],
}
STANDARD = {
    "signers": {"review": ["validator"], "release": ["it_operations"]},
    "metrics": {"roc_auc": {"worse_by": 0.005, "minimum": 0.8}},
    "elements": ["golden"],
    "aspects": ["tools.hardware"],
    "at_most": 3,
    "within_days": 60,
}
FULL: dict[str, Any] = {
    "policy": "full",
    "title": "Full",
    "applies_to": {
        "risk_tiers": ["low", "high"],
        "target_kinds": ["staging", "production"],
        "model_types": ["anomaly_detection", "ranking"],
    },
    "elements": ["model", "runtime"],
    "tests": ["integrity", "performance"],
    "thresholds": {"metrics": {"rmse": 5}, "latency_p99_ms": 9},
    "windows": [{"zone": "UTC", "open": [{"from": "09:00", "to": "10:00", "days": ["mon"]}]}],
    "freezes": [{"name": "Year end", "zone": "UTC", "from": "2026-12-18", "to": "2027-01-04"}],
    "expires_after_days": 20,
    "lapses": "stop",
    "drift": "report",
    "acknowledged_duties": True,
    "findings": {"another_closes": True},
    "retirement": {"notice_days": 14},
    "retention": {"years": 7},
    "sandbox": {"least": "L2"},
    "waivers": {"approver": "risk_compliance", "max_days": 60},
    "break_glass": {
        "roles": ["it_operations", "risk_compliance"],
        "lasts_hours": 24,
        "confirm_minutes": 30,
        "any_time": True,
    },
    "strategy": {"kind": "canary", "least_minutes": 30, "most_p99_ms": 80},
    "monitoring": {"most_p99_ms": 90},
    "reattestation": {"every_days": 90, "triggers": ["drift"], "gates": ["review", "release"], "within_days": 20},
    "standard_change": STANDARD,
    "amendments": {"outputs": ["validator"]},
    "aspects": {
        "tools.hardware": {"freedom": "undeclared", "answered_by": "analytic_engineer"},
        "packages.others": {
            "freedom": "free",
            "answered_by": "it_operations",
            "cases": [{"target_kinds": ["production"], "risk_tiers": ["high"], "freedom": "constrained"}],
        },
        "outputs.consumers": {"freedom": "constrained", "allowed": ["a", "b"]},
    },
    "gates": {
        "review": REVIEW,
        "release": {"signoffs": [{"key": "go", "role": "it_operations", "meaning": "approval", "valid_days": 30}]},
        "confirm": {"signoffs": [{"key": "outputs", "role": "integration_owner", "meaning": "approval"}]},
    },
}
TOLD = {
    "amendment outputs": "amendments of the outputs signed by Validator",
    "amendment source": "amendments of the source signed by Analytic engineer and IT operations",
    "applies": "it applies to low, high risk into staging, production, for models of the type ranking or anomaly "
    "detection",
    "aspect outputs.consumers": "outputs.consumers is constrained to a, b",
    "aspect packages.others": "packages.others is free; constrained for production, high",
    "aspect tools.hardware": "tools.hardware is undeclared, Analytic engineer answers",
    "break-glass": "break-glass for 24 hours, confirmed by IT operations or Risk compliance within 30 minutes, "
    "outside windows and in freezes, too",
    "confirm sign-off outputs": "confirm: the sign-off outputs by Integration owner: approval",
    "drift": "what drifts is a matter to report",
    "duties": "holders who have acknowledged their duties",
    "element model": "the element model",
    "element runtime": "the element runtime",
    "expiry": "an end after 20 days",
    "findings": "findings closed by somebody else than their owner",
    "freeze Year end": "a freeze: Year end, 2026-12-18 to 2027-01-04 (UTC)",
    "lapses": "what is live stopped once a waiver ends or a condition is overdue",
    "monitoring": "what is live is monitored: at most 1 % failed in an hour, a 99th percentile of at most 90 ms, "
    "seen at least every 30 minutes",
    "re-attestation": "approvals at review and release given anew within 20 days: every 90 days, "
    "when its target drifted from what was signed",
    "release sign-off go": "release: the sign-off go by IT operations: approval, for 30 days",
    "retention": "records kept for 7 years after the end",
    "retirement": "14 days of notice before a retirement",
    "retrain": "no retrain is light, so that all sign for each",
    "review answer load": "review: “How many?” answered by Analytic engineer, with figure, the figure > 0 and < 200, "
    "where purpose is yes or not_applicable",
    "review answer purpose": "review: “Written down?” answered by Data scientist, with file or link, by two people, "
    "for 90 days",
    "review differences": "review: differences acknowledged by IT operations",
    "review sign-off owner": "review: the sign-off owner by Model owner: approval, waited for above medium risk",
    "review sign-off look": "review: the sign-off look by IT operations: review, advisory",
    "review sign-off risk": "review: the sign-off risk by 2 of Model owner, Validator, Risk compliance: approval, "
    "after validation",
    "review sign-off validation": "review: the sign-off validation by Validator (2 people): review",
    "sandbox": "tests in sandbox L2 at least",
    "standard-change": "a change is standard if signed at review by Validator; release by IT operations, where only "
    "model, golden, tools.hardware differ; roc_auc worse by 0.005, minimum 0.8; at most 3 in a row, within 60 days of "
    "a full review",
    "strategy": "a canary of at least 30 minutes and 1000 requests, with at most 1 % failed, and a 99th percentile of "
    "at most 80 ms",
    "test integrity": "the promotion test integrity",
    "test performance": "the promotion test performance",
    "threshold latency_p99_ms": "thresholds: a p99 latency of at most 9 ms",
    "threshold rmse": "thresholds: rmse of at most 5",
    "waivers": "requirements are waived for at most 60 days by Risk compliance",
    "window 0": "a deployment window: mon 09:00 to 10:00 (UTC)",
}
SILENT = {
    "amendment outputs": "amendments of the outputs signed by Integration owner",
    "amendment source": "amendments of the source signed by Analytic engineer and IT operations",
    "applies": "it applies to low, medium, high risk into production",
    "break-glass": "nobody deploys by break-glass",
    "drift": "what drifts is a matter to suspend",
    "element golden": "the element golden",
    "element input_schema": "the element input_schema",
    "element model": "the element model",
    "element output_schema": "the element output_schema",
    "element runtime": "the element runtime",
    "element thresholds": "the element thresholds",
    "element validation": "the element validation",
    "expiry": "an end after 30 days",
    "release sign-off release": "release: the sign-off release by IT operations: approval",
    "retention": "records kept for 10 years after the end",
    "retrain": "no retrain is light, so that all sign for each",
    "review answer purpose": "review: “Written down?” answered by Data scientist",
    "review sign-off risk": "review: the sign-off risk by Risk compliance: approval, after validation",
    "review sign-off validation": "review: the sign-off validation by Validator: review",
    "standard-change": "no change is standard, so that all sign for each",
    "test golden": "the promotion test golden",
    "waivers": "no requirement is waived",
}
# What holds of each aspect in production at high risk under the whole policy.
HELD = {
    "data.fields": "constrained",
    "data.input_schema": "locked",
    "data.transport": "free",
    "outputs.consumers": "constrained to a, b",
    "outputs.output_schema": "locked",
    "outputs.transport": "free",
    "packages.others": "constrained",
    "packages.required": "constrained",
    "people.organisation": "free",
    "people.owner": "free",
    "purpose.kind": "free",
    "purpose.purpose": "free",
    "requirements.elements": "locked",
    "requirements.environment": "free",
    "requirements.version": "locked",
    "tools.hardware": "undeclared, Analytic engineer answers",
    "tools.python": "constrained",
    "tools.systems": "free",
}


def test_every_part_of_a_policy_is_told() -> None:
    assert demands(parse(FULL)) == TOLD


def test_what_a_policy_does_not_say_is_told_as_it_is_then() -> None:
    assert demands(parse(GOOD)) == SILENT
    here = demands(parse(GOOD), "production", "low")
    assert here["aspect tools.hardware"] == "tools.hardware is undeclared", "and nobody answers"
    assert {key: told for key, told in here.items() if not key.startswith("aspect ")} == {
        key: told for key, told in SILENT.items() if key != "applies"
    }


def test_in_one_place_at_one_tier_only_what_holds_there_is_told() -> None:
    """Every aspect is, though the policy is silent of most; and nobody asks there where else it would be waited for."""
    rest = {key: told for key, told in TOLD.items() if not key.startswith("aspect ") and key != "applies"}
    del rest["review sign-off look"]
    aspects = {f"aspect {name}": f"{name} is {told}" for name, told in HELD.items()}
    owner = {"review sign-off owner": "review: the sign-off owner by Model owner: approval"}
    assert demands(parse(FULL), "production", "high") == rest | aspects | owner
    low = demands(parse(FULL), "staging", "low")
    assert low["aspect packages.others"] == "packages.others is free"
    assert rest.keys() - low.keys() == {"review sign-off owner"}
    advice = SignOffRule("look", "it_operations", "review", advisory=True)
    assert signoff_in_words(advice) == "the sign-off look by IT operations: review, advisory"
    assert signoff_in_words(advice, "low") == "the sign-off look by IT operations: review"


TEMPLATE = {"template": "eu", "title": "The AI act", "digest": "d" * 64, "least": 62.5}


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        (
            {"break_glass": {"roles": ["it_operations"]}},
            "break-glass",
            "break-glass for 24 hours, confirmed by IT operations within 60 minutes",
        ),
        (
            {"reattestation": {"every_days": 90}},
            "re-attestation",
            "approvals at release given anew within 30 days: every 90 days",
        ),
        (
            {"reattestation": {"triggers": ["risk", "drift"]}},
            "re-attestation",
            "approvals at release given anew within 30 days: when its target drifted from what was signed, when the "
            "model's risk tier was changed",
        ),
        (
            {
                "retrain": {
                    "signers": {"review": ["validator", "risk_compliance"]},
                    "metrics": {
                        "rmse": {"worse_by_percent": 5, "better_by": 2, "maximum": 9},
                        "f1": {"worse_by": 0, "minimum": 0},
                    },
                    "elements": [],
                },
            },
            "retrain",
            "a retrain is light if signed at review by Validator and Risk compliance, where only model differ; "
            "f1 worse by 0, minimum 0; rmse worse by percent 5, better by 2, maximum 9; at most 3 in a row, within 90 "
            "days of a full review",
        ),
        ({"strategy": {"kind": "direct"}}, "strategy", None),
        ({"lapses": "suspend"}, "lapses", None),
        ({"sandbox": {"least": "L0"}}, "sandbox", None),
        ({"retirement": {"notice_days": 0}}, "retirement", None),
        ({"retirement": {"notice_days": 1}}, "retirement", "1 days of notice before a retirement"),
        (
            {"aspects": {"tools.hardware": {"freedom": "free", "answered_by": "validator"}}},
            "aspect tools.hardware",
            "tools.hardware is free",
        ),
        (
            {"aspects": {"people.owner": {"cases": [{"risk_tiers": ["low"], "freedom": "locked"},
                                                    {"target_kinds": ["test"], "freedom": "locked"}]}}},
            "aspect people.owner",
            "people.owner is free; locked for low; locked for test",
        ),
        (
            {"gates": GOOD["gates"] | {"release": GOOD["gates"]["release"] | {"checklist": {"included": [TEMPLATE]}}}},
            "release template eu",
            "release: the checklist The AI act, with a score of at least 62.5",
        ),
        (
            {
                "gates": GOOD["gates"]
                | {
                    "release": GOOD["gates"]["release"]
                    | {"checklist": [{"key": "passed", "question": "All passed?", "fact": "tests.passed"}]}
                }
            },
            "release answer passed",
            "release: “All passed?” computed from tests.passed",
        ),
    ],
)  # fmt: skip
def test_what_is_said_otherwise_is_told_so_and_changes_no_other_word(
    change: dict[str, Any], key: str, told: str | None
) -> None:
    content = GOOD | {"tests": ["golden", "performance"]}
    expected = demands(parse(content)) | ({key: told} if told else {})
    assert demands(parse(content | change)) == expected


def test_changes_are_what_came_what_went_and_what_is_otherwise() -> None:
    found = changes({"a": "one", "b": "two", "c": "three"}, {"b": "two", "c": "four", "d": "five"})
    assert found == Changes(gained=("five",), lost=("one",), changed=("four (was: three)",))
    assert [bool(one) for one in (found, changes({"a": "one"}, {"a": "one"}))] == [True, False]
    assert all(bool(Changes(**{part: ("x",)})) for part in ("gained", "lost", "changed"))


@pytest.mark.parametrize(
    ("place", "value", "gained", "lost"),
    [
        ("release.signoffs.0.valid_days", 10, (), ()),
        ("review.signoffs.1.after", [], (), ()),
        ("review.acknowledge", "", (), ("review: differences acknowledged by IT operations",)),
    ],
)
def test_one_changed_word_is_one_change(place: str, value: Any, gained: tuple[str, ...], lost: tuple[str, ...]) -> None:
    content = deepcopy(FULL)
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    at: Any = content["gates"]
    for step in way:
        at = at[step]
    if value:
        at[last] = value
    else:
        del at[last]
    found = changes(demands(parse(FULL)), demands(parse(content)))
    assert (found.gained, found.lost) == (gained, lost)
    assert len(found.changed) == (0 if gained or lost else 1)
