"""What is read off a judged gate, and what each kind of fact does to it: every case of a small scope."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, product

import pytest

from handoff.rules.canaries import StrategyRules
from handoff.rules.checklists import ChecklistItem
from handoff.rules.gate_facts import FindingFact, GateResult, Requirement
from handoff.rules.gates import TestFact, before_approval, evaluate, waits_for_its_time
from handoff.rules.policies import Gate, SignOffRule
from handoff.rules.sandboxes import SandboxRules
from handoff.rules.watches import CanaryFact
from handoff.rules.windows import Freeze, Opening, Window
from tests.handoff.test_gates_rules import (
    ACCEPTANCE,
    FULL,
    OTTO,
    RELEASED,
    REVIEW,
    RULES,
    VALIDATION,
    signed,
    with_signoffs,
)

CLOCKS = ("window", "freeze", "canary")


def requirements() -> list[Requirement]:
    """Return every requirement that differs in what is looked at."""
    kinds = ("signoff", "answer", *CLOCKS)
    cases = product(kinds, ("mine", "other"), (True, False), (True, False), (True, False))
    return [Requirement(kind, key, "", "", met, needed=needed, turn=turn) for kind, key, met, needed, turn in cases]


def shut(*found: Requirement, refused: bool = False) -> GateResult:
    """Return a gate that is shut by these."""
    return GateResult("release", False, refused, found)


def test_what_comes_before_an_approval_is_open_work_and_who_signs_first() -> None:
    """Not what the clock opens, nor other signatures; the rule's own only where it is not its turn."""
    for one in requirements():
        work = one.kind == "answer" and one.needed and not one.met
        first = one.kind == "signoff" and one.key == "mine" and not one.met and not one.turn
        assert before_approval(shut(one), "mine") == ([one] if work or first else []), one


def test_a_gate_opens_by_itself_only_if_nothing_but_the_clock_keeps_it_shut() -> None:
    """No refusal, and no open requirement of another kind beside it."""
    for one, other, refused in product(requirements()[::3], requirements()[::3], (True, False)):
        missing = [r for r in (one, other) if r.needed and not r.met]
        expected = bool(missing) and not refused and all(r.kind in CLOCKS for r in missing)
        assert waits_for_its_time(shut(one, other, refused=refused)) == expected


def test_a_requirement_asks_whoever_holds_one_of_its_roles() -> None:
    """The roles of a quorum if it has one, else its one role."""
    names = ("validator", "risk", "it")
    held_by = [chosen for many in range(4) for chosen in combinations(names, many)]
    for role, roles, held in product(names, held_by, held_by):
        asked: Collection[str] = roles or (role,)
        requirement = Requirement("signoff", "k", "", role, False, roles=roles)
        assert requirement.asks(held) == bool(set(asked) & set(held))


def test_who_asks_for_changes_shuts_the_gate_they_ask_at_and_no_earlier_one() -> None:
    """Also where their sign-off is only advice; it is no refusal of the whole."""
    advice = SignOffRule("advice", "it_operations", "advice", advisory=True)
    rules = replace(
        RULES, gates={"review": replace(REVIEW, signoffs=(*REVIEW.signoffs, advice)), "release": Gate("release")}
    )
    for gate, decision in product(("review", "release"), ("approve", "changes", "refuse")):
        given = signed("advice", "it_operations", 7, "advice", gate, decision=decision)
        result = evaluate("review", rules, with_signoffs(VALIDATION, ACCEPTANCE, given))
        assert result.open == (decision == "approve" or (decision == "changes" and gate == "release"))
        assert result.refused == (decision == "refuse")


def test_no_answer_and_no_test_stands_for_a_signature() -> None:
    """A gate for which all else is done, and nobody is to sign, stays shut; but confirm was signed for."""
    unsigned = replace(RULES, gates={"review": replace(REVIEW, signoffs=()), "release": Gate("release")})
    result = evaluate("review", unsigned, FULL)
    assert not result.open
    assert result.requirements
    assert not result.missing
    confirm = replace(RULES, gates={**RULES.gates, "confirm": Gate("confirm")})
    assert evaluate("confirm", confirm, with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)).open


def test_a_judged_gate_is_kept_as_plain_data() -> None:
    """All of it, requirement by requirement, as it is stored with a decision."""
    kept = evaluate("review", RULES, FULL).as_dict()
    assert (kept["gate"], kept["open"], kept["refused"]) == ("review", True, False)
    assert [one["key"] for one in kept["requirements"]] == ["purpose", "differences", "validation", "acceptance"]


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("name", ["Otto", None])
def test_a_finding_shuts_the_gate_only_if_it_blocks(blocks: bool, name: str | None) -> None:
    finding = FindingFact("f", "Drift of inputs", "major", blocks, OTTO, name, "")
    result = evaluate("review", RULES, replace(FULL, findings=(finding,)))
    assert result.open is not blocks
    assert [(r.key, r.title, r.why, r.who) for r in result.missing] == (
        [("f", "Drift of inputs", "a major finding is open", (name,) if name else ())] if blocks else []
    )


def test_what_moved_since_the_report_suspends_and_says_what() -> None:
    """Operations are asked; findings and moves of now do not shut a gate that was passed before."""
    moved = {"a": "the target has less memory", "b": "a binding is gone"}
    result = evaluate("review", RULES, replace(FULL, moved=moved))
    (missing,) = result.missing
    assert (missing.kind, missing.who) == ("report", ("Otto", "Iris"))
    assert missing.why == "the target has less memory; a binding is gone"
    released = replace(with_signoffs(VALIDATION, ACCEPTANCE, RELEASED), moved=moved)
    assert [r.kind for r in evaluate("release", RULES, released).missing] == ["report"]


NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
OPEN, SHUT = Window("UTC", (Opening(("wed",), 0, 1439),)), Window("UTC", (Opening(("thu",), 540, 600),))
FREEZE = Freeze("year end", "UTC", NOON.date(), NOON.date())
PAST = Freeze("past", "UTC", NOON.date() - timedelta(days=9), NOON.date() - timedelta(days=8))


@pytest.mark.parametrize("windows", [(), (OPEN,), (SHUT,), (OPEN, SHUT)])
@pytest.mark.parametrize("freezes", [(), (FREEZE,), (PAST,), (PAST, FREEZE)])
@pytest.mark.parametrize("now", [NOON, None])
def test_windows_and_freezes_shut_the_release_alone(
    windows: tuple[Window, ...], freezes: tuple[Freeze, ...], now: datetime | None
) -> None:
    """All windows must be open and no freeze hold; where nobody knows the time, nothing is open, and that is said."""
    rules = replace(RULES, windows=windows, freezes=freezes)
    facts = replace(with_signoffs(VALIDATION, ACCEPTANCE, RELEASED), now=now)
    result = evaluate("release", rules, facts)
    late = [] if not windows or (now and SHUT not in windows) else ["window"]
    late += [f"freeze-{at}" for at, one in enumerate(freezes) if now is None or one is FREEZE]
    assert [r.key for r in result.missing] == late
    assert result.open == (not late)
    assert waits_for_its_time(result) == bool(late)
    assert {r.who for r in result.missing} == ({("the clock",)} if late else set())
    for one in result.missing:
        assert ("the next opening is" in one.why) == (now is not None)
        assert one.why.startswith("nobody knows" if now is None else ("it is closed", "it holds")[one.kind == "freeze"])
    assert evaluate("review", rules, facts).open


@pytest.mark.parametrize(
    ("result", "why", "who"),
    [
        (None, "has not run yet", ("the workers",)),
        (TestFact("failed", "v"), "failed", ("data science, with a new version",)),
        (TestFact("passed", "another"), "passed", ("data science, with a new version",)),
        (TestFact("passed", "v"), "", ()),
    ],
)
def test_a_promotion_test_counts_for_the_version_it_ran_on(
    result: TestFact | None, why: str, who: tuple[str, ...]
) -> None:
    facts = replace(with_signoffs(VALIDATION, ACCEPTANCE, RELEASED), tests={"golden": result} if result else {})
    (found,) = [r for r in evaluate("release", RULES, facts).requirements if r.kind == "test"]
    assert (found.met, found.why, found.who) == (not why, why, who)


@pytest.mark.parametrize("asked", ["", "it_operations"])
@pytest.mark.parametrize("name", ["review", "release"])
def test_each_role_acknowledges_what_it_answers_for(asked: str, name: str) -> None:
    """Over which of two differences risk answers for, and which were acknowledged."""
    differences = ("tools.hardware", "data.feeds")
    gate = Gate(name, acknowledge=asked, signoffs=())
    rules = replace(RULES, tests=(), gates={**RULES.gates, name: gate})
    for risk, done in product(product((False, True), repeat=2), product((False, True), repeat=2)):
        answering = {key: "risk_compliance" for key, theirs in zip(differences, risk, strict=True) if theirs}
        known = {key: OTTO for key, there in zip(differences, done, strict=True) if there}
        facts = replace(FULL, differences=differences, answering=answering, acknowledged=known)
        found = {r.role: r for r in evaluate(name, rules, facts).requirements if r.kind == "differences"}
        whose = {key: answering.get(key) or asked for key in differences}
        expected = {role for role in (asked, *whose.values()) if role} if name == "review" or asked else set()
        assert set(found) == expected
        for role, one in found.items():
            mine = [key for key in differences if whose[key] == role]
            left = [key for key in mine if key not in known]
            assert one.met == (not left)
            assert one.why == (
                f"{len(left)} of {len(mine)} undeclared differences are not acknowledged" if left else ""
            )
            assert (one.key == "differences") == (role == asked)
            assert one.who == (("Otto", "Iris") if left and role == "it_operations" else ())


def test_a_pass_in_too_weak_a_sandbox_does_not_count() -> None:
    """It is told with the level; of a test that failed, or has not run, the failure is told."""
    rules = replace(RULES, sandbox=SandboxRules("L1"))
    facts = with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)
    for result, why in [
        (TestFact("passed", "v", "L1"), ""),
        (TestFact("passed", "v", "L2"), ""),
        (TestFact("passed", "v", "L0"), rules.sandbox.short("L0")),
        (TestFact("failed", "v", "L0"), "failed"),
    ]:
        found = evaluate("release", rules, replace(facts, tests={"golden": result}))
        (test,) = [r for r in found.requirements if r.kind == "test"]
        assert (test.met, test.why, found.open) == (not why, why, not why)
        assert (test.who == ("whoever offers the version again, once a worker has that sandbox",)) == ("sandbox" in why)


def test_a_computed_item_sees_only_tests_that_count() -> None:
    """Not one of another version, nor one that failed, nor a pass in too weak a sandbox."""
    item = ChecklistItem("tests", "Passed?", "data_scientist", fact="tests.passed")
    release = replace(RULES.gates["release"], checklist=(item,))
    rules = replace(RULES, sandbox=SandboxRules("L1"), gates={**RULES.gates, "release": release})
    facts = with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)
    for verdict, digest, sandbox in product(("passed", "failed"), ("v", "another"), ("L0", "L1")):
        found = evaluate("release", rules, replace(facts, tests={"golden": TestFact(verdict, digest, sandbox)}))
        (computed,) = [r for r in found.requirements if r.kind == "fact"]
        assert computed.met == ((verdict, digest, sandbox) == ("passed", "v", "L1"))
        assert bool(computed.who) == (not computed.met)


def test_a_computed_item_sees_which_differences_nobody_has_acknowledged() -> None:
    """It is met exactly when none is left."""
    item = ChecklistItem("seen", "All seen?", "it_operations", fact="differences.acknowledged")
    rules = replace(RULES, gates={"review": replace(REVIEW, checklist=(item,)), "release": RULES.gates["release"]})
    for known in ({}, {"tools.hardware": OTTO}):
        found = evaluate("review", rules, replace(FULL, acknowledged=known)).requirements
        assert [r.met for r in found if r.kind == "fact"] == [bool(known)]


def test_a_canary_is_asked_for_at_the_confirm_gate_alone_which_looks_back_at_one_gate() -> None:
    """The gate before says all that those before it say."""
    rules = replace(RULES, strategy=StrategyRules("canary"), gates={**RULES.gates, "confirm": Gate("confirm")})
    facts = replace(with_signoffs(VALIDATION, ACCEPTANCE, RELEASED), canary=CanaryFact(unseen_minutes=0))
    assert [r.key for r in evaluate("confirm", rules, facts).requirements if r.kind == "gate"] == ["release"]
    assert [r.key for r in evaluate("release", rules, facts).requirements if r.kind == "gate"] == ["review"]
    assert {r.kind for r in evaluate("confirm", rules, facts).missing} == {"canary"}
    assert evaluate("release", rules, facts).open
    lasted = replace(facts, canary=CanaryFact(minutes=60, scored=1000, unseen_minutes=0))
    assert evaluate("confirm", rules, lasted).open


def test_an_item_is_asked_where_the_answers_make_it_visible_and_of_its_own_gate() -> None:
    """Who holds the role is asked, and it is said where nobody holds it."""
    item = ChecklistItem("extra", "Checked by risk?", "risk_compliance")
    rules = replace(RULES, gates={**RULES.gates, "release": replace(RULES.gates["release"], checklist=(item,))})
    facts = with_signoffs(VALIDATION, ACCEPTANCE, RELEASED)
    assert evaluate("review", rules, facts).open
    (missing,) = evaluate("release", rules, facts).missing
    assert (missing.key, missing.kind, missing.who) == ("extra", "answer", ("nobody holds the role Risk compliance",))
    held = replace(facts, holders={**FULL.holders, "risk_compliance": {9: "Rita"}})
    assert evaluate("release", rules, held).missing[0].who == ("Rita",)
