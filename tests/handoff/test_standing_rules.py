"""Whether an old approval still stands: what ends it, what of it ends first, and what of today has no bearing on it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoff.rules.checklists import ChecklistItem, Included
from handoff.rules.gate_facts import FindingFact, SignOffFact, WaiverFact
from handoff.rules.gates import AnswerFact, Facts, TestFact
from handoff.rules.lapses import AgainFact, ConditionFact, EndedFact
from handoff.rules.policies import Gate, PolicyRules, SignOffRule
from handoff.rules.standing import Lack, Standing, judge_standing
from handoff.rules.windows import Freeze, Opening, Window
from tests.handoff.test_gates_rules import (
    ACCEPTANCE,
    DANA,
    FULL,
    IRIS,
    OTTO,
    RELEASE,
    RELEASED,
    REVIEW,
    RULES,
    VALIDATION,
    VERA,
    signed,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
IVAN = 6
NAMES = {VERA: "Vera", OTTO: "Otto", IRIS: "Iris", DANA: "Dana", IVAN: "Ivan"}
ROLES = {"validation": "validator", "acceptance": "it_operations"}


def approved(person: int, ago: int, key: str = "release", **changes: Any) -> SignOffFact:
    """Return an approval that somebody gave so many days ago."""
    gate = "review" if key in ROLES else "release"
    at = (NOW - ago * DAY).isoformat()
    changes = {"name": NAMES[person], "signed_at": at} | changes
    return signed(key, ROLES.get(key, "it_operations"), person, "approval", gate, **changes)


def releasing(*signoffs: SignOffFact, **changes: Any) -> Facts:
    """Return facts with these signatures at the release, and all that the review asked for."""
    return replace(FULL, now=NOW, signoffs=(VALIDATION, ACCEPTANCE, *signoffs), **changes)


def lasting(days: int, **rule: Any) -> PolicyRules:
    """Return rules whose release sign-off is good for some days."""
    gate = Gate("release", signoffs=(SignOffRule("release", "it_operations", "approval", valid_days=days, **rule),))
    return replace(RULES, gates={"review": REVIEW, "release": gate})


def ended(ending: str, because: str, id_: str = "gone", key: str = "release", role: str = "it_operations") -> EndedFact:
    """Return a sign-off of Otto that has ended."""
    return EndedFact(id_, "review" if key in ROLES else "release", key, role, OTTO, "Otto", ending, because)


LIVE = releasing(RELEASED)
PAST = "The approval as IT operations at the release gate ran out on 1 November 2026."
RAN_OUT = Lack("release", "signoff", "release", "IT operations", PAST, ("Otto", "Iris"))
UNWRITTEN = Lack("review", "answer", "purpose", "Written down?", "Data scientist has not answered", ("Dana",))


def test_what_has_no_limit_stands_for_ever() -> None:
    found = judge_standing(RULES, LIVE, (), {})
    assert found == Standing()
    assert found.stands
    assert (found.why, found.renewable) == ("", ())
    assert found.as_dict() == {"stands": True, "until": None, "ends_first": "", "missing": []}


SHUT = Window("UTC", (Opening(("thu",), 540, 600),))
FROZEN = Freeze("year end", "UTC", NOW.date(), NOW.date())


@pytest.mark.parametrize(
    ("what", "rules", "facts"),
    [
        ("a drift", RULES, replace(LIVE, moved={"x": "Python changed"})),
        ("a finding", RULES, replace(LIVE, findings=(FindingFact("f", "Drift", "major", True, OTTO, "Otto", ""),))),
        ("a role lost", RULES, replace(LIVE, signoffs=tuple(replace(s, entitled=False) for s in LIVE.signoffs))),
        ("another version", RULES, replace(LIVE, parts={**LIVE.parts, "version": "another"})),
        ("a difference unread", RULES, replace(LIVE, acknowledged={})),
        ("a test that failed since", RULES, replace(LIVE, tests={"golden": TestFact("failed", "v")})),
        ("no test", RULES, replace(LIVE, tests={})),
        ("a window", replace(RULES, windows=(SHUT,), freezes=(FROZEN,)), LIVE),
        ("no signature", lasting(90), releasing()),
        ("changes asked for", lasting(90), releasing(approved(OTTO, 10, decision="changes"))),
        ("a refusal", lasting(90), releasing(approved(OTTO, 10, decision="refuse"))),
        ("advice that ran out", lasting(90, advisory=True), releasing(approved(OTTO, 99))),
    ],
)
def test_what_does_not_end_an_approval(what: str, rules: PolicyRules, facts: Facts) -> None:
    assert judge_standing(rules, facts, (), {"golden": NOW + DAY, "other": NOW + DAY}) == Standing(), what


def condition(due: int) -> ConditionFact:
    """Return a condition that is due some days from now, or was some days ago."""
    return ConditionFact("c", "show it", (NOW + due * DAY).isoformat(), DANA, "Dana")


def again(due: int) -> AgainFact:
    """Return that an approval is asked for anew, and due some days from now."""
    return AgainFact("the owner changed", (NOW - DAY).isoformat(), (NOW + due * DAY).isoformat())


@pytest.mark.parametrize(
    ("rules", "signoffs", "until", "who"),
    [
        (lasting(90), [approved(OTTO, 10)], 80, "Otto"),
        (lasting(90), [approved(OTTO, 10), approved(IRIS, 5)], 85, "Iris"),
        (lasting(90), [approved(OTTO, 99), approved(IRIS, 5)], 85, "Iris"),
        (lasting(90), [approved(OTTO, 5), approved(IRIS, 99)], 85, "Otto"),
        (lasting(90), [approved(OTTO, 10), approved(IRIS, 5, decision="changes")], 80, "Otto"),
        (lasting(90, count=2), [approved(OTTO, 30), approved(IRIS, 20), approved(IVAN, 10)], 70, "Iris"),
        (lasting(90, count=2), [approved(IRIS, 20), approved(OTTO, 30)], 60, "Otto"),
        (lasting(90, count=2), [approved(OTTO, 30)], None, ""),
        (lasting(0), [approved(OTTO, 10, decision="conditional", conditions=(condition(6), condition(3)))], 3, "Otto"),
        (lasting(12), [approved(OTTO, 10, decision="conditional", conditions=(condition(6), condition(3)))], 2, "Otto"),
        (lasting(90), [approved(OTTO, 10, again=again(7))], 7, "Otto"),
        (lasting(0), [approved(OTTO, 10, conditions=(condition(3),)), approved(IRIS, 10)], None, ""),
    ],
)
def test_an_approval_ends_when_too_few_signatures_hold(
    rules: PolicyRules, signoffs: list[SignOffFact], until: int | None, who: str
) -> None:
    """Those of the review, which have no limit, have no bearing on it, nor has the order in which all were given."""
    expected = Standing()
    if until is not None:
        expected = Standing((), NOW + until * DAY, f"the approval of {who} at the release gate")
    later = tuple(replace(s, signed_at=NOW.isoformat()) for s in (VALIDATION, ACCEPTANCE))
    for facts in (releasing(*signoffs), replace(LIVE, signoffs=(*signoffs[::-1], *later))):
        assert judge_standing(rules, facts, (), {}) == expected


QUORUM = SignOffRule("release", "", "approval", quorum=("validator", "it_operations"), valid_days=90)
TWO = replace(RULES, gates={"review": REVIEW, "release": Gate("release", signoffs=(QUORUM,))})


@pytest.mark.parametrize(
    ("rules", "signoffs", "gone", "lack"),
    [
        (lasting(90), [approved(OTTO, 90)], [], RAN_OUT),
        (
            lasting(90, count=2),
            [approved(OTTO, 90), approved(IRIS, 89)],
            [],
            RAN_OUT,
        ),
        (
            lasting(90, count=2),
            [approved(OTTO, 90), approved(IRIS, 91)],
            [],
            replace(RAN_OUT, why=f"{PAST} {PAST.replace('1 November', '31 October')}"),
        ),
        (
            TWO,
            [approved(OTTO, 90)],
            [],
            replace(RAN_OUT, title="Validator or IT operations", who=("Vera", "Otto", "Iris")),
        ),
        (
            lasting(0),
            [approved(OTTO, 9, decision="conditional", conditions=(condition(-1),))],
            [],
            replace(
                RAN_OUT,
                why="The approval as IT operations at the release gate hangs on a condition that was due on "
                "31 October 2026: show it.",
            ),
        ),
        (lasting(90), [], [ended("expired", "ran out on 1 November 2026")], RAN_OUT),
        (
            lasting(90),
            [],
            [ended("revoked", "was revoked: Wrong.")],
            replace(
                RAN_OUT, why="The approval as IT operations at the release gate was revoked: Wrong.", taken_back=True
            ),
        ),
        (
            lasting(90),
            [],
            [ended("merged", "Otto is Vera")],
            replace(
                RAN_OUT,
                why="The approval as IT operations at the release gate was voided: Otto is Vera.",
                taken_back=True,
            ),
        ),
        (
            lasting(90),
            [approved(IRIS, 90)],
            [ended("expired", "ran out on 31 October 2026", "one"), ended("revoked", "was revoked: Wrong", "two")],
            replace(
                RAN_OUT,
                why=f"{PAST} {PAST.replace('1 November', '31 October')} "
                "The approval as IT operations at the release gate was revoked: Wrong.",
                taken_back=True,
            ),
        ),
    ],
)
def test_an_approval_lacks_a_signature_that_fell(
    rules: PolicyRules, signoffs: list[SignOffFact], gone: list[EndedFact], lack: Lack
) -> None:
    """It may be given again; what was voided by a change of something was no approval of what is live."""
    found = judge_standing(rules, releasing(*signoffs), [*gone, ended("changed", "was voided: new bindings", "c")], {})
    assert found == Standing((lack,))
    assert not found.stands
    assert found.renewable == (lack,)


def test_what_ended_is_lacking_only_while_no_other_signature_stands() -> None:
    revoked = [ended("revoked", "was revoked: Wrong.")]
    assert judge_standing(RULES, releasing(approved(IRIS, 9)), revoked, {}) == Standing()
    assert not judge_standing(RULES, releasing(), revoked, {}).stands


def test_of_two_that_are_lacking_each_has_its_own_words() -> None:
    gone = [
        ended("revoked", "was revoked: Wrong", "one", "acceptance"),
        ended("expired", "ran out on 31 October 2026", "two", "validation", "validator"),
    ]
    operations, validation = "The approval as IT operations", "The approval as Validator"
    assert judge_standing(RULES, replace(LIVE, signoffs=(RELEASED,)), gone, {}).lacks == (
        Lack(
            "review",
            "signoff",
            "validation",
            "Validator",
            f"{validation} at the review gate ran out on 31 October 2026.",
            ("Vera",),
        ),
        Lack(
            "review",
            "signoff",
            "acceptance",
            "IT operations",
            f"{operations} at the review gate was revoked: Wrong.",
            ("Otto", "Iris"),
            taken_back=True,
        ),
    )


def test_a_signature_that_is_advice_at_a_low_risk_is_waited_for_at_a_higher() -> None:
    rules, facts = lasting(90, required_above="low"), releasing(approved(OTTO, 90))
    assert judge_standing(rules, replace(facts, tier="low"), (), {}) == Standing()
    assert judge_standing(rules, replace(facts, tier="high"), (), {}) == Standing((RAN_OUT,))


def waiver(until: str, *, counts: bool) -> WaiverFact:
    """Return a waiver, which counts until its last day has gone."""
    return WaiverFact("w", until, "Rita", DANA, "Looked at by hand", counts)


GOOD, OVER = waiver("2026-11-03", counts=True), waiver("2026-10-03", counts=False)
MIDNIGHT = datetime(2026, 11, 4, tzinfo=UTC)
ITEM = REVIEW.checklist[0]
COMPUTED = ChecklistItem("same", "The same?", "", fact="differences.none_undeclared")
SCORED = ChecklistItem("data", "Tested?", "data_scientist", section="Data", scored=True, template="score")
MORE = replace(
    RULES,
    gates={
        "review": replace(REVIEW, checklist=(ITEM, COMPUTED)),
        "release": replace(RELEASE, checklist=(SCORED,), included=(Included("score", "Ours", "d", 2.0),)),
    },
)
ANSWERED = {**FULL.answers, "data": AnswerFact("yes", DANA, figures=(2.0,))}
FAILED = {"golden": TestFact("failed", "v")}
ENDED = "its waiver ended on 2026-10-03"


@pytest.mark.parametrize(
    ("changes", "ends", "expected"),
    [
        ({}, {}, Standing()),
        ({}, {"purpose": NOW + DAY}, Standing((), NOW + DAY, "the answer to Written down?")),
        ({}, {"same": NOW + DAY, "score": NOW + DAY, "golden": NOW + DAY, "validation": NOW + DAY}, Standing()),
        ({}, {"purpose": NOW + 2 * DAY, "data": NOW + DAY}, Standing((), NOW + DAY, "the answer to Tested?")),
        ({"waivers": {"item:purpose": GOOD}}, {}, Standing()),
        (
            {"waivers": {"item:purpose": OVER}},
            {"purpose": NOW + DAY},
            Standing((), NOW + DAY, "the answer to Written down?"),
        ),
        (
            {"answers": {"data": ANSWERED["data"]}, "waivers": {"item:purpose": GOOD}},
            {"purpose": NOW + DAY},
            Standing((), MIDNIGHT, "the waiver for Written down?"),
        ),
        ({"answers": {"data": ANSWERED["data"]}}, {"purpose": NOW + DAY}, Standing((UNWRITTEN,))),
        (
            {"answers": {"data": ANSWERED["data"]}, "waivers": {"item:purpose": OVER, "test:purpose": GOOD}},
            {},
            Standing((replace(UNWRITTEN, why=ENDED),)),
        ),
        ({"waivers": {"item:same": GOOD}}, {}, Standing((), MIDNIGHT, "the waiver for The same?")),
        (
            {"waivers": {"item:same": OVER}},
            {},
            Standing((Lack("review", "fact", "same", "The same?", ENDED, ("Otto", "Iris")),)),
        ),
        ({"tests": FAILED}, {}, Standing()),
        ({"tests": FAILED, "waivers": {"item:golden": OVER}}, {}, Standing()),
        (
            {"tests": FAILED, "waivers": {"test:golden": GOOD}},
            {},
            Standing((), MIDNIGHT, "the waiver for Promotion test: golden"),
        ),
        (
            {"tests": FAILED, "waivers": {"test:golden": OVER}},
            {},
            Standing(
                (
                    Lack(
                        "release",
                        "test",
                        "golden",
                        "Promotion test: golden",
                        ENDED,
                        ("data science, with a new version",),
                    ),
                )
            ),
        ),
        (
            {"answers": {**ANSWERED, "data": AnswerFact("yes", DANA, figures=(1.0,))}},
            {},
            Standing(
                (
                    Lack(
                        "release",
                        "score",
                        "score",
                        "Score of Ours",
                        "Data has 1, and the lowest section must have 2",
                    ),
                )
            ),
        ),
    ],
)
def test_an_approval_ends_with_what_it_rested_on(changes: dict[str, Any], ends: Any, expected: Standing) -> None:
    """Answers, scores, and waivers: whatever else differs by now, and though the release gate leans on the review."""
    facts = releasing(RELEASED, answers=ANSWERED)
    assert judge_standing(MORE, replace(facts, **changes), (), ends) == expected


def test_what_ends_first_is_told_of_several() -> None:
    facts = releasing(approved(OTTO, 10), waivers={"test:golden": GOOD}, tests=FAILED)
    first = "the approval of Otto at the release gate"
    for days, expected in (
        (10 + 1, Standing((), NOW + DAY, first)),
        (10 + 9, Standing((), MIDNIGHT, "the waiver for Promotion test: golden")),
    ):
        assert judge_standing(lasting(days), facts, (), {"purpose": NOW + 5 * DAY}) == expected


def test_all_that_is_lacking_is_told_and_only_signatures_can_be_renewed() -> None:
    facts = releasing(approved(OTTO, 90), answers={})
    found = judge_standing(lasting(90), facts, (), {"purpose": NOW + DAY})
    assert found == Standing((UNWRITTEN, RAN_OUT))
    assert found.renewable == ()
    assert found.why == f"Written down?: Data scientist has not answered; IT operations: {PAST}"
    assert RAN_OUT.told() == {
        "gate": "release",
        "kind": "signoff",
        "key": "release",
        "title": f"IT operations: {PAST}",
    }
    missing = [
        {
            "gate": "review",
            "kind": "answer",
            "key": "purpose",
            "title": "Written down?",
            "why": "Data scientist has not answered",
            "who": ["Dana"],
        },
        {
            "gate": "release",
            "kind": "signoff",
            "key": "release",
            "title": "IT operations",
            "why": PAST,
            "who": ["Otto", "Iris"],
        },
    ]
    assert found.as_dict() == {"stands": False, "until": None, "ends_first": "", "missing": missing}
