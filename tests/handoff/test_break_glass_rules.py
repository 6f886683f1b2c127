"""Break-glass as a rule: how a policy allows it, while it stands, what it steps over, and who may confirm it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoff.rules.break_glass import (
    BreakGlassFact,
    BreakGlassRules,
    given_by,
    kinds_of,
    read_break_glass,
    role_for,
    same_people,
    scope_of,
    stepped,
    united,
)
from handoff.rules.duties import Chain
from handoff.rules.gate_facts import EmergencyFact, Requirement
from handoff.rules.gates import evaluate
from handoff.rules.reading import ROLES, Reader
from handoff.rules.scopes import COVERS
from tests.handoff.test_gates_rules import ACCEPTANCE, FULL, HOLDERS, IRIS, OTTO, PARTS, RULES, VALIDATION, VERA

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
END = NOON + timedelta(hours=24)
RITA, EDDA = 5, 8
GLASS = BreakGlassRules(roles=("it_operations", "risk_compliance"))
EMERGENCY = EmergencyFact("g", END.isoformat(), "Iris", "Rita for Edda", "INC-7", IRIS, RITA, EDDA)
FACT = BreakGlassFact(
    "confirmed", "g", END.isoformat(), "INC-7", "Rita for Edda", "Iris", RITA, EDDA, "risk_compliance", IRIS, "never"
)


# What a policy says


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, BreakGlassRules()),
        ({"roles": ["validator"]}, BreakGlassRules(("validator",), 24, 60, any_time=False)),
        (
            {"roles": ["risk_compliance", "validator"], "lasts_hours": 1, "confirm_minutes": 1, "any_time": True},
            BreakGlassRules(("validator", "risk_compliance"), 1, 1, any_time=True),
        ),
        (
            {"roles": ["validator"], "lasts_hours": 168, "confirm_minutes": 1440, "any_time": False},
            BreakGlassRules(("validator",), 168, 1440, any_time=False),
        ),
    ],
)
def test_what_a_policy_does_not_say_is_as_usual(raw: Any, expected: BreakGlassRules) -> None:
    reader = Reader()
    assert (read_break_glass(reader, raw), reader.mistakes) == (expected, {})


@pytest.mark.parametrize(
    ("more", "mistakes"),
    [
        ({"roles": []}, {"roles": "must be a list, not empty, of " + ", ".join(ROLES)}),
        ({"lasts_hours": 0}, {"lasts_hours": "must be a whole number of hours from 1 to 168"}),
        ({"lasts_hours": 169}, {"lasts_hours": "must be a whole number of hours from 1 to 168"}),
        ({"confirm_minutes": 0}, {"confirm_minutes": "must be a whole number of minutes from 1 to 1440"}),
        ({"confirm_minutes": 1441}, {"confirm_minutes": "must be a whole number of minutes from 1 to 1440"}),
        ({"any_time": "yes"}, {"any_time": "must be true or false"}),
        (
            {"any_times": True},
            {
                "any_times": "is not known (did you mean any_time?); "
                "known are any_time, confirm_minutes, lasts_hours, roles"
            },
        ),
    ],
)
def test_a_mistake_is_told_by_its_place(more: dict[str, Any], mistakes: dict[str, str]) -> None:
    reader = Reader()
    read_break_glass(reader, {"roles": ["validator"], **more})
    assert reader.mistakes == {f"break_glass.{place}": told for place, told in mistakes.items()}


def test_what_two_policies_both_allow_is_the_narrower() -> None:
    """A role that both name; shorter; at any time only if both say so."""
    one = {"roles": ["it_operations", "validator"], "lasts_hours": 4, "any_time": True}
    other = {"roles": ["validator", "risk_compliance"], "confirm_minutes": 30, "any_time": True}
    both = {"roles": ["validator"], "lasts_hours": 4, "confirm_minutes": 30, "any_time": True}
    assert united(one, other) == united(other, one) == both
    assert united(one, other | {"any_time": False}) == both | {"any_time": False}
    plain = {"roles": ["validator"]}
    assert united(plain, plain) == plain | {"lasts_hours": 24, "confirm_minutes": 60, "any_time": False}
    assert united(one, {"roles": ["risk_compliance"]}) is None
    assert united(one, None) is united(None, one) is united(None, None) is None


# While it stands


@pytest.mark.parametrize(
    ("state", "until"), [("asked", None), ("asked", FACT.until), ("confirmed", None), ("overdue", FACT.until)]
)
def test_nothing_rests_on_one_that_nobody_confirmed_or_that_is_over(state: str, until: str | None) -> None:
    assert replace(FACT, state=state, until=until).emergency is None
    assert FACT.emergency == EMERGENCY


TOLD = "stepped over by break-glass until 2026-03-05 12:00 UTC, confirmed by Rita for Edda: INC-7"
FOUND = {
    (kind, met, needed): Requirement(kind, "k", "t", "r", met, "why", ("Otto",), needed=needed)
    for kind in ("signoff", "window", "freeze", "answer", "test", "finding", "gate")
    for met in (True, False)
    for needed in (True, False)
}


@pytest.mark.parametrize("any_time", [True, False])
def test_it_steps_over_missing_signatures_and_over_the_clock_where_the_policy_says_so(any_time: bool) -> None:
    """What is met stays as it is, and so does what nobody waits for."""
    kinds = ("signoff", "window", "freeze") if any_time else ("signoff",)
    rules = replace(GLASS, any_time=any_time)
    assert kinds_of(rules) == kinds
    found = stepped(FOUND.values(), rules, replace(FULL, now=NOON, emergency=EMERGENCY))
    for ((kind, met, needed), before), after in zip(FOUND.items(), found, strict=True):
        over = kind in kinds and needed and not met
        assert after == (replace(before, met=True, who=(), waived=TOLD) if over else before)


@pytest.mark.parametrize(
    ("emergency", "now", "roles", "expected"),
    [
        (EMERGENCY, NOON, GLASS.roles, True),
        (EMERGENCY, END - timedelta(seconds=1), GLASS.roles, True),
        (EMERGENCY, END, GLASS.roles, False),
        (EMERGENCY, None, GLASS.roles, False),  # where nobody knows the time, none stands
        (EMERGENCY, NOON, (), False),  # the policy of now knows none
        (None, NOON, GLASS.roles, False),
    ],
)
def test_it_steps_over_something_only_while_it_stands(
    emergency: EmergencyFact | None, now: datetime | None, roles: tuple[str, ...], expected: bool
) -> None:
    rules = replace(RULES, break_glass=BreakGlassRules(roles))
    facts = replace(FULL, signoffs=(VALIDATION,), now=now, emergency=emergency)
    result = evaluate("review", rules, facts)
    assert (result.open, [r.key for r in result.missing]) == (expected, [] if expected else ["acceptance"])


def test_only_what_was_signed_up_to_the_deadline_is_there_in_time() -> None:
    """The deadline itself counts; the break-glass does not help."""
    before, at, after = (
        replace(ACCEPTANCE, id=str(seconds), signed_at=(END + timedelta(seconds=seconds)).isoformat())
        for seconds in (-1, 0, 1)
    )
    facts = replace(FULL, signoffs=(after, at, before), emergency=EMERGENCY)
    assert given_by(facts, END) == replace(FULL, signoffs=(at, before), emergency=None)


# Who confirms


def test_somebody_confirms_in_a_role_that_they_hold_without_a_conflict() -> None:
    """The first of the policy's roles in which that is so."""
    holders = {**HOLDERS, "risk_compliance": {RITA: "Rita", OTTO: "Otto"}}
    facts = replace(FULL, holders=holders)
    assert [role_for(facts, GLASS, one) for one in (OTTO, RITA, VERA)] == ["it_operations", "risk_compliance", ""]
    assert role_for(facts, replace(GLASS, roles=("risk_compliance", "it_operations")), OTTO) == "risk_compliance"
    signed = replace(facts, chain=Chain(signed={OTTO: "risk_compliance"}))
    assert role_for(signed, GLASS, OTTO) == "risk_compliance"  # one person counts for one role
    assert role_for(replace(facts, chain=Chain(acts={OTTO: ("built it",)})), GLASS, OTTO) == ""


@pytest.mark.parametrize(
    ("chain", "asker", "confirmer", "same"),
    [
        (Chain(), IRIS, OTTO, set()),
        (Chain(), IRIS, IRIS, {IRIS}),
        (Chain(persons={EDDA: IRIS}), IRIS, EDDA, {IRIS}),
        (Chain(persons={EDDA: IRIS}), EDDA, IRIS, {IRIS}),
        (Chain(stands_for={"it_operations": {IRIS: (OTTO, "Otto")}}), IRIS, OTTO, {OTTO}),
        (Chain(stands_for={"it_operations": {IRIS: (OTTO, "Otto")}}), OTTO, IRIS, {OTTO}),
        (Chain(stands_for={"it_operations": {IRIS: (OTTO, "Otto")}}), IRIS, RITA, set()),
        (Chain(stands_for={"it_operations": {IRIS: (OTTO, "O")}}, persons={EDDA: OTTO}), IRIS, EDDA, {OTTO}),
        (
            Chain(stands_for={"it_operations": {IRIS: (VERA, "V")}, "risk_compliance": {OTTO: (VERA, "V")}}),
            IRIS,
            OTTO,
            {VERA},
        ),
        (Chain(stands_for={"validator": {IRIS: (OTTO, "Otto")}}), IRIS, OTTO, set()),  # in none of the roles
    ],
)
def test_two_accounts_are_the_same_people_if_they_stand_for_one(
    chain: Chain, asker: int, confirmer: int, same: set[int]
) -> None:
    assert set(same_people(replace(FULL, chain=chain), GLASS.roles, asker, confirmer)) == same


def test_without_roles_two_accounts_of_one_person_are_the_same_still() -> None:
    assert set(same_people(replace(FULL, chain=Chain(persons={EDDA: IRIS})), (), IRIS, EDDA)) == {IRIS}


@pytest.mark.parametrize("gate", ["review", "release", "confirm", "rollback"])
def test_a_confirmation_covers_what_a_signature_does_and_what_was_asked(gate: str) -> None:
    """On the way back, what the release covers."""
    asked, missing = {"reason": "It is wrong.", "incident": "INC-7"}, [{"key": "release", "title": "IT signs"}]
    found = scope_of(gate, PARTS, asked, missing, GLASS)
    covered = COVERS["release" if gate == "rollback" else gate]
    assert {name: value for name, value in found.items() if name != "break_glass"} == {
        name: PARTS[name] for name in covered
    }
    assert found == scope_of(gate, PARTS, dict(asked), [dict(one) for one in missing], GLASS)
    others = (
        scope_of(gate, PARTS, asked | {"incident": "INC-8"}, missing, GLASS),
        scope_of(gate, PARTS, asked, [], GLASS),
        scope_of(gate, PARTS, asked, missing, replace(GLASS, lasts_hours=25)),
    )
    for other in others:
        assert {name for name in found if other[name] != found[name]} == {"break_glass"}
    assert scope_of(gate, PARTS, asked, missing, replace(GLASS, confirm_minutes=5)) == found
