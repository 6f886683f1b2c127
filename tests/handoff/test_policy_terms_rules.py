"""What is asked of a policy once it is read: its gates, its roles, who is waited for, and what is left out of it."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest

from handoff.rules.aspects import USUAL
from handoff.rules.checklists import ChecklistItem
from handoff.rules.policy_terms import TIERS, Gate, PolicyRules, ReattestationRules, SignOffRule
from handoff.rules.standard_changes import StandardRules
from handoff.rules.windows import Freeze, Opening, Window

VALIDATION = SignOffRule("validation", "validator", "review")
RISK = SignOffRule("risk", "risk_compliance", "approval", required_above="low")
LOOK = SignOffRule("look", "model_owner", "review", advisory=True)
BOTH = SignOffRule("both", "", "approval", 2, quorum=("integration_owner", "data_scientist"))
ASKED = ChecklistItem("purpose", "Written down?", "data_scientist")
COMPUTED = ChecklistItem("tests", "Passed?", "", fact="tests.passed")
REVIEW = Gate("review", (ASKED, COMPUTED), "it_operations", (VALIDATION, RISK, LOOK, BOTH))
RELEASE = Gate("release", signoffs=(SignOffRule("go", "it_operations", "approval"), replace(VALIDATION, key="again")))
RULES = PolicyRules("p", "P", TIERS, ("production",), ("model",), ("golden",), {"review": REVIEW, "release": RELEASE})
WINDOW = Window("UTC", (Opening(("mon",), 540, 600),))
FREEZE = Freeze("Year end", "UTC", date(2026, 12, 18), date(2027, 1, 4))


@pytest.mark.parametrize(
    ("rule", "tiers"),
    [
        (VALIDATION, {"low", "medium", "high", "", "odd"}),
        (LOOK, set()),
        (RISK, {"medium", "high", "", "odd"}),
        (replace(RISK, required_above="medium"), {"high", "", "odd"}),
    ],
)
def test_a_signoff_is_waited_for_at_some_tiers_and_at_one_that_nobody_knows(rule: SignOffRule, tiers: set[str]) -> None:
    assert {tier for tier in (*TIERS, "", "odd") if rule.needed(tier)} == tiers


def test_whoever_holds_one_of_its_roles_may_sign() -> None:
    assert VALIDATION.roles == ("validator",)
    assert BOTH.roles == ("integration_owner", "data_scientist")


def test_a_gate_knows_the_signoffs_that_it_asks_for() -> None:
    assert REVIEW.signoff("look") == LOOK
    assert REVIEW.signoff("validation") == VALIDATION
    assert REVIEW.signoff("go") is None


def test_a_gate_that_a_policy_does_not_name_requires_nothing() -> None:
    assert RULES.gate("release") == RELEASE
    assert RULES.gate("confirm") == Gate("confirm")


def test_approvals_are_given_anew_by_time_or_by_what_happens() -> None:
    assert not ReattestationRules().asks
    assert ReattestationRules(every_days=1).asks
    assert ReattestationRules(triggers=("drift",)).asks


def test_a_policy_says_what_is_held_where_and_who_answers() -> None:
    """Whoever acknowledges at the review answers for what names nobody."""
    aspects = {"tools.hardware": replace(USUAL["tools.hardware"], freedom="locked", answered_by="validator")}
    rules = replace(RULES, aspects=aspects)
    for kind, tier in product(("staging", "production"), TIERS):
        held = rules.held(kind, tier)
        assert (held["tools.hardware"].freedom, held["tools.hardware"].answered_by) == ("locked", "validator")
        assert (held["tools.python"].freedom, held["tools.python"].answered_by) == ("constrained", "it_operations")
    assert replace(RULES, gates={"release": RELEASE}).held("staging", "low")["tools.python"].answered_by == ""


def test_changes_are_lighter_where_the_policy_names_who_signs() -> None:
    some, others = StandardRules({"review": ("validator",)}), StandardRules({"release": ("it_operations",)})
    assert RULES.lighter == {}
    assert replace(RULES, retrain=some).lighter == {"retrain": some}
    assert replace(RULES, standard_change=some).lighter == {"standard": some}
    both = replace(RULES, standard_change=some, retrain=others).lighter
    assert list(both.items()) == [("retrain", others), ("standard", some)]


@pytest.mark.parametrize("windows", [(), (WINDOW,)])
@pytest.mark.parametrize("freezes", [(), (FREEZE,)])
def test_rules_without_time_are_the_same_but_for_windows_and_freezes(
    windows: tuple[Window, ...], freezes: tuple[Freeze, ...]
) -> None:
    assert replace(RULES, windows=windows, freezes=freezes).timeless() == RULES


@pytest.mark.parametrize(
    ("tier", "roles"),
    [
        ("low", ("data_scientist", "it_operations", "validator")),
        ("medium", ("data_scientist", "it_operations", "validator", "risk_compliance")),
        ("", ("data_scientist", "it_operations", "validator", "risk_compliance")),
    ],
)
def test_the_roles_that_must_act_are_told_in_the_order_of_the_gates(tier: str, roles: tuple[str, ...]) -> None:
    """Each once; not who is only asked, and none for what is computed, or for a quorum."""
    assert RULES.roles(tier) == roles


def test_without_a_tier_everybody_who_may_be_waited_for_must_act() -> None:
    assert RULES.roles() == RULES.roles("high")


def test_each_kind_of_act_needs_its_role() -> None:
    for gate, roles in [
        (Gate("review", checklist=(ASKED,)), ("data_scientist",)),
        (Gate("review", checklist=(COMPUTED,)), ()),
        (Gate("review", acknowledge="it_operations"), ("it_operations",)),
        (Gate("review", signoffs=(VALIDATION,)), ("validator",)),
        (Gate("review", signoffs=(LOOK, BOTH)), ()),
    ]:
        assert replace(RULES, gates={"review": gate}).roles("low") == roles
