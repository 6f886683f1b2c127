"""Policies are read strictly: each mistake by its place, all of them at once, with the word that was likely meant."""

from copy import deepcopy
from itertools import product
from typing import Any

import pytest

from handoff.errors import Invalid
from handoff.rules.policies import parse
from handoff.rules.policy_reader import PolicyReader, circle_from
from handoff.rules.policy_terms import SignOffRule

GOOD: dict[str, Any] = {
    "policy": "p",
    "title": "P",
    "applies_to": {"risk_tiers": ["low", "medium", "high"], "target_kinds": ["production"]},
    "tests": ["golden"],
    "gates": {
        "review": {
            "checklist": [{"key": "purpose", "question": "Written down?", "role": "data_scientist"}],
            "signoffs": [
                {"key": "validation", "role": "validator", "meaning": "review"},
                {"key": "risk", "role": "risk_compliance", "meaning": "approval", "after": ["validation"]},
            ],
        },
        "release": {"signoffs": [{"key": "release", "role": "it_operations", "meaning": "approval"}]},
    },
}


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return the good policy with something else in one place, such as gates.review.signoffs.1.after."""
    content = deepcopy(GOOD)
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    at: Any = content
    for step in way:
        at = at[step]
    at[last] = value
    return content


def mistakes(content: dict[str, Any]) -> dict[str, Any]:
    """Return what is wrong with a policy, by its place."""
    reader = PolicyReader()
    reader.policy(content)
    return reader.mistakes


def test_the_good_one_is_good() -> None:
    assert mistakes(GOOD) == {}


@pytest.mark.parametrize(
    ("place", "value", "wrong", "told"),
    [
        ("gatez", {}, "gatez", "did you mean gates?"),
        ("gates.review.signoff", [], "gates.review.signoff", "did you mean signoffs?"),
        ("gates.review.signoffs.0.role", "validater", "gates.review.signoffs[0].role", "did you mean validator?"),
        ("gates.review.signoffs.0.meaning", "approve", "gates.review.signoffs[0].meaning", "did you mean approval?"),
        ("gates.review.signoffs.0.count", 0, "gates.review.signoffs[0].count", "from 1 to 20"),
        ("gates.review.signoffs.0.count", True, "gates.review.signoffs[0].count", "from 1 to 20"),
        ("gates.review.signoffs.0.key", "purpose", "gates.review.checklist[0].key", "stands twice"),
        ("gates.review.signoffs.1.after", ["validatio"], "gates.review.signoffs[1].after", "did you mean validation?"),
        ("gates.review.signoffs.1.after", ["release"], "gates.review.signoffs[1].after", "asks for no sign-off"),
        ("gates.review.signoffs.1.after", ["risk"], "gates.review.signoffs[1].after", "risk after risk"),
        ("gates.review.signoffs.0.after", ["risk"], "gates.review.signoffs[0].after", "in a circle"),
        ("gates.review.signoffs.0.advisory", True, "gates.review.signoffs[1].after", "would wait for it"),
        ("gates.review.signoffs.0.advisory", "yes", "gates.review.signoffs[0].advisory", "true or false"),
        ("gates.review.signoffs.0.required_above", "low", "gates.review.signoffs[1].after", "would wait for it"),
        ("gates.release.signoffs.0.required_above", "high", "gates.release.signoffs[0].required_above", "nothing is"),
        ("gates.release.signoffs.0.required_above", "low", "gates.release.signoffs", "nobody must sign at low risk"),
        ("gates.release.signoffs.0.advisory", True, "gates.release.signoffs", "never opens by silence"),
        ("gates.release.signoffs", [], "gates.release.signoffs", "never opens by silence"),
        ("tests", ["golden", "latencies"], "tests", "did you mean latency?"),
        ("elements", ["modell"], "elements", "did you mean model?"),
    ],
)
def test_a_mistake_is_named_by_its_place(place: str, value: Any, wrong: str, told: str) -> None:
    found = mistakes(changed(place, value))
    assert told in found[wrong], found


@pytest.mark.parametrize(
    ("quorum", "more", "wrong", "told"),
    [
        ({"of": ["validator", "model_owner"], "count": 3}, {}, ".quorum.count", "can never be met"),
        ({"of": [], "count": 1}, {}, ".quorum.of", "not empty"),
        ({"of": ["validator"]}, {}, ".quorum.count", "whole number"),
        ({"of": ["validator"], "count": 0}, {}, ".quorum.count", "whole number"),
        ({"of": ["administrator"], "count": 1}, {}, ".quorum.of", "must be a list"),
        ({"of": ["validator", "validator"], "count": 2}, {}, ".quorum.count", "only 1 roles"),
        ({"off": ["validator"], "count": 1}, {}, ".quorum.off", "did you mean of?"),
        ({"of": ["validator"], "count": 1}, {"role": "validator"}, ".role", "does not go with a quorum"),
        ({"of": ["validator"], "count": 1}, {"count": 2}, ".count", "does not go with a quorum"),
        ("two", {}, ".quorum", "must be a mapping"),
    ],
)
def test_a_quorum_that_cannot_be_met_is_refused(quorum: Any, more: dict[str, Any], wrong: str, told: str) -> None:
    rule = {"key": "validation", "meaning": "review", "quorum": quorum} | more
    found = mistakes(changed("gates.review.signoffs.0", rule))
    assert told in found[f"gates.review.signoffs[0]{wrong}"], found


def test_all_mistakes_are_told_at_once() -> None:
    content = changed("tests", [])
    with pytest.raises(Invalid) as refusal:
        parse(content)
    assert refusal.value.code == "policy_invalid"
    content |= {"title": "", "expires_after_days": 0, "drift": "ignore", "colour": "red"}
    content["gates"]["review"]["signoffs"][0]["meaning"] = ""
    assert {"tests", "title", "expires_after_days", "drift", "colour", "gates.review.signoffs[0].meaning"} == set(
        mistakes(content)
    )


def test_every_order_of_three_is_refused_exactly_if_it_is_a_circle() -> None:
    """Over all 512 orders of three sign-offs: one without a circle can be sorted, one with cannot."""
    names = ("a", "b", "c")
    for arrows in product((False, True), repeat=9):
        pairs = [(names[at // 3], names[at % 3]) for at, there in enumerate(arrows) if there]
        rules = {
            one: SignOffRule(one, "validator", "review", after=tuple(b for a, b in pairs if a == one)) for one in names
        }
        left, changed_ = set(names), True
        while changed_:
            free = {one for one in left if not set(rules[one].after) & left}
            changed_, left = bool(free), left - free
        assert any(circle_from(one, rules) for one in names) == bool(left), pairs
