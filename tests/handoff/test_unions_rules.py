"""What each part of two policies becomes in their union, to the word, and why some cannot hold together."""

from typing import Any

import pytest

from handoff.errors import Conflicting, Invalid
from handoff.rules.policies import digest_of
from handoff.rules.policy_terms import USUAL_ELEMENTS
from handoff.rules.subjects import Subject
from handoff.rules.unions import applied_in, union
from tests.handoff.test_policies_rules import GOOD

Content = dict[str, Any]
ONE = GOOD | {"tests": ["golden", "performance"], "gates": GOOD["gates"] | {"confirm": {}}}
OTHER = ONE | {"policy": "q", "title": "Q"}
HIGH = Subject("production", "high")
# What the union of these two says, but for the names of both.
BOTH = ONE | {
    "title": "P + Q",
    "applies_to": {"risk_tiers": ["high"], "target_kinds": ["production"]},
    "elements": list(USUAL_ELEMENTS),
    "expires_after_days": 30,
    "drift": "suspend",
    "aspects": {},
    "gates": {
        "review": GOOD["gates"]["review"]
        | {"signoffs": [row | {"count": 1} for row in GOOD["gates"]["review"]["signoffs"]]},
        "release": {"signoffs": [GOOD["gates"]["release"]["signoffs"][0] | {"count": 1}]},
        "confirm": {},
    },
}


def united(one: Content, other: Content) -> Content:
    """Return the union of two policies that say this beside what both say, but for the names of both."""
    found = union([(ONE | one, 1), (OTHER | other, 2)], HIGH)
    del found["union_of"]
    return found


def refused(one: Content, other: Content) -> str:
    """Return why two policies cannot hold together."""
    with pytest.raises(Conflicting) as refusal:
        united(one, other)
    return str(refusal.value.message)


def test_the_union_of_one_is_that_one() -> None:
    assert union([(GOOD, 3)], HIGH) == GOOD
    assert applied_in(GOOD) == ("p",)
    assert applied_in(None) == ()


def test_a_union_is_of_the_very_contents_with_their_revisions_and_changes_none_of_them() -> None:
    found = union([(OTHER, 7), (ONE, 3)], HIGH)
    assert found == BOTH | {
        "union_of": [
            {"policy": "p", "revision": 3, "digest": digest_of(ONE)},
            {"policy": "q", "revision": 7, "digest": digest_of(OTHER)},
        ]
    }
    assert applied_in(found) == ("p", "q")
    assert "elements" not in ONE | OTHER
    assert "count" not in ONE["gates"]["release"]["signoffs"][0]
    third = ONE | {"policy": "r", "title": "R", "expires_after_days": 9}
    three = union([(third, 1), (ONE, 1), (OTHER, 1)], HIGH)
    assert (three["title"], three["expires_after_days"]) == ("P + Q + R", 9)
    assert [one["policy"] for one in three["union_of"]] == ["p", "q", "r"]


CANARY = {"kind": "canary", "least_minutes": 30, "least_requests": 500, "most_p99_ms": 80}
WATCHED = {"most_failed_percent": 1.0, "most_unseen_minutes": 30}  # what is watched where nothing else is said
GLASS = {"roles": ["it_operations"], "lasts_hours": 9, "confirm_minutes": 50, "any_time": True}
RISK = {"approver": "risk_compliance"}
SMALL = {
    "signers": {"review": ["validator"]},
    "metrics": {"rmse": {"worse_by": 2, "maximum": 9}},
    "elements": ["golden", "runtime"],
    "aspects": ["tools.hardware", "people.owner"],
    "at_most": 2,
    "within_days": 50,
}
SMALLER = {
    "signers": {"release": ["it_operations"], "review": ["risk_compliance"]},
    "metrics": {"r2": {"worse_by": 0.1, "minimum": 0.5}, "rmse": {"worse_by": 3, "maximum": 8}},
    "elements": ["runtime"],
    "aspects": ["tools.python", "people.owner"],
    "at_most": 4,
    "within_days": 40,
}
SMALLEST = {
    "signers": {"review": ["validator", "risk_compliance"]},
    "metrics": {"rmse": {"worse_by": 2, "maximum": 8}, "r2": {"worse_by": 0.1, "minimum": 0.5}},
    "elements": ["runtime"],
    "aspects": ["people.owner"],
    "at_most": 2,
    "within_days": 40,
}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, {}),
        ({"elements": ["model"]}, {}, {}),
        ({"elements": ["model"]}, {"elements": ["training", "golden"]}, {"elements": ["model", "golden", "training"]}),
        ({"elements": ["training"]}, {}, {"elements": [*USUAL_ELEMENTS, "training"]}),
        ({"tests": ["latency"]}, {"tests": ["golden", "integrity"]}, {"tests": ["integrity", "golden", "latency"]}),
        ({"expires_after_days": 40}, {}, {}),
        ({"expires_after_days": 20}, {}, {"expires_after_days": 20}),
        ({"expires_after_days": 40}, {"expires_after_days": 50}, {"expires_after_days": 40}),
        ({"drift": "report"}, {}, {}),
        ({"drift": "report"}, {"drift": "suspend"}, {}),
        ({"drift": "report"}, {"drift": "report"}, {"drift": "report"}),
        ({"lapses": "stop"}, {}, {"lapses": "stop"}),
        ({"lapses": "suspend"}, {"lapses": "stop"}, {"lapses": "stop"}),
        ({"lapses": "suspend"}, {}, {"lapses": "suspend"}),
        ({"acknowledged_duties": True}, {}, {"acknowledged_duties": True}),
        ({"acknowledged_duties": True}, {"acknowledged_duties": False}, {"acknowledged_duties": True}),
        ({"acknowledged_duties": False}, {"acknowledged_duties": False}, {"acknowledged_duties": False}),
        ({"findings": {"another_closes": True}}, {}, {"findings": {"another_closes": True}}),
        (
            {"findings": {"another_closes": False}},
            {"findings": {"another_closes": True}},
            {"findings": {"another_closes": True}},
        ),
        ({"findings": {}}, {"findings": {}}, {"findings": {}}),
        ({"retention": {"years": 3}}, {"retention": {"years": 30}}, {"retention": {"years": 30}}),
        ({"retention": {"years": 3}}, {}, {"retention": {"years": 10}}),
        ({"retirement": {"notice_days": 3}}, {"retirement": {"notice_days": 9}}, {"retirement": {"notice_days": 9}}),
        ({"retirement": {"notice_days": 3}}, {}, {"retirement": {"notice_days": 3}}),
        ({"sandbox": {"least": "L2"}}, {"sandbox": {"least": "L1"}}, {"sandbox": {"least": "L2"}}),
        ({"sandbox": {"least": "L1"}}, {}, {"sandbox": {"least": "L1"}}),
        ({"waivers": RISK}, {}, {"waivers": None}),
        ({"waivers": RISK}, {"waivers": None}, {"waivers": None}),
        ({"waivers": RISK}, {"waivers": RISK}, {"waivers": RISK | {"max_days": 90, "warn_days": 14}}),
        (
            {"waivers": RISK | {"max_days": 60, "warn_days": 7}},
            {"waivers": RISK | {"max_days": 70, "warn_days": 30}},
            {"waivers": RISK | {"max_days": 60, "warn_days": 30}},
        ),
        (
            {"waivers": RISK | {"max_days": 100, "warn_days": 7}},
            {"waivers": RISK},
            {"waivers": RISK | {"max_days": 90, "warn_days": 14}},
        ),
        ({"break_glass": GLASS}, {}, {"break_glass": None}),
        ({"break_glass": GLASS}, {"break_glass": GLASS}, {"break_glass": GLASS}),
        (
            {"break_glass": GLASS},
            {"break_glass": {"roles": ["risk_compliance", "it_operations"], "lasts_hours": 10, "confirm_minutes": 20}},
            {"break_glass": GLASS | {"confirm_minutes": 20, "any_time": False}},
        ),
        ({"reattestation": None}, {"reattestation": None}, {"reattestation": None}),
        (
            {"reattestation": {"every_days": 90, "triggers": ["risk"], "within_days": 20}},
            {},
            {
                "reattestation": {
                    "every_days": 90,
                    "triggers": ["risk"],
                    "gates": ["release"],
                    "within_days": 20,
                }
            },
        ),
        (
            {"reattestation": {"every_days": 90, "triggers": ["risk"], "within_days": 20}},
            {"reattestation": {"triggers": ["drift"], "gates": ["review"]}},
            {
                "reattestation": {
                    "every_days": 90,
                    "triggers": ["drift", "risk"],
                    "gates": ["review", "release"],
                    "within_days": 20,
                }
            },
        ),
        ({"standard_change": SMALL}, {}, {"standard_change": None}),
        ({"standard_change": SMALL}, {"standard_change": SMALLER}, {"standard_change": SMALLEST}),
        ({"retrain": SMALL}, {}, {"retrain": None}),
        ({"retrain": SMALL}, {"retrain": SMALLER}, {"retrain": SMALLEST}),
        ({"strategy": CANARY}, {}, {"strategy": CANARY | {"most_failed_percent": 1.0}}),
        (
            {"strategy": CANARY},
            {"strategy": {"kind": "canary", "least_minutes": 20, "most_p99_ms": 70}},
            {"strategy": CANARY | {"least_requests": 1000, "most_failed_percent": 1.0, "most_p99_ms": 70}},
        ),
        ({"strategy": {"kind": "direct"}}, {}, {"strategy": {"kind": "direct"}}),
        ({"monitoring": {"most_p99_ms": 90}}, {}, {"monitoring": WATCHED | {"most_p99_ms": 90}}),
        (
            {"monitoring": {"most_p99_ms": 90}},
            {"monitoring": {"most_silent_hours": 5, "most_p99_ms": 80}},
            {"monitoring": WATCHED | {"most_p99_ms": 80, "most_silent_hours": 5}},
        ),
        ({"thresholds": {"peak_memory_mb": 9}}, {}, {"thresholds": {"peak_memory_mb": 9}}),
        ({"thresholds": {"metrics": {"r2": 0.5}}}, {}, {"thresholds": {"metrics": {"r2": 0.5}}}),
        (
            {"thresholds": {"metrics": {"rmse": 5, "r2": 0.5}, "latency_p99_ms": 9, "peak_memory_mb": 80}},
            {"thresholds": {"metrics": {"rmse": 4, "r2": 0.4, "f1": 0.7}, "latency_p99_ms": 8, "peak_memory_mb": 90}},
            {"thresholds": {"metrics": {"rmse": 4, "r2": 0.5, "f1": 0.7}, "latency_p99_ms": 8, "peak_memory_mb": 80}},
        ),
        (
            {"amendments": {"outputs": ["data_scientist"]}},
            {},
            {"amendments": {"outputs": ["data_scientist", "integration_owner"]}},
        ),
        (
            {"amendments": {"outputs": ["data_scientist"]}},
            {"amendments": {"outputs": ["validator"], "source": ["validator"]}},
            {
                "amendments": {
                    "outputs": ["data_scientist", "validator"],
                    "source": ["analytic_engineer", "it_operations", "validator"],
                }
            },
        ),
    ],
)
def test_of_two_that_say_something_the_stricter_counts(one: Content, other: Content, expected: Content) -> None:
    """Whichever of them comes first; and nothing but what they speak of is otherwise."""
    assert united(one, other) == BOTH | expected
    assert united(other, one) == BOTH | expected


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("reminders_before_days", [7, 2], [2, 1]),
        (
            "windows",
            [{"zone": "UTC", "open": [{"from": "09:00", "to": "10:00"}]}],
            [{"zone": "UTC", "open": [{"from": "11:00", "to": "12:00"}]}],
        ),
        (
            "freezes",
            [{"name": "f", "zone": "UTC", "from": "2026-01-01", "to": "2026-01-02"}],
            [{"name": "g", "zone": "UTC", "from": "2026-01-01", "to": "2026-01-02"}],
        ),
    ],
)
def test_lists_of_both_stand_one_after_the_other_and_nothing_twice(key: str, one: list[Any], other: list[Any]) -> None:
    more = [row for row in other if row not in one]
    assert united({key: one}, {key: other}) == BOTH | {key: [*one, *more]}
    assert united({key: one}, {key: one}) == united({key: one}, {}) == united({}, {key: one}) == BOTH | {key: one}
    assert united({key: []}, {key: []})[key] == []


def test_what_nobody_can_unite_is_refused_by_its_place() -> None:
    told = "Two policies that apply together say different things under {}.".format
    assert refused({"later": 1}, {"later": 2}) == told("later")
    assert refused({"later": 1}, {}) == refused({}, {"later": 1}) == told("later")
    assert refused({"waivers": RISK}, {"waivers": {"approver": "validator"}}) == told("waivers.approver")
    later = {"gates": ONE["gates"] | {"confirm": {"later": 1}}}
    assert refused(later, {}) == refused({}, later) == told("gates.confirm.later")
    with pytest.raises(Conflicting) as refusal:
        united({"later": 1}, {"later": 2})
    assert refusal.value.todo == "Say the same in both, or let one of them apply elsewhere."


def test_a_policy_that_nobody_understands_has_no_union() -> None:
    with pytest.raises(Invalid, match="The policy cannot be published: later: is not known"):
        united({"later": 1}, {"later": 1})


# Gates


def reviewing(**gate: Any) -> Content:
    """Return a policy whose review is another one."""
    return {"gates": ONE["gates"] | {"review": gate}}


def releasing(*rows: Content) -> Content:
    """Return a policy whose release asks for these sign-offs."""
    return {"gates": ONE["gates"] | {"release": {"signoffs": list(rows)}}}


RELEASE = GOOD["gates"]["release"]["signoffs"][0]
ALWAYS = {"key": "always", "role": "validator", "meaning": "approval"}
THREE = ["it_operations", "validator", "model_owner"]
ASKED = GOOD["gates"]["review"]
PURPOSE = ASKED["checklist"][0]
FILED, LINKED = PURPOSE | {"evidence": ["file", "figure"]}, PURPOSE | {"evidence": ["link", "file"]}
TEMPLATE = {"template": "t", "title": "T", "digest": "d" * 64}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, {"count": 1}),
        ({"count": 2}, {}, {"count": 2}),
        ({"count": 2}, {"count": 3}, {"count": 3}),
        ({"valid_days": 9}, {}, {"count": 1, "valid_days": 9}),
        ({"valid_days": 9}, {"valid_days": 5}, {"count": 1, "valid_days": 5}),
        ({"valid_days": 0}, {"valid_days": 5}, {"count": 1, "valid_days": 5}),
        ({"after": ["always"]}, {}, {"count": 1, "after": ["always"]}),
        ({"advisory": True}, {}, {"count": 1}),
        ({"advisory": False}, {"advisory": True}, {"count": 1}),
        ({"advisory": True}, {"advisory": True}, {"count": 1, "advisory": True}),
        ({"advisory": True}, {"required_above": "low"}, {"count": 1, "required_above": "low"}),
        ({"advisory": True}, {"required_above": "medium"}, {"count": 1, "required_above": "medium"}),
        ({"required_above": "low"}, {"required_above": "medium"}, {"count": 1, "required_above": "low"}),
        ({"required_above": "low"}, {}, {"count": 1}),
        ({"required_above": "medium"}, {}, {"count": 1}),
    ],
)
def test_of_two_signoffs_alike_the_stricter_stands_for_both(one: Content, other: Content, expected: Content) -> None:
    for first, second in ((one, other), (other, one)):
        found = united(releasing(RELEASE | first, ALWAYS), releasing(RELEASE | second, ALWAYS))
        assert found["gates"]["release"]["signoffs"] == [RELEASE | expected, ALWAYS | {"count": 1}]


def test_a_quorum_of_the_same_roles_asks_for_as_many_as_the_larger_one() -> None:
    def asking(count: int, of: list[str]) -> Content:
        return {"key": "release", "quorum": {"count": count, "of": of}, "meaning": "approval"}

    for one, other in ((1, 2), (2, 1)):
        found = united(releasing(asking(one, THREE)), releasing(asking(other, THREE)))
        assert found["gates"]["release"]["signoffs"] == [asking(2, THREE)]
    for own, more in (
        (asking(1, THREE), asking(1, THREE[:2])),
        (asking(1, THREE), RELEASE),
        (RELEASE, asking(1, THREE)),
    ):
        rows = united(releasing(own), releasing(more))["gates"]["release"]["signoffs"]
        assert rows == [own, more | {"key": "q-release"}], "other roles are asked beside them"


def test_a_signoff_comes_after_all_that_either_names() -> None:
    early, late = ALWAYS | {"key": "early"}, RELEASE | {"after": ["early", "always"]}
    found = united(releasing(RELEASE | {"after": ["always"]}, ALWAYS, early), releasing(late, ALWAYS, early))
    assert found["gates"]["release"]["signoffs"][0] == RELEASE | {"count": 1, "after": ["always", "early"]}


@pytest.mark.parametrize("more", [{"role": "validator"}, {"meaning": "review"}])
def test_a_signoff_for_something_else_is_asked_beside_it_and_what_comes_after_it_still_does(more: Content) -> None:
    last = {"key": "last", "role": "risk_compliance", "meaning": "approval", "after": ["release"]}
    found = united(releasing(RELEASE), releasing(RELEASE | more, last))
    assert found["gates"]["release"]["signoffs"] == [
        RELEASE,
        RELEASE | more | {"key": "q-release"},
        last | {"after": ["q-release"]},
    ]


def test_what_is_told_of_a_signoff_makes_no_other_one_of_it() -> None:
    found = united(releasing(RELEASE | {"help": "Look twice."}), releasing(RELEASE | {"help": "Look."}))
    assert found["gates"]["release"]["signoffs"] == [RELEASE | {"help": "Look twice.", "count": 1}]


def test_one_key_at_two_gates_or_for_an_item_and_a_signoff_is_asked_twice() -> None:
    early = united({}, {"gates": {"review": {"signoffs": [RELEASE]}, "release": {"signoffs": [ALWAYS]}}})["gates"]
    assert early["review"]["signoffs"] == [*ASKED["signoffs"], RELEASE | {"key": "q-release"}]
    assert early["release"]["signoffs"] == [RELEASE, ALWAYS]
    item = PURPOSE | {"key": "validation"}
    twice = united({}, reviewing(signoffs=[ALWAYS], checklist=[item]))["gates"]["review"]
    assert twice == {
        "checklist": [PURPOSE, item | {"key": "q-validation"}],
        "signoffs": [*ASKED["signoffs"], ALWAYS],
    }


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"acknowledge": "validator"}, {}, {"acknowledge": "validator"}),
        ({"acknowledge": "validator"}, {"acknowledge": "validator"}, {"acknowledge": "validator"}),
        ({"acknowledge": ""}, {"acknowledge": "validator"}, {"acknowledge": "validator"}),
        ({"checklist": [PURPOSE]}, {}, {"checklist": [PURPOSE]}),
        ({"checklist": [PURPOSE]}, {"checklist": [PURPOSE]}, {"checklist": [PURPOSE]}),
        ({"checklist": {"items": [PURPOSE]}}, {"checklist": [PURPOSE]}, {"checklist": [PURPOSE]}),
        ({"checklist": [FILED]}, {"checklist": [LINKED]}, {"checklist": [PURPOSE | {"evidence": ["file"]}]}),
        ({"checklist": [FILED]}, {"checklist": [PURPOSE]}, {"checklist": [FILED]}),
        ({"checklist": [FILED]}, {"checklist": [PURPOSE | {"evidence": []}]}, {"checklist": [FILED]}),
        (
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE]}},
            {"checklist": [PURPOSE]},
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE]}},
        ),
        (
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE | {"least": 0.5}]}},
            {"checklist": {"included": [TEMPLATE]}},
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE | {"least": 0.5}]}},
        ),
        (
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE | {"least": 50}]}},
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE | {"least": 20}]}},
            {"checklist": {"items": [PURPOSE], "included": [TEMPLATE | {"least": 50}]}},
        ),
    ],
)
def test_what_one_gate_asks_beside_signatures_the_union_asks(one: Content, other: Content, expected: Content) -> None:
    """Whichever of them comes first."""
    for first, second in ((one, other), (other, one)):
        found = united(reviewing(signoffs=[ALWAYS], **first), reviewing(signoffs=[ALWAYS], **second))
        assert found["gates"]["review"] == {"signoffs": [ALWAYS | {"count": 1}]} | expected


def test_a_gate_that_only_one_of_them_names_is_there_as_it_says() -> None:
    confirm = {
        "acknowledge": "validator",
        "checklist": [PURPOSE | {"key": "served", "question": "Served?"}],
        "signoffs": [ALWAYS],
    }
    silent = {"gates": GOOD["gates"]}
    naming = {"gates": GOOD["gates"] | {"confirm": confirm}}
    assert united(silent, naming)["gates"] == united(naming, silent)["gates"] == BOTH["gates"] | {"confirm": confirm}
    assert united(silent, silent)["gates"] == GOOD["gates"] | {
        name: gate for name, gate in BOTH["gates"].items() if name != "confirm"
    }


def test_templates_of_both_are_included_and_of_one_both_have_the_same_copy() -> None:
    def including(*rows: Content) -> Content:
        return reviewing(signoffs=[ALWAYS], checklist={"items": [PURPOSE], "included": list(rows)})

    second = TEMPLATE | {"template": "u", "title": "U", "least": 20}
    found = united(including(TEMPLATE), including(second, TEMPLATE))["gates"]["review"]["checklist"]
    assert found == {"items": [PURPOSE], "included": [TEMPLATE, second]}
    newer = TEMPLATE | {"digest": "e" * 64}
    told = "Two policies that apply together say different things under gates.review.checklist.included.t."
    assert refused(including(second, TEMPLATE), including(second, newer)) == told


@pytest.mark.parametrize(
    "more",
    [
        {"question": "Something else?"},
        {"role": "validator"},
        {"two_people": True},
        {"evidence": ["link"]},
    ],
)
def test_an_item_that_asks_for_something_else_is_asked_beside_it_and_what_hangs_on_it_still_does(more: Content) -> None:
    own = PURPOSE | {"evidence": ["file"]}
    then = PURPOSE | {"key": "then", "visible_if": {"purpose": "yes"}}
    found = united(
        reviewing(signoffs=[ALWAYS], checklist=[own]),
        reviewing(signoffs=[ALWAYS], checklist=[own | more, then]),
    )
    assert found["gates"]["review"]["checklist"] == [
        own,
        own | more | {"key": "q-purpose"},
        then | {"visible_if": {"q-purpose": "yes"}},
    ]


def test_what_is_told_of_an_item_makes_no_other_one_of_it() -> None:
    one, other = (reviewing(signoffs=[ALWAYS], checklist=[PURPOSE | {"help": told}]) for told in ("Look.", "Ask."))
    assert united(one, other)["gates"]["review"]["checklist"] == [PURPOSE | {"help": "Look."}]


def test_a_key_that_is_renamed_is_cut_where_keys_end() -> None:
    named = {"policy": "q" * 45} | reviewing(signoffs=[ALWAYS], checklist=[PURPOSE | {"question": "Else?"}])
    (_, renamed) = united({}, named)["gates"]["review"]["checklist"]
    assert renamed["key"] == "q" * 45 + "-purp"


def test_two_roles_that_acknowledge_the_same_differences_do_not_go_together() -> None:
    one, other = ({"signoffs": [ALWAYS], "acknowledge": role} for role in ("validator", "it_operations"))
    told = "At the review gate differences are acknowledged by it_operations and by validator."
    assert refused(reviewing(**one), reviewing(**other)) == refused(reviewing(**other), reviewing(**one)) == told


def test_an_order_that_turns_in_a_circle_is_refused_with_both_names_and_its_place() -> None:
    first, second = GOOD["gates"]["review"]["signoffs"]
    turned = reviewing(signoffs=[first | {"after": ["risk"]}, second | {"after": []}])
    circle = "goes in a circle: validation after risk after validation"
    with pytest.raises(Conflicting) as refusal:
        united({}, turned)
    assert refusal.value.message == (
        f"The policies p and q cannot hold together: gates.review.signoffs[0].after: {circle}; "
        "gates.review.signoffs[1].after: goes in a circle: risk after validation after risk"
    )
    assert refusal.value.todo == "Change one of them, or let one apply elsewhere."


# Aspects


AB = {"freedom": "constrained", "allowed": ["b", "a"]}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("free", "free", {"freedom": "free"}),
        ("free", "locked", {"freedom": "locked"}),
        (AB, "locked", {"freedom": "locked"}),
        (AB, "free", {"freedom": "constrained", "allowed": ["a", "b"]}),
        (AB, {"freedom": "constrained", "allowed": ["b", "c"]}, {"freedom": "constrained", "allowed": ["b"]}),
        (AB, {"freedom": "constrained", "allowed": ["c"]}, {"freedom": "locked"}),
        (
            AB,
            {"freedom": "undeclared", "answered_by": "validator"},
            {"allowed": ["a", "b"], "answered_by": "validator"},
        ),
        (
            "free",
            {"freedom": "undeclared", "answered_by": "validator"},
            {"freedom": "undeclared", "answered_by": "validator"},
        ),
        ({"freedom": "free", "changed_by": "validator"}, "free", {"freedom": "free", "changed_by": "validator"}),
        (
            {"freedom": "free", "cases": [{"risk_tiers": ["high"], "freedom": "locked"}]},
            "free",
            {"freedom": "locked"},
        ),
        (
            {"freedom": "free", "cases": [{"risk_tiers": ["low"], "freedom": "locked"}]},
            {"freedom": "free", "cases": [{"target_kinds": ["test"], "freedom": "locked"}]},
            {"freedom": "free"},
        ),
    ],
)
def test_an_aspect_is_as_free_as_the_least_free_and_allows_what_all_allow(
    one: Any, other: Any, expected: Content
) -> None:
    """As both hold in this kind of target at this risk tier, whichever of them comes first."""
    usual = {"freedom": "constrained", "changed_by": "it_operations"}
    for first, second in ((one, other), (other, one)):
        found = united({"aspects": {"tools.hardware": first}}, {"aspects": {"tools.hardware": second}})
        assert found["aspects"] == {"tools.hardware": usual | expected}


def test_of_an_aspect_that_one_does_not_name_the_usual_counts() -> None:
    found = united({"aspects": {"packages.others": "constrained"}}, {"aspects": {"people.owner": "locked"}})
    assert found["aspects"] == {
        "people.owner": {"freedom": "locked", "changed_by": "it_operations"},
        "packages.others": {"freedom": "constrained", "changed_by": "it_operations"},
    }
    assert list(found["aspects"]) == ["people.owner", "packages.others"]


def test_who_is_named_for_an_aspect_answers_for_it_before_who_acknowledges_the_rest() -> None:
    """Attack: publish a policy, under an earlier name, by which IT answers for what validation must answer for."""
    acknowledging = reviewing(**ASKED, acknowledge="it_operations")
    undeclared, named = ({"freedom": "undeclared", "answered_by": role} for role in ("model_owner", "validator"))
    for free in ({}, {"aspects": {"tools.hardware": "free"}}, {"aspects": {"people.owner": "locked"}}):
        for first, second in (
            (acknowledging | free, {"aspects": {"tools.hardware": named}}),
            ({"aspects": {"tools.hardware": named}}, acknowledging | free),
        ):
            row = united(first, second)["aspects"]["tools.hardware"]
            assert (row["freedom"], row["answered_by"]) == ("undeclared", "validator")
    silent = united(acknowledging | {"aspects": {"tools.hardware": "undeclared"}}, {})["aspects"]["tools.hardware"]
    assert silent["answered_by"] == "it_operations"
    told = "Two policies that apply together say different things under aspects.tools.hardware.answered_by."
    assert refused({"aspects": {"tools.hardware": named}}, {"aspects": {"tools.hardware": undeclared}}) == told
    assert refused(
        {"aspects": {"tools.hardware": {"freedom": "free", "answered_by": "validator"}}},
        {"aspects": {"tools.hardware": undeclared}},
    ) == told  # fmt: skip


# For what a union speaks


@pytest.mark.parametrize(
    ("one", "other", "model_type", "expected"),
    [
        ([], ["ranking", "other"], "ranking", ["ranking"]),
        (["ranking"], ["ranking", "other"], "ranking", ["ranking"]),
        (["ranking"], ["other"], "", None),
        ([], [], "ranking", None),
    ],
)
def test_a_union_speaks_for_the_type_that_is_known_if_one_of_them_names_types(
    one: list[str], other: list[str], model_type: str, expected: list[str] | None
) -> None:
    speaking = [
        content | {"applies_to": ONE["applies_to"] | ({"model_types": types} if types else {})}
        for content, types in ((ONE, one), (OTHER, other))
    ]
    for ordered in (speaking, speaking[::-1]):
        found = union([(content, 1) for content in ordered], Subject("production", "low", model_type))
        assert found["applies_to"] == {"risk_tiers": ["low"], "target_kinds": ["production"]} | (
            {"model_types": expected} if expected else {}
        )
