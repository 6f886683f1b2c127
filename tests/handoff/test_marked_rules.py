"""What is kept of a decision holds no name: a mark stands for each, wherever a name stands in the facts."""

from dataclasses import asdict, replace

import pytest

from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.gate_facts import EmergencyFact, Facts, FindingFact, WaiverFact
from handoff.rules.gates import AnswerFact
from handoff.rules.lapses import ConditionFact
from handoff.rules.marked import marked
from tests.handoff.test_gates_rules import ACCEPTANCE, DANA, FULL, IRIS, OTTO, RITA, VALIDATION, VERA

CONDITION = ConditionFact("c", "Train it again.", "2026-03-04T12:00:00+00:00", IRIS, "Iris")
NAMED = replace(
    FULL,
    findings=(
        FindingFact("f", "Drift", "high", True, OTTO, "Otto", ""),
        FindingFact("n", "Nobody's", "low", False, None, None, ""),
        FindingFact("g", "Somebody's who is gone", "low", False, None, "Edda", ""),
    ),
    answers={"purpose": AnswerFact("yes", DANA, ("link",), people=((DANA, "Dana", "yes"), (VERA, "Vera", "no")))},
    signoffs=(
        replace(VALIDATION, name="Vera", conditions=(CONDITION,)),
        replace(ACCEPTANCE, name="Otto for Iris", behalf=IRIS),
    ),
    holders={"validator": {VERA: "Vera"}, "it_operations": {OTTO: "Otto", IRIS: "Iris"}},
    chain=Chain(acts={DANA: ("offered this handoff",)}, stands_for={"it_operations": {OTTO: (IRIS, "Iris")}}),
    waivers={"item:a": WaiverFact("w", "2026-04-01", "Rita", DANA, "A person looks.", True, RITA)},
    owner="Otto",
    owner_account=OTTO,
    consumers=(ConsumerFact("k", "Ward", "table", IRIS, "Iris", True, ("k", "v", ["changed"])),),
    emergency=EmergencyFact("e", "2026-03-05T12:00:00+00:00", "Iris", "Rita for Vera", "INC-7", IRIS, RITA, VERA),
)


def mark(account: int, name: str) -> str:
    """Return a mark that says for whom it stands, by key and the letter that the name begins with."""
    return f"{name[0].lower()}{account}"


def test_a_mark_stands_for_each_name_and_all_else_stays() -> None:
    d, v, o, i, r = (mark(key, name) for key, name in zip((DANA, VERA, OTTO, IRIS, RITA), "DVOIR", strict=True))
    vera, otto = NAMED.signoffs
    drift, nobodys, gone = NAMED.findings
    assert NAMED.emergency is not None
    assert marked(NAMED, mark) == replace(
        NAMED,
        findings=(replace(drift, name=o), nobodys, gone),  # of somebody without an account the name stays
        answers={"purpose": replace(NAMED.answers["purpose"], people=((DANA, d, "yes"), (VERA, v, "no")))},
        signoffs=(
            replace(vera, name=v, conditions=(replace(CONDITION, owner_name=i),)),
            replace(otto, name=f"{o} for {i}"),
        ),
        holders={"validator": {VERA: v}, "it_operations": {OTTO: o, IRIS: i}},
        chain=replace(NAMED.chain, stands_for={"it_operations": {OTTO: (IRIS, i)}}),
        waivers={"item:a": replace(NAMED.waivers["item:a"], approved_by=r)},
        owner=o,
        consumers=(replace(NAMED.consumers[0], owner_name=i),),
        emergency=replace(NAMED.emergency, asked_by=i, confirmed_by=f"{r} for {v}"),
    )
    assert not [name for name in ("Dana", "Vera", "Otto", "Iris", "Rita") if name in str(asdict(marked(NAMED, mark)))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"emergency": None}, {}),
        ({"owner": "", "owner_account": None}, {}),
        ({"owner": "", "owner_account": OTTO}, {}),
        ({"owner": "Edda", "owner_account": None}, {}),
        ({"waivers": {"a": WaiverFact("w", "2026-04-01", "Edda", DANA, "A person looks.", True, None)}}, {}),
        ({"emergency": EmergencyFact("e", "2026-03-05T12:00:00+00:00", "Edda", "Edda", "INC-7")}, {}),
        (
            {"emergency": EmergencyFact("e", "2026-03-05T12:00:00+00:00", "", "Rita", "INC-7", IRIS, RITA)},
            {"emergency": EmergencyFact("e", "2026-03-05T12:00:00+00:00", "", "r5", "INC-7", IRIS, RITA)},
        ),
    ],
)
def test_where_there_is_no_name_or_nobody_known_behind_it_nothing_is_marked(
    changes: dict[str, object], expected: dict[str, object]
) -> None:
    facts: Facts = replace(FULL, holders={}, signoffs=(), **changes)  # type: ignore[arg-type]
    assert marked(facts, mark) == replace(facts, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("printed", "behalf", "kept"),
    [
        ("Otto for Iris", IRIS, "o for i"),
        ("Otto for Good for Iris", IRIS, "g for i"),
        ("Otto for Iris for Good", IRIS, "o for j"),
        ("Otto for Good for Iris for Good", IRIS, "g for j"),
        ("Person 1234abcd (left) for Iris for Good", IRIS, "Person 1234abcd (left) for j"),
        ("Otto for Good for Person 1234abcd (left)", IRIS, "g for Person 1234abcd (left)"),
        ("Otto for Good", None, "g"),
        ("Otto", IRIS, "o"),
        ("Edda for Ivan", IRIS, "Edda for Ivan"),
    ],
)
def test_no_name_is_kept_though_the_word_between_two_of_them_stands_in_one(
    printed: str, behalf: int | None, kept: str
) -> None:
    """Otto was called Otto for Good as well, and Iris had two names, too."""
    known = {(OTTO, "Otto"): "o", (OTTO, "Otto for Good"): "g", (IRIS, "Iris"): "i", (IRIS, "Iris for Good"): "j"}
    facts = replace(FULL, signoffs=(replace(ACCEPTANCE, name=printed, behalf=behalf),))
    (found,) = marked(facts, lambda account, name: known.get((account, name), name)).signoffs
    assert found.name == kept
