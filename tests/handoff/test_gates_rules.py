"""The gate, judged on facts alone: enumerated where it is small, and each rule shown to bite by its own."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations, product

import pytest

from handoff.rules.checklists import ChecklistItem
from handoff.rules.duties import Chain, conflicts
from handoff.rules.gates import AnswerFact, Facts, SignOffFact, TestFact, evaluate
from handoff.rules.policies import Gate, PolicyRules, SignOffRule
from handoff.rules.scopes import COVERS, scope_for, touched
from handoff.rules.seats import most_seats

PARTS = {name: f"digest of {name}" for name in COVERS["confirm"]}
VERA, OTTO, IRIS, DANA = 1, 2, 3, 4
HOLDERS = {"validator": {VERA: "Vera"}, "it_operations": {OTTO: "Otto", IRIS: "Iris"}, "data_scientist": {DANA: "Dana"}}
REVIEW = Gate(
    "review",
    checklist=(ChecklistItem("purpose", "Written down?", "data_scientist", evidence=("link",)),),
    acknowledge="it_operations",
    signoffs=(
        SignOffRule("validation", "validator", "review"),
        SignOffRule("acceptance", "it_operations", "responsibility"),
    ),
)
RELEASE = Gate("release", signoffs=(SignOffRule("release", "it_operations", "approval"),))
RULES = PolicyRules("p", "P", ("low",), ("production",), (), ("golden",), {"review": REVIEW, "release": RELEASE})


def signed(key: str, role: str, person: int, meaning: str, gate: str = "review", **changes: object) -> SignOffFact:
    """Return a sign-off that counts, unless something about it is changed."""
    fact = SignOffFact(
        f"{gate}-{key}-{person}", gate, key, role, person, str(person), "approve", meaning, scope_for(gate, PARTS), True
    )
    return replace(fact, **changes)  # type: ignore[arg-type]


VALIDATION = signed("validation", "validator", VERA, "review")
ACCEPTANCE = signed("acceptance", "it_operations", OTTO, "responsibility")
RELEASED = signed("release", "it_operations", OTTO, "approval", "release")
FULL = Facts(
    version="v",
    parts=PARTS,
    differences=("tools.hardware",),
    answers={"purpose": AnswerFact("yes", DANA, ("link",))},
    acknowledged={"tools.hardware": OTTO},
    signoffs=(VALIDATION, ACCEPTANCE),
    tests={"golden": TestFact("passed", "v")},
    holders=HOLDERS,
    chain=Chain(acts={DANA: ("offered this handoff",)}),
)


def with_signoffs(*signoffs: SignOffFact) -> Facts:
    """Return the full facts with these sign-offs instead."""
    return replace(FULL, signoffs=signoffs)


def test_a_gate_with_everything_is_open() -> None:
    result = evaluate("review", RULES, FULL)
    assert result.open
    assert not result.missing


@pytest.mark.parametrize(
    ("what", "facts", "key"),
    [
        ("no answer", replace(FULL, answers={}), "purpose"),
        ("answered no", replace(FULL, answers={"purpose": AnswerFact("no", DANA)}), "purpose"),
        ("a yes without evidence", replace(FULL, answers={"purpose": AnswerFact("yes", DANA)}), "purpose"),
        ("a yes with another kind", replace(FULL, answers={"purpose": AnswerFact("yes", DANA, ("file",))}), "purpose"),
        ("a difference unread", replace(FULL, acknowledged={}), "differences"),
        ("no signature", with_signoffs(ACCEPTANCE), "validation"),
        ("a refusal", with_signoffs(replace(VALIDATION, decision="refuse"), ACCEPTANCE), "validation"),
        ("another gate", with_signoffs(replace(VALIDATION, gate="release"), ACCEPTANCE), "validation"),
        ("another requirement", with_signoffs(replace(VALIDATION, requirement="x"), ACCEPTANCE), "validation"),
        ("another role", with_signoffs(replace(VALIDATION, role="it_operations"), ACCEPTANCE), "validation"),
        ("another meaning", with_signoffs(replace(VALIDATION, meaning="approval"), ACCEPTANCE), "validation"),
        ("a role taken away", with_signoffs(replace(VALIDATION, entitled=False), ACCEPTANCE), "validation"),
        ("a conflict", replace(FULL, chain=Chain(acts={VERA: ("built it",)})), "validation"),
        ("one person in two roles", replace(FULL, chain=Chain(signed={VERA: "it_operations"})), "validation"),
    ],
)
def test_a_gate_is_shut_and_says_why(what: str, facts: Facts, key: str) -> None:
    result = evaluate("review", RULES, facts)
    assert not result.open, what
    (missing,) = [r for r in result.missing if r.key == key]
    assert missing.why
    assert missing.who or what in {"a conflict", "one person in two roles"}


@pytest.mark.parametrize("part", COVERS["review"])
def test_a_signature_holds_for_exactly_what_it_covers(part: str) -> None:
    changed = replace(FULL, parts={**PARTS, part: "something else"})
    assert not evaluate("review", RULES, changed).open
    assert touched(VALIDATION.scope, changed.parts) == (part,)


def test_results_are_not_covered_at_review_and_are_at_release() -> None:
    changed = {**PARTS, "results": "something else"}
    assert not touched(VALIDATION.scope, changed)
    assert touched(RELEASED.scope, changed) == ("results",)


def test_one_person_fills_one_seat() -> None:
    rules = replace(
        RULES, gates={"review": Gate("review", signoffs=(SignOffRule("two", "it_operations", "approval", count=2),))}
    )
    otto = signed("two", "it_operations", OTTO, "approval")
    twice = with_signoffs(otto, replace(otto, id="again"))
    assert not evaluate("review", rules, twice).open
    assert evaluate("review", rules, with_signoffs(otto, signed("two", "it_operations", IRIS, "approval"))).open


def test_a_refusal_shuts_a_gate_that_has_all_it_needs() -> None:
    against = signed("acceptance", "it_operations", IRIS, "responsibility", decision="refuse")
    result = evaluate("review", RULES, with_signoffs(VALIDATION, ACCEPTANCE, against))
    assert not result.open
    assert result.refused


def test_release_needs_tests_and_that_review_still_stands() -> None:
    facts = with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)
    assert evaluate("release", RULES, facts).open
    assert not evaluate("release", RULES, replace(facts, tests={})).open
    assert not evaluate("release", RULES, replace(facts, tests={"golden": TestFact("failed", "v")})).open
    assert not evaluate("release", RULES, replace(facts, tests={"golden": TestFact("passed", "another")})).open
    assert not evaluate("release", RULES, with_signoffs(ACCEPTANCE, RELEASED)).open


def test_silence_never_opens_a_gate() -> None:
    nobody = replace(RULES, gates={"review": Gate("review"), "release": Gate("release")})
    assert not evaluate("review", nobody, FULL).open
    assert not evaluate("release", nobody, FULL).open


def one_signature() -> Iterable[SignOffFact]:
    """Give every signature that differs from one that counts in any set of its properties."""
    choices = product(
        ("approve", "refuse"), ("validator", "it_operations"), ("review", "approval"), (True, False), (VERA, DANA)
    )
    for decision, role, meaning, entitled, person in choices:
        yield signed("validation", role, person, meaning, decision=decision, entitled=entitled)


def test_every_one_signature_case_against_a_plain_oracle() -> None:
    rules = replace(RULES, gates={"review": Gate("review", signoffs=(REVIEW.signoffs[0],))})
    for signoff in one_signature():
        counts = (
            signoff.decision == "approve"
            and signoff.role == "validator"
            and signoff.meaning == "review"
            and signoff.entitled
            and signoff.person != DANA
        )
        assert evaluate("review", rules, with_signoffs(signoff)).open == counts, signoff


RITA = 5
THREE = {"validator": {VERA: "Vera"}, "it_operations": {OTTO: "Otto", IRIS: "Iris"}, "risk_compliance": {RITA: "Rita"}}
QUORUM = SignOffRule("two", "", "approval", count=2, quorum=("validator", "it_operations", "risk_compliance"))


def only(*rules: SignOffRule) -> PolicyRules:
    """Return rules whose review asks for these sign-offs alone."""
    return replace(RULES, gates={"review": Gate("review", signoffs=rules)})


def test_a_quorum_against_a_plain_oracle() -> None:
    """Every set of seven signatures: two roles of the three must have signed, one role counts once."""
    pool = [
        signed("two", role, person, "approval")
        for role, person in [
            ("validator", VERA), ("it_operations", OTTO), ("it_operations", IRIS), ("risk_compliance", RITA),
            ("validator", DANA), ("model_owner", 6),
        ]
    ]  # fmt: skip
    pool.append(replace(pool[3], decision="refuse", person=7))
    facts = replace(FULL, holders=THREE)
    for present in product((False, True), repeat=len(pool)):
        given = [s for s, there in zip(pool, present, strict=True) if there]
        roles = {s.role for s in given if s.decision == "approve" and s.person != DANA and s.role in THREE}
        expected = len(roles) >= 2 and all(s.decision == "approve" for s in given)
        result = evaluate("review", only(QUORUM), replace(facts, signoffs=tuple(given)))
        assert result.open == expected, given
        (asked,) = result.requirements
        assert len(asked.by) == min(2, len(roles))


ORDERED = (
    SignOffRule("last", "risk_compliance", "approval", after=("first", "second")),
    SignOffRule("second", "it_operations", "approval", after=("first",)),
    SignOffRule("first", "validator", "approval"),
)
IN_ORDER = {
    "first": signed("first", "validator", VERA, "approval"),
    "second": signed("second", "it_operations", OTTO, "approval"),
    "last": signed("last", "risk_compliance", RITA, "approval"),
}


def test_orders_of_signing_against_a_plain_oracle() -> None:
    """Every set and every order of three signatures: each counts exactly if all before it in the policy came before."""
    facts = replace(FULL, holders=THREE)
    for many in range(4):
        for keys in permutations(IN_ORDER, many):
            counted: list[str] = []
            for key in keys:
                before = next(rule.after for rule in ORDERED if rule.key == key)
                counted += [key] if set(before) <= set(counted) else []
            result = evaluate("review", only(*ORDERED), replace(facts, signoffs=tuple(IN_ORDER[key] for key in keys)))
            assert {r.key for r in result.requirements if r.met} == set(counted), keys
            assert result.open == (len(counted) == 3)
            assert {r.key for r in result.requirements if not r.turn} == {
                rule.key for rule in ORDERED if rule.key not in counted and not set(rule.after) <= set(counted)
            }


def test_the_gate_says_whose_turn_it_is() -> None:
    facts = replace(FULL, holders=THREE, signoffs=(IN_ORDER["last"],))
    last, second, first = evaluate("review", only(*ORDERED), facts).requirements
    assert (first.who, first.turn) == (("Vera",), True)
    assert (second.who, second.turn) == (("Vera",), False)
    assert "Validator signs: approval" in second.why
    assert (last.met, last.turn, last.who) == (False, False, ("Vera",))


def test_who_signed_before_their_turn_is_told() -> None:
    facts = replace(FULL, holders=THREE, signoffs=(IN_ORDER["second"], IN_ORDER["first"]))
    requirement = next(r for r in evaluate("review", only(*ORDERED), facts).requirements if r.key == "second")
    assert not requirement.met
    assert "before it was their turn" in requirement.why


@pytest.mark.parametrize(
    ("rule", "waits"),
    [
        (SignOffRule("advice", "risk_compliance", "review"), {"low": True, "medium": True, "high": True}),
        (
            SignOffRule("advice", "risk_compliance", "review", advisory=True),
            {"low": False, "medium": False, "high": False},
        ),
        (
            SignOffRule("advice", "risk_compliance", "review", required_above="low"),
            {"low": False, "medium": True, "high": True, "": True, "unheard of": True},
        ),
        (
            SignOffRule("advice", "risk_compliance", "review", required_above="medium"),
            {"low": False, "medium": False, "high": True},
        ),
    ],
)
def test_an_advisory_sign_off_is_asked_for_and_not_waited_for(rule: SignOffRule, waits: dict[str, bool]) -> None:
    first = signed("first", "validator", VERA, "approval")
    advice = signed("advice", "risk_compliance", RITA, "review")
    for tier, expected in waits.items():
        facts = replace(FULL, holders=THREE, tier=tier, signoffs=(first,))
        result = evaluate("review", only(ORDERED[2], rule), facts)
        assert result.open is not expected
        assert result.requirements[1].who == ("Rita",)
        assert [r.key for r in result.missing] == (["advice"] if expected else [])
        assert evaluate("review", only(ORDERED[2], rule), replace(facts, signoffs=(first, advice))).open
        refused = replace(facts, signoffs=(first, replace(advice, decision="refuse")))
        assert not evaluate("review", only(ORDERED[2], rule), refused).open


def test_advice_alone_never_opens_a_gate() -> None:
    rule = SignOffRule("advice", "validator", "approval", advisory=True)
    facts = replace(FULL, holders=THREE, signoffs=(signed("advice", "validator", VERA, "approval"),))
    assert not evaluate("review", only(rule), facts).open


@pytest.mark.parametrize("rule", [QUORUM, SignOffRule("two", "it_operations", "approval", count=2)])
def test_the_most_that_can_sit_against_trying_all(rule: SignOffRule) -> None:
    """Over all sets of holders of three roles among three people: seats are people each in another role."""
    people = {1: "a", 2: "b", 3: "c"}
    for held in product((False, True), repeat=9):
        holders = {
            role: {p: people[p] for p in people if held[at * 3 + p - 1]} for at, role in enumerate(QUORUM.quorum)
        }
        most = most_seats(rule, replace(FULL, holders=holders, chain=Chain()))
        if not rule.quorum:
            assert most == len(holders["it_operations"])
            continue
        tried = (
            sum(p in holders[role] for p, role in zip(order, QUORUM.quorum, strict=True))
            for order in permutations(people)
        )
        assert most == max(tried), holders


def test_opening_is_monotone() -> None:
    """Taking a fact away never opens a gate that was shut, over every set of four signatures."""
    pool = (VALIDATION, ACCEPTANCE, replace(ACCEPTANCE, id="i", person=IRIS), replace(VALIDATION, id="d", person=DANA))
    opened = {}
    for present in product((False, True), repeat=len(pool)):
        facts = with_signoffs(*(s for s, there in zip(pool, present, strict=True) if there))
        opened[present] = evaluate("review", RULES, facts).open
    for present, is_open in opened.items():
        for at, there in enumerate(present):
            if there and not is_open:
                assert not opened[(*present[:at], False, *present[at + 1 :])]


@pytest.mark.parametrize("role", ["validator", "it_operations"])
def test_duties_are_judged_on_acts_and_other_roles_only(role: str) -> None:
    chain = Chain(acts={DANA: ("created this version", "offered this handoff")}, signed={VERA: "validator"})
    assert conflicts(chain, person=DANA, role=role) == ("created this version", "offered this handoff")
    assert bool(conflicts(chain, person=VERA, role=role)) == (role != "validator")
    assert conflicts(chain, person=OTTO, role=role) == ()
