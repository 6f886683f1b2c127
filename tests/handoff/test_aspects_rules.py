"""The lock policy as a rule: which case speaks, what holds in a place, and what a policy may not declare."""

from dataclasses import replace

import pytest

from handoff.rules.aspects import USUAL, Aspect, Case, Declared, as_plain, declared, mistakes_in

HARDWARE = USUAL["tools.hardware"]  # undeclared, and may be anything
NOBODY = "is undeclared and nobody answers for it; name answered_by, or acknowledge at the review gate"
NO_LIST = "takes no list of allowed values here"
NO_RULE = "is constrained by no rule; say which values are allowed"


@pytest.mark.parametrize(
    ("kinds", "tiers", "applies"),
    [
        ((), (), {"staging low", "staging high", "production low", "production high"}),
        (("production",), (), {"production low", "production high"}),
        ((), ("high",), {"staging high", "production high"}),
        (("production", "test"), ("high", "medium"), {"production high"}),
    ],
)
def test_a_case_is_about_its_kinds_and_tiers_and_about_all_where_it_names_none(
    kinds: tuple[str, ...], tiers: tuple[str, ...], applies: set[str]
) -> None:
    case = Case("free", kinds, tiers)
    both = [(kind, tier) for kind in ("staging", "production") for tier in ("low", "high")]
    assert {f"{kind} {tier}" for kind, tier in both if case.applies(kind, tier)} == applies


def test_the_facet_of_an_aspect_is_the_first_word_of_its_name() -> None:
    assert HARDWARE.facet == "tools"
    assert declared({}, kind="test", tier="low")["data.input_schema"].facet == "data"


def test_what_is_sealed_with_the_version_can_be_nothing_but_locked() -> None:
    """To change it takes a new version, by data science; nothing else does."""
    sealed = {"data.input_schema", "outputs.output_schema", "requirements.version", "requirements.elements"}
    for name, one in USUAL.items():
        assert ((one.freedom, one.can, one.changed_by) == ("locked", ("locked",), "data_scientist")) == (name in sealed)
        assert one.by_version == (name in sealed)
        assert (one.name, one.answered_by, one.allowed, one.cases) == (name, "", (), ())


def test_what_holds_in_a_place_is_the_first_case_that_applies_or_the_aspect() -> None:
    """Who answers is whom the aspect names, or who acknowledges differences; who changes it is the aspect's."""
    cases = (
        Case("locked", target_kinds=("production",)),
        Case("constrained", risk_tiers=("high",), allowed=("4 CPU",)),
    )
    aspect = replace(HARDWARE, freedom="free", answered_by="validator", allowed=("8 CPU",), cases=cases)
    aspects = {"tools.hardware": aspect, "people.owner": replace(USUAL["people.owner"], changed_by="model_owner")}
    for kind, tier, freedom, allowed in [
        ("production", "high", "locked", ()),
        ("staging", "high", "constrained", ("4 CPU",)),
        ("staging", "low", "free", ("8 CPU",)),
    ]:
        found = declared(aspects, kind=kind, tier=tier, acknowledge="risk_compliance")
        assert list(found) == list(USUAL)
        assert found["tools.hardware"] == Declared("tools.hardware", freedom, "validator", "it_operations", allowed)
        assert found["people.owner"] == Declared("people.owner", "free", "risk_compliance", "model_owner")
    assert declared({}, kind="staging", tier="low")["people.owner"].answered_by == ""


def test_what_holds_is_told_as_plain_data() -> None:
    one = Declared("tools.hardware", "constrained", "validator", "it_operations", ("4 CPU", "8 CPU"))
    assert as_plain({one.name: one}) == {
        "tools.hardware": {
            "freedom": "constrained",
            "answered_by": "validator",
            "changed_by": "it_operations",
            "allowed": ["4 CPU", "8 CPU"],
        }
    }


@pytest.mark.parametrize(
    ("aspect", "acknowledge", "expected"),
    [
        (HARDWARE, "it_operations", []),
        (HARDWARE, "", [NOBODY]),
        (replace(HARDWARE, answered_by="validator"), "", []),
        (replace(HARDWARE, freedom="free"), "", []),
        (replace(HARDWARE, freedom="free", cases=(Case("undeclared"),)), "", [NOBODY]),
        (replace(HARDWARE, freedom="locked", cases=(Case("constrained"),)), "", [NO_RULE]),
        (replace(HARDWARE, freedom="constrained", allowed=("4 CPU",)), "", []),
        (replace(HARDWARE, freedom="constrained"), "", [NO_RULE]),
        (replace(HARDWARE, freedom="free", allowed=("4 CPU",)), "", [NO_LIST]),
        (replace(HARDWARE, freedom="free", cases=(Case("free", allowed=("4 CPU",)),)), "", [NO_LIST]),
        # these have a rule of their own
        (USUAL["tools.python"], "", []),
        (replace(USUAL["tools.python"], allowed=("3.11",)), "", [NO_LIST]),
        (replace(USUAL["tools.python"], freedom="free"), "", ["cannot be free; it can be locked or constrained"]),
        (
            replace(USUAL["tools.python"], freedom="undeclared"),
            "it_operations",
            ["cannot be undeclared; it can be locked or constrained"],
        ),
        (
            replace(USUAL["data.input_schema"], freedom="free", allowed=("x",)),
            "",
            ["cannot be free; it can be locked"],
        ),
        # once, however many cases have it
        (replace(HARDWARE, freedom="constrained", cases=(Case("constrained"), Case("constrained"))), "", [NO_RULE]),
        (
            replace(HARDWARE, freedom="constrained", cases=(Case("undeclared", allowed=("x",)),)),
            "",
            [NO_RULE, NO_LIST, NOBODY],
        ),
    ],
)
def test_what_a_policy_may_not_declare_is_told(aspect: Aspect, acknowledge: str, expected: list[str]) -> None:
    assert mistakes_in(aspect.name, aspect, acknowledge) == expected
