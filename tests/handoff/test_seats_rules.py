"""Who sits for a sign-off, whose turn it is, who could sign, and in which words, by the smallest cases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.gates import Facts, GateResult, SignOffFact, evaluate
from handoff.rules.lapses import AgainFact
from handoff.rules.policies import SignOffRule
from handoff.rules.seats import anew, counts, in_turn, most_seats, seat_of
from tests.handoff.test_gates_rules import FULL, IRIS, OTTO, QUORUM, RITA, THREE, VERA, only, signed

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULE = SignOffRule("one", "it_operations", "approval", valid_days=10)
COUNTS = signed("one", "it_operations", OTTO, "approval", signed_at=NOON.isoformat())
FACTS = replace(FULL, holders=THREE, now=NOON)
EDDA = 8


def given(rules: tuple[SignOffRule, ...], *signoffs: SignOffFact, facts: Facts = FACTS) -> GateResult:
    """Return the review with these signatures."""
    return evaluate("review", only(*rules), replace(facts, signoffs=signoffs))


def test_each_property_of_a_signature_counts_by_itself() -> None:
    """Whatever one of them is changed to, the signature does not count any more."""
    assert counts(COUNTS, "review", RULE, FACTS)
    assert counts(replace(COUNTS, decision="conditional"), "review", RULE, FACTS)
    for name, value in {
        "gate": "release",
        "requirement": "two",
        "role": "validator",
        "meaning": "review",
        "decision": "changes",
        "entitled": False,
        "signed_at": (NOON - timedelta(days=10)).isoformat(),
        "scope": {**COUNTS.scope, "policy": "another"},
    }.items():
        assert not counts(replace(COUNTS, **{name: value}), "review", RULE, FACTS), name
    assert not counts(COUNTS, "review", RULE, replace(FACTS, chain=Chain(acts={OTTO: ("built it",)})))
    assert not counts(replace(COUNTS, behalf=IRIS), "review", RULE, replace(FACTS, chain=Chain(acts={IRIS: ("b",)})))


def test_one_signature_sits_once_also_for_two_rules_of_one_role() -> None:
    """The first rule has it; the second waits for somebody else. A delegate sits for the delegator, too."""
    rules = (SignOffRule("a", "it_operations", "approval"), SignOffRule("b", "it_operations", "approval"))
    otto_a, otto_b = signed("a", "it_operations", OTTO, "approval"), signed("b", "it_operations", OTTO, "approval")
    iris_b = replace(otto_b, person=IRIS, name="Iris")
    assert [r.met for r in given(rules, otto_a, otto_b).requirements] == [True, False]
    assert [r.met for r in given(rules, otto_a, iris_b).requirements] == [True, True]
    assert [r.met for r in given(rules, otto_a, replace(iris_b, behalf=OTTO)).requirements] == [True, False]
    assert [r.met for r in given(rules, replace(otto_a, behalf=IRIS), iris_b).requirements] == [True, False]


def test_a_rule_that_comes_after_one_that_is_not_there_never_counts() -> None:
    """The reader refuses such a policy; if one is there all the same, the gate stays shut, and stands in its place."""
    rules = (
        SignOffRule("one", "it_operations", "approval", after=("gone",)),
        SignOffRule("two", "validator", "review"),
    )
    one, two = given(rules, COUNTS, signed("two", "validator", VERA, "review")).requirements
    assert (one.met, one.turn, two.met) == (False, True, True)
    assert [rule.key for rule in in_turn(rules)] == ["one", "two"]


def again(*people: int) -> Facts:
    """Return facts in which both have signed, and the approvals of some are asked for anew."""
    due = AgainFact("the owner changed", (NOON - timedelta(days=1)).isoformat(), (NOON + timedelta(days=5)).isoformat())
    both = (COUNTS, replace(COUNTS, id="i", person=IRIS, name="Iris"))
    return replace(FACTS, signoffs=tuple(replace(s, again=due if s.person in people else None) for s in both))


@pytest.mark.parametrize("people", [(), (OTTO,), (OTTO, IRIS)])
@pytest.mark.parametrize("count", [1, 2])
def test_approvals_are_asked_for_anew_until_enough_others_stand_beside(people: tuple[int, ...], count: int) -> None:
    rule, facts = replace(RULE, count=count), again(*people)
    asked = [s.person for s, _ in anew(rule, "review", facts)]
    assert asked == (list(people) if 2 - len(people) < count else [])
    (requirement,) = evaluate("review", only(rule), facts).requirements
    assert requirement.met
    names = [s.name for s in facts.signoffs if s.person in asked]
    assert requirement.again == "; ".join(f"{n} signs anew by 9 March 2026, for the owner changed" for n in names)
    another = replace(facts, signoffs=tuple(replace(s, requirement="x") for s in facts.signoffs))
    assert anew(rule, "review", another) == []
    open_ = evaluate("review", only(replace(RULE, count=3)), facts).requirements[0]
    assert (open_.met, open_.again) == (False, "")


def test_in_a_quorum_other_roles_and_not_other_people_stand_beside_them() -> None:
    """One fresh signature of another role is one seat of two."""
    rule = replace(QUORUM, key="one")
    first, second = again(OTTO).signoffs
    risk = signed("one", "risk_compliance", RITA, "approval")
    validator = signed("one", "validator", VERA, "approval")
    refused = replace(validator, decision="refuse")
    edda = replace(risk, role="it_operations", person=EDDA)
    for beside, asked in [
        ((risk,), 1), ((risk, second), 0), ((risk, validator), 0), ((second,), 1), ((risk, refused), 1),
        ((second, edda), 1),
    ]:  # fmt: skip
        assert len(anew(rule, "review", replace(FACTS, signoffs=(first, *beside)))) == asked


def test_who_signs_takes_a_role_that_has_not_signed_yet() -> None:
    """Of those that they hold, without a conflict; the first where all have signed, and none where they hold none."""
    holders = {"validator": {VERA: "V", EDDA: "E"}, "it_operations": {EDDA: "E"}, "risk_compliance": {RITA: "R"}}
    facts = replace(FACTS, holders=holders)
    assert [seat_of("review", QUORUM, facts, one) for one in (VERA, EDDA, RITA, OTTO)] == [
        "validator", "validator", "risk_compliance", ""
    ]  # fmt: skip
    validator, operations = (
        signed("two", role, person, "approval") for role, person in [("validator", VERA), ("it_operations", OTTO)]
    )
    for signoffs, expected in [
        ((validator,), "it_operations"),
        ((validator, operations), "validator"),
        ((replace(validator, requirement="another"), operations), "validator"),
        ((replace(validator, entitled=False),), "validator"),
    ]:
        assert seat_of("review", QUORUM, replace(facts, signoffs=signoffs), EDDA) == expected
    barred = replace(facts, chain=Chain(acts={EDDA: ("built it",)}))
    assert seat_of("review", QUORUM, barred, EDDA) == ""


def test_a_delegate_adds_nobody_to_those_who_could_sit() -> None:
    """Where the delegator holds the role, too."""
    rule = SignOffRule("two", "it_operations", "approval", count=2)
    alone = replace(FACTS, chain=Chain(stands_for={"it_operations": {IRIS: (OTTO, "Otto")}}))
    assert most_seats(rule, FACTS) == 2
    assert most_seats(rule, alone) == 1


TWO = SignOffRule("two", "it_operations", "approval", count=2)
OTTO_TWO = signed("two", "it_operations", OTTO, "approval")


@pytest.mark.parametrize(
    ("rule", "signoffs", "chain", "title", "why", "who"),
    [
        (RULE, (), Chain(), "IT operations signs: approval", "IT operations has not signed", ("Otto", "Iris")),
        (TWO, (), Chain(), "IT operations signs: approval", "0 of 2 signed", ("Otto", "Iris")),
        (TWO, (OTTO_TWO,), Chain(), "IT operations signs: approval", "1 of 2 signed", ("Iris",)),
        (
            TWO,
            (OTTO_TWO,),
            Chain(acts={IRIS: ("built it",)}),
            "IT operations signs: approval",
            "1 of 2 signed; nobody who holds the role is free of conflicts",
            (),
        ),
        (
            TWO,
            (),
            Chain(acts={IRIS: ("built it",)}),
            "IT operations signs: approval",
            "0 of 2 signed; too few can sign",
            ("Otto",),
        ),
        (
            QUORUM,
            (OTTO_TWO,),
            Chain(),
            "2 of Validator, IT operations, Risk compliance sign: approval",
            "1 of 2 signed",
            ("Vera", "Rita"),
        ),
        (
            replace(QUORUM, count=1),
            (),
            Chain(),
            "1 of Validator, IT operations, Risk compliance sign: approval",
            "0 of 1 signed",
            ("Vera", "Otto", "Iris", "Rita"),
        ),
        (
            RULE,
            (replace(COUNTS, signed_at=(NOON - timedelta(days=11)).isoformat()),),
            Chain(),
            "IT operations signs: approval",
            "IT operations has not signed; the approval as IT operations ran out on 3 March 2026",
            ("Otto", "Iris"),
        ),
        (
            RULE,
            (replace(COUNTS, signed_at=(NOON - timedelta(days=11)).isoformat(), requirement="another"),),
            Chain(),
            "IT operations signs: approval",
            "IT operations has not signed",
            ("Otto", "Iris"),
        ),
        (
            RULE,
            (replace(COUNTS, decision="changes", name="Otto"),),
            Chain(),
            "IT operations signs: approval",
            "IT operations asks for changes",
            ("Otto",),
        ),
        (
            RULE,
            (COUNTS, replace(COUNTS, person=IRIS, decision="refuse", name="Iris")),
            Chain(),
            "IT operations signs: approval",
            "IT operations refused",
            ("Iris",),
        ),
    ],
)
def test_what_is_missing_is_told_with_who_can_sign(
    rule: SignOffRule, signoffs: tuple[SignOffFact, ...], chain: Chain, title: str, why: str, who: tuple[str, ...]
) -> None:
    (found,) = given((rule,), *signoffs, facts=replace(FACTS, chain=chain)).requirements
    assert (found.met, found.title, found.why, found.who) == (False, title, why, who)


def test_whoever_signed_in_turn_keeps_the_seat_where_what_comes_first_falls_away() -> None:
    """Nothing is said of a turn to what is met already."""
    first, then = SignOffRule("first", "validator", "approval"), replace(RULE, after=("first",))
    vera = signed("first", "validator", VERA, "approval")
    one, two = given((first, then), vera, COUNTS).requirements
    assert (one.met, two.met, two.why, two.who, two.turn) == (True, True, "", (), True)
    one, two = given((first, then), replace(vera, decision="refuse"), COUNTS).requirements
    assert (one.met, two.met, two.turn) == (False, False, False)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("barred", [True, False])
def test_an_owner_of_consumers_is_asked_and_it_is_said_what_helps_where_they_cannot(active: bool, barred: bool) -> None:
    consumer = ConsumerFact("c", "Billing", "table", RITA, "Rita", active, ("c", "v", ["changed"]))
    holders = {**THREE, f"consumer-{RITA}": {RITA: "Rita"}}
    chain = Chain(acts={RITA: ("built it",)} if barred else {})
    facts = replace(FACTS, consumers=(consumer,), holders=holders, chain=chain, signoffs=(COUNTS,))
    _, asked = evaluate("review", only(RULE), facts).requirements
    assert asked.title == "The owner of Billing signs: approval"
    cannot = "may not sign here" if active else "has an account that is closed"
    helps = f"; the owner {cannot}; name another owner of Billing by an amendment of what is live, who is asked then"
    assert asked.why == f"has not signed{helps if barred else ''}"
