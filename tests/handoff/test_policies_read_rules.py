"""What a policy is read as, part by part, and each mistake in the very words in which people are told of it."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.rules.aspects import USUAL, Aspect, Case
from handoff.rules.checklists import ChecklistItem, Included
from handoff.rules.policies import parse
from handoff.rules.policy_reader import MOST_REMINDERS, PolicyReader, circle_from
from handoff.rules.policy_terms import (
    ELEMENTS,
    MODEL_TYPES,
    MOST_SIGNERS,
    TIERS,
    USUAL_ELEMENTS,
    Gate,
    PolicyRules,
    SignOffRule,
)
from handoff.rules.reading import ROLES
from tests.handoff.test_policies_rules import GOOD, changed, mistakes

QUORUM = {"key": "both", "meaning": "approval", "quorum": {"of": ["risk_compliance", "validator"], "count": 2}}
SIGNERS = f"must be a whole number from 1 to {MOST_SIGNERS}"
ONE_ROLE = f"must be one of {', '.join(ROLES)}"
SOME_ROLES = f"must be a list, not empty, of {', '.join(ROLES)}"
LOOSER = "is required where first is advisory, and would wait for it"
SILENCE = "; a gate never opens by silence"


def confirming(*signoffs: dict[str, Any]) -> dict[str, Any]:
    """Return the good policy with these at its confirm gate, at which nobody must sign."""
    return changed("gates.confirm", {"signoffs": list(signoffs)})


def ordered(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return what is wrong where one of two sign-offs comes after the other, each with more in it."""
    one = {"key": "first", "role": "validator", "meaning": "review"} | first
    other = {"key": "second", "role": "risk_compliance", "meaning": "approval", "after": ["first"]} | second
    return mistakes(confirming(one, other))


def with_aspects(raw: Any) -> dict[str, Any]:
    """Return the good policy with a lock policy, in which IT operations acknowledges."""
    return changed("gates.review.acknowledge", "it_operations") | {"aspects": raw}


# The whole


def test_what_a_policy_leaves_out_is_as_usual() -> None:
    assert parse(GOOD) == PolicyRules(
        key="p",
        title="P",
        risk_tiers=TIERS,
        target_kinds=("production",),
        elements=USUAL_ELEMENTS,
        tests=("golden",),
        gates={
            "review": Gate(
                "review",
                (ChecklistItem("purpose", "Written down?", "data_scientist"),),
                signoffs=(
                    SignOffRule("validation", "validator", "review"),
                    SignOffRule("risk", "risk_compliance", "approval", after=("validation",)),
                ),
            ),
            "release": Gate("release", signoffs=(SignOffRule("release", "it_operations", "approval"),)),
        },
    )


@pytest.mark.parametrize(
    ("part", "raw", "name", "found"),
    [
        ("elements", ["training", "model"], "elements", ("model", "training")),
        ("tests", ["latency", "integrity"], "tests", ("integrity", "latency")),
        ("expires_after_days", 1, "expires_after_days", 1),
        ("expires_after_days", 3650, "expires_after_days", 3650),
        ("drift", "report", "drift", "report"),
        ("lapses", "stop", "lapses", "stop"),
        ("reminders_before_days", [], "reminders_before_days", ()),
        ("reminders_before_days", [365, 1], "reminders_before_days", (365, 1)),
        ("reminders_before_days", [7] * MOST_REMINDERS, "reminders_before_days", (7,) * MOST_REMINDERS),
        ("acknowledged_duties", True, "acknowledged_duties", True),
        ("amendments", {}, "amendments", {}),
        (
            "amendments",
            {"outputs": ["validator", "model_owner"]},
            "amendments",
            {"outputs": ("model_owner", "validator")},
        ),
        ("amendments", {"source": ["validator"]}, "amendments", {"source": ("validator",)}),
        ("applies_to.model_types", ["ranking", "classification"], "model_types", ("classification", "ranking")),
        ("applies_to.risk_tiers", ["high", "low"], "risk_tiers", ("low", "high")),
        ("applies_to.target_kinds", ["staging", "test"], "target_kinds", ("test", "staging")),
    ],
)
def test_what_a_policy_says_is_read(part: str, raw: Any, name: str, found: Any) -> None:
    assert getattr(parse(changed(part, raw)), name) == found


@pytest.mark.parametrize(
    ("place", "value", "wrong", "told"),
    [
        ("policy", "a policy", "policy", "must be a short name of letters, digits, - and _, at most 50"),
        ("title", " ", "title", "must be a text of at most 1000 characters"),
        ("applies_to", [], "applies_to", "must be a mapping"),
        (
            "applies_to.target_kind",
            [],
            "applies_to.target_kind",
            "is not known (did you mean target_kinds?); known are model_types, risk_tiers, target_kinds",
        ),
        ("applies_to.risk_tiers", [], "applies_to.risk_tiers", "must be a list, not empty, of low, medium, high"),
        (
            "applies_to.target_kinds",
            ["productoin"],
            "applies_to.target_kinds",
            "must be a list, not empty, of test, staging, production (did you mean production?)",
        ),
        (
            "applies_to.model_types",
            [],
            "applies_to.model_types",
            f"must be a list, not empty, of {', '.join(MODEL_TYPES)}",
        ),
        ("elements", [], "elements", f"must be a list, not empty, of {', '.join(ELEMENTS)}"),
        ("expires_after_days", 0, "expires_after_days", "must be a whole number of days from 1 to 3650"),
        ("expires_after_days", 3651, "expires_after_days", "must be a whole number of days from 1 to 3650"),
        ("drift", "ignore", "drift", "must be one of suspend, report"),
        ("lapses", "stopp", "lapses", "must be one of stop, suspend (did you mean stop?)"),
        ("acknowledged_duties", "yes", "acknowledged_duties", "must be true or false"),
        ("reminders_before_days", 7, "reminders_before_days", "must be a list of at most 20 whole numbers of days"),
        (
            "reminders_before_days",
            [7] * (MOST_REMINDERS + 1),
            "reminders_before_days",
            "must be a list of at most 20 whole numbers of days",
        ),
        (
            "reminders_before_days",
            [7, 0],
            "reminders_before_days[1]",
            "must be a whole number of days from 1 to 365",
        ),
        (
            "reminders_before_days",
            [366],
            "reminders_before_days[0]",
            "must be a whole number of days from 1 to 365",
        ),
        ("amendments", [], "amendments", "must be a mapping"),
        (
            "amendments",
            {"output": ["validator"]},
            "amendments.output",
            "is not known (did you mean outputs?); known are outputs, source",
        ),
        ("amendments", {"source": []}, "amendments.source", SOME_ROLES),
    ],
)
def test_a_mistake_in_a_part_is_told(place: str, value: Any, wrong: str, told: str) -> None:
    found = mistakes(changed(place, value))
    assert found.get(wrong) == told
    assert set(found) <= {wrong, "applies_to.risk_tiers", "applies_to.target_kinds"}


def test_where_no_days_are_understood_nobody_is_reminded() -> None:
    assert PolicyReader().reminders(7) == ()


def test_what_is_wrong_in_the_parts_of_a_policy_is_told_of_each() -> None:
    """Of those that have a reader of their own, too."""
    parts = (
        "thresholds", "windows", "freezes", "findings", "waivers", "retention", "retirement", "break_glass",
        "standard_change", "retrain", "strategy", "monitoring", "sandbox", "reattestation", "aspects", "gates",
    )  # fmt: skip
    found = mistakes(GOOD | dict.fromkeys(parts, 7))
    assert {place.partition(".")[0].partition("[")[0] for place in found} == set(parts)


# Gates


def test_a_gate_is_read_with_all_that_it_asks_for() -> None:
    put_in = {"template": "model-card", "title": "Model card", "digest": "d"}
    gate = {
        "checklist": {"items": [{"key": "load", "question": "So?", "role": "validator"}], "included": [put_in]},
        "acknowledge": "it_operations",
        "signoffs": [QUORUM],
    }
    found = parse(changed("gates.confirm", gate)).gate("confirm")
    assert found == Gate(
        "confirm",
        (ChecklistItem("load", "So?", "validator"),),
        "it_operations",
        (SignOffRule("both", "", "approval", 2, quorum=("validator", "risk_compliance")),),
        (Included("model-card", "Model card", "d"),),
    )
    assert parse(changed("gates.confirm", {})).gate("confirm") == Gate("confirm")


@pytest.mark.parametrize("nobody", ["", None])
def test_a_gate_may_say_that_nobody_acknowledges(nobody: str | None) -> None:
    assert parse(changed("gates.review.acknowledge", nobody)).gate("review").acknowledge == ""


def test_gates_are_read_in_the_order_in_which_they_are_passed() -> None:
    gates = {name: GOOD["gates"][name] for name in ("release", "review")}
    assert list(parse(changed("gates", {"confirm": {}} | gates)).gates) == ["review", "release", "confirm"]


@pytest.mark.parametrize(
    ("place", "value", "wrong", "told"),
    [
        ("gates.test", {}, "gates.test", "is not known; known are confirm, release, review"),
        ("gates.confirm", [], "gates.confirm", "must be a mapping"),
        (
            "gates.review.signoff",
            [],
            "gates.review.signoff",
            "is not known (did you mean signoffs?); known are acknowledge, checklist, signoffs",
        ),
        ("gates.review.acknowledge", "operations", "gates.review.acknowledge", None),
        ("gates.review.acknowledge", 0, "gates.review.acknowledge", ONE_ROLE),
        ("gates.confirm", {"signoffs": 7}, "gates.confirm.signoffs", "must be a list of at most 200 mappings"),
        ("gates.confirm", {"checklist": 7}, "gates.confirm.checklist", "must be a list of at most 200 mappings"),
        (
            "gates.review.checklist.0.visible_if",
            {"lost": "yes"},
            "gates.review.checklist.purpose.visible_if.lost",
            "is no item of this gate or an earlier one",
        ),
    ],
)
def test_a_mistake_in_a_gate_is_told(place: str, value: Any, wrong: str, told: str | None) -> None:
    found = mistakes(changed(place, value))
    assert list(found) == [wrong]
    assert told is None or found[wrong] == told


ADVISORY = {"key": "a", "role": "validator", "meaning": "review", "advisory": True}
ABOVE_LOW = {"key": "b", "role": "validator", "meaning": "review", "required_above": "low"}
ABOVE_MEDIUM = ABOVE_LOW | {"required_above": "medium"}
ALWAYS = {"key": "c", "role": "validator", "meaning": "review"}


@pytest.mark.parametrize(
    ("tiers", "signoffs", "told"),
    [
        (["low"], [ALWAYS], ""),
        (["low"], [ADVISORY, ALWAYS], ""),
        (["medium", "high"], [ADVISORY, ABOVE_LOW], ""),
        (["high"], [ABOVE_MEDIUM], ""),
        (["low", "medium", "high"], [ABOVE_LOW, ALWAYS], ""),
        (["low"], [], f"nobody must sign{SILENCE}"),
        (["low", "high"], [ABOVE_LOW], f"nobody must sign at low risk{SILENCE}"),
        (["medium", "high"], [ABOVE_MEDIUM], f"nobody must sign at medium risk{SILENCE}"),
        (["high"], [ADVISORY], f"nobody must sign at high risk{SILENCE}"),
    ],
)
@pytest.mark.parametrize("gate", ["review", "release"])
def test_somebody_must_sign_at_each_tier(tiers: list[str], signoffs: list[Any], told: str, gate: str) -> None:
    content = changed(f"gates.{gate}.signoffs", signoffs)
    content["applies_to"]["risk_tiers"] = tiers
    assert mistakes(content) == ({f"gates.{gate}.signoffs": told} if told else {})


@pytest.mark.parametrize(
    ("signoff", "told"), [(ABOVE_MEDIUM, None), (ADVISORY, f"nobody must sign at high risk{SILENCE}")]
)
def test_where_no_tier_is_understood_somebody_signs_at_the_highest(signoff: dict[str, Any], told: str | None) -> None:
    content = changed("gates.release.signoffs", [signoff])
    content["applies_to"]["risk_tiers"] = ["highest"]
    found = mistakes(content)
    assert found.pop("applies_to.risk_tiers").startswith("must be a list, not empty, of low, medium, high")
    assert found == ({"gates.release.signoffs": told} if told else {})


def test_the_gates_that_must_be_signed_are_told_where_they_are_missing() -> None:
    assert mistakes(GOOD | {"gates": {}}) == {
        f"gates.{gate}.signoffs": f"nobody must sign{SILENCE}" for gate in ("review", "release")
    }


# Sign-offs


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (
            {
                "key": "a",
                "role": "validator",
                "meaning": "review",
                "count": MOST_SIGNERS,
                "help": "Look twice.",
                "advisory": True,
                "valid_days": 3650,
            },
            SignOffRule("a", "validator", "review", MOST_SIGNERS, "Look twice.", advisory=True, valid_days=3650),
        ),
        (
            {"key": "a", "role": "validator", "meaning": "review", "count": 1, "valid_days": 1, "advisory": False},
            SignOffRule("a", "validator", "review", valid_days=1),
        ),
        (
            {"key": "a", "role": "model_owner", "meaning": "authorship", "required_above": "medium", "valid_days": 0},
            SignOffRule("a", "model_owner", "authorship", required_above="medium"),
        ),
        (QUORUM, SignOffRule("both", "", "approval", 2, quorum=("validator", "risk_compliance"))),
        (
            QUORUM | {"quorum": {"of": ["validator", "model_owner"], "count": 1}},
            SignOffRule("both", "", "approval", 1, quorum=("model_owner", "validator")),
        ),
    ],
)
def test_a_signoff_is_read_with_all_that_it_says(row: dict[str, Any], found: SignOffRule) -> None:
    assert parse(confirming(row)).gate("confirm").signoffs == (found,)


@pytest.mark.parametrize(
    ("row", "wrong", "told"),
    [
        ({"keys": "a"}, "keys", None),
        ({"key": "purpose"}, "key", "purpose stands twice in the policy"),
        ({"role": "somebody"}, "role", ONE_ROLE),
        ({"role": None}, "role", ONE_ROLE),
        ({"meaning": "consent"}, "meaning", "must be one of authorship, review, approval, responsibility"),
        ({"count": 0}, "count", SIGNERS),
        ({"count": MOST_SIGNERS + 1}, "count", SIGNERS),
        ({"after": "validation"}, "after", "must be a list of at most 100 short texts"),
        ({"advisory": 1}, "advisory", "must be true or false"),
        ({"required_above": "high"}, "required_above", "nothing is above high; say advisory: true"),
        ({"required_above": "none"}, "required_above", "must be one of low, medium, high"),
        (
            {"required_above": "low", "advisory": False},
            "advisory",
            "does not go with required_above, which says where it is advisory",
        ),
        ({"valid_days": -1}, "valid_days", "must be a whole number of days from 0 to 3650"),
        ({"valid_days": 3651}, "valid_days", "must be a whole number of days from 0 to 3650"),
    ],
)
def test_a_mistake_in_a_signoff_is_told(row: dict[str, Any], wrong: str, told: str | None) -> None:
    found = mistakes(confirming({"key": "a", "role": "validator", "meaning": "review"} | row))
    assert list(found) == [f"gates.confirm.signoffs[0].{wrong}"]
    assert told is None or found[f"gates.confirm.signoffs[0].{wrong}"] == told


def test_a_tier_that_nobody_knows_is_told_once() -> None:
    """The others are judged as if it said nothing."""
    found = mistakes(changed("gates.review.signoffs.0.required_above", "none"))
    assert found == {"gates.review.signoffs[0].required_above": "must be one of low, medium, high"}


@pytest.mark.parametrize(
    ("quorum", "more", "wrong"),
    [
        ({"of": ["validator", "model_owner"], "count": 3}, {}, {
            ".quorum.count": "can never be met: 3 must sign, and only 2 roles are named",
        }),
        ({"of": [], "count": 1}, {}, {".quorum.of": SOME_ROLES}),
        ({"count": 1}, {}, {".quorum.of": SOME_ROLES}),
        ({"of": ["validator"]}, {}, {".quorum.count": SIGNERS}),
        ({"of": ["validator"], "count": 0}, {}, {".quorum.count": SIGNERS}),
        ({"of": ["validator"], "count": MOST_SIGNERS + 1}, {}, {".quorum.count": SIGNERS}),
        ({"of": ["validator"], "count": 1, "off": []}, {}, {
            ".quorum.off": "is not known (did you mean of?); known are count, of",
        }),
        ("two", {}, {".quorum": "must be a mapping", ".quorum.of": SOME_ROLES, ".quorum.count": SIGNERS}),
        ({"of": ["validator"], "count": 1}, {"role": "validator"}, {
            ".role": "does not go with a quorum, which names its roles and its count itself",
        }),
        ({"of": ["validator"], "count": 1}, {"count": 1}, {
            ".count": "does not go with a quorum, which names its roles and its count itself",
        }),
    ],
)  # fmt: skip
def test_a_mistake_in_a_quorum_is_told(quorum: Any, more: dict[str, Any], wrong: dict[str, str]) -> None:
    found = mistakes(confirming({"key": "a", "meaning": "review", "quorum": quorum} | more))
    assert found == {f"gates.confirm.signoffs[0]{place}": told for place, told in wrong.items()}


# Who signs after whom


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ({}, {}, {}),
        ({}, {"after": []}, {}),
        (
            {},
            {"after": ["firts"]},
            {1: "the gate asks for no sign-off firts (did you mean first?); it asks for first, second"},
        ),
        ({}, {"after": ["release"]}, {1: "the gate asks for no sign-off release; it asks for first, second"}),
        ({}, {"after": ["first", "risk"]}, {1: "the gate asks for no sign-off risk; it asks for first, second"}),
        ({}, {"after": ["second"]}, {1: "goes in a circle: second after second"}),
        (
            {"after": ["second"]},
            {},
            {
                0: "goes in a circle: first after second after first",
                1: "goes in a circle: second after first after second",
            },
        ),
        ({"advisory": True}, {}, {1: LOOSER}),
        ({"advisory": True}, {"advisory": True}, {}),
        ({}, {"advisory": True}, {}),
        ({"required_above": "low"}, {}, {1: LOOSER}),
        ({"required_above": "low"}, {"required_above": "low"}, {}),
        ({"required_above": "low"}, {"required_above": "medium"}, {}),
        ({"required_above": "medium"}, {"required_above": "low"}, {1: LOOSER}),
    ],
)
def test_nobody_waits_for_what_does_not_come(
    first: dict[str, Any], second: dict[str, Any], wrong: dict[int, str]
) -> None:
    assert ordered(first, second) == {f"gates.confirm.signoffs[{at}].after": told for at, told in wrong.items()}


@pytest.mark.parametrize(
    ("start", "after", "circle"),
    [
        ("a", {"a": ()}, ""),
        ("a", {"a": ("a",)}, "aa"),
        ("a", {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, ""),
        ("a", {"a": ("b", "c"), "b": ("d",), "c": (), "d": ("a",)}, "abda"),
        ("a", {"a": ("b",), "b": ("c",), "c": ("b",)}, ""),
        ("a", {"a": ("lost",)}, ""),
        ("lost", {"a": ("lost",)}, ""),
    ],
)
def test_a_circle_is_found_where_it_comes_back_to_its_start(
    start: str, after: dict[str, tuple[str, ...]], circle: str
) -> None:
    rules = {key: SignOffRule(key, "validator", "review", after=keys) for key, keys in after.items()}
    assert circle_from(start, rules) == tuple(circle)


# The lock policy


HARDWARE = USUAL["tools.hardware"]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("free", replace(HARDWARE, freedom="free")),
        ({}, HARDWARE),
        ({"freedom": "locked"}, replace(HARDWARE, freedom="locked")),
        (
            {"freedom": "constrained", "allowed": ["b", "a"]},
            replace(HARDWARE, freedom="constrained", allowed=("b", "a")),
        ),
        ({"answered_by": "validator"}, replace(HARDWARE, answered_by="validator")),
        ({"changed_by": "model_owner"}, replace(HARDWARE, changed_by="model_owner")),
        (
            {
                "cases": [
                    {"freedom": "locked", "target_kinds": ["production", "test"], "risk_tiers": ["high", "low"]},
                    {"freedom": "constrained", "allowed": ["a"]},
                ]
            },
            replace(
                HARDWARE,
                cases=(Case("locked", ("test", "production"), ("low", "high")), Case("constrained", allowed=("a",))),
            ),
        ),
    ],
)
def test_an_aspect_is_read_with_all_that_is_said_of_it(raw: Any, found: Aspect) -> None:
    assert parse(with_aspects({"tools.hardware": raw})).aspects == {"tools.hardware": found}


def test_aspects_are_read_in_the_order_in_which_they_are_known() -> None:
    found = parse(with_aspects({"tools.hardware": "free", "people.owner": "locked"})).aspects
    assert list(found.items()) == [
        ("people.owner", replace(USUAL["people.owner"], freedom="locked")),
        ("tools.hardware", replace(HARDWARE, freedom="free")),
    ]


FREEDOM = "must be one of locked, constrained, free, undeclared"
CASE = "aspects.tools.hardware.cases[1]"


@pytest.mark.parametrize(
    ("raw", "wrong", "told"),
    [
        ({"freedom": "loose"}, "aspects.tools.hardware.freedom", FREEDOM),
        (["free"], "aspects.tools.hardware", "must be a mapping"),
        (
            {"freedoms": "free"},
            "aspects.tools.hardware.freedoms",
            "is not known (did you mean freedom?); known are allowed, answered_by, cases, changed_by, freedom",
        ),
        (
            {"freedom": "free", "allowed": 7},
            "aspects.tools.hardware.allowed",
            "must be a list of at most 100 short texts",
        ),
        (
            {"freedom": "constrained"},
            "aspects.tools.hardware",
            "is constrained by no rule; say which values are allowed",
        ),
        ({"answered_by": None}, "aspects.tools.hardware.answered_by", ONE_ROLE),
        ({"changed_by": "boss"}, "aspects.tools.hardware.changed_by", ONE_ROLE),
        ({"cases": {}}, "aspects.tools.hardware.cases", "must be a list of at most 200 mappings"),
        ({"cases": [{"freedom": "free"}, {"freedom": None}]}, f"{CASE}.freedom", FREEDOM),
        ({"cases": [{"freedom": "free"}, {}]}, f"{CASE}.freedom", FREEDOM),
        (
            {"cases": [{"freedom": "free"}, {"freedom": "free", "who": 1}]},
            f"{CASE}.who",
            "is not known; known are allowed, freedom, risk_tiers, target_kinds",
        ),
        (
            {"cases": [{"freedom": "free"}, {"freedom": "free", "target_kinds": 7}]},
            f"{CASE}.target_kinds",
            "must be a list of test, staging, production",
        ),
        (
            {"cases": [{"freedom": "free"}, {"freedom": "free", "risk_tiers": ["none"]}]},
            f"{CASE}.risk_tiers",
            "must be a list of low, medium, high",
        ),
        (
            {"cases": [{"freedom": "free"}, {"freedom": "free", "allowed": "a"}]},
            f"{CASE}.allowed",
            "must be a list of at most 100 short texts",
        ),
    ],
)
def test_a_mistake_in_an_aspect_is_told(raw: Any, wrong: str, told: str) -> None:
    found = mistakes(with_aspects({"tools.hardware": raw}))
    assert found.pop(wrong) == told
    assert set(found) <= {"aspects.tools.hardware"}  # what such a freedom means there


def test_an_aspect_that_nobody_knows_is_told() -> None:
    found = mistakes(with_aspects({"tools.hardwares": "free"}))
    assert list(found) == ["aspects.tools.hardwares"]
    assert str(found["aspects.tools.hardwares"]).startswith("is not known (did you mean tools.hardware?); known are ")


def test_what_is_undeclared_is_answered_for_by_who_acknowledges_at_the_review() -> None:
    """Not at another gate."""
    aspects = {"aspects": {"tools.hardware": "undeclared"}}
    told = "is undeclared and nobody answers for it; name answered_by, or acknowledge at the review gate"
    assert mistakes(with_aspects(aspects["aspects"])) == {}
    assert mistakes(GOOD | aspects) == {"aspects.tools.hardware": told}
    assert mistakes(changed("gates.release.acknowledge", "it_operations") | aspects) == {"aspects.tools.hardware": told}
    assert mistakes(GOOD | aspects | {"gates": {}})["aspects.tools.hardware"] == told
