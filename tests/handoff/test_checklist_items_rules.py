"""How checklist items are written, which of them can never be decided, and which are asked by the answers so far."""

from typing import Any

import pytest

from handoff.rules.checklists import (
    ASKS_NOBODY,
    EVIDENCE,
    LONGEST_LIFE,
    ChecklistItem,
    Included,
    check_checklists,
    read_checklist,
    read_item,
    visible,
)
from handoff.rules.reading import Reader

BARE = {"key": "a", "question": "So?", "role": "validator"}
PUT_IN = {"template": "model-card", "title": "Model card", "digest": "d" * 64}
WORDS = "must be a text of at most 1000 characters"
DAYS = f"must be a whole number of days from 1 to {LONGEST_LIFE}"
RULE = "must be a rule such as '>= 0.8', '> 0 and < 200' or 'in 0, 0.5, 1'"
FIGURE = "needs 'evidence: [figure]', and no other kind"
CHOICE = "must be an answer, or a list of them: yes, no, not_applicable"
CIRCLE = "goes in a circle, so that nothing decides it"


def read(**more: Any) -> tuple[ChecklistItem, Any]:
    """Return what the bare item with more in it is read as, and what is wrong with it."""
    reader = Reader()
    return read_item(reader, "p", BARE | more), reader.mistakes


def test_an_item_is_read_with_all_that_it_says() -> None:
    row = {
        "key": "load",
        "question": "How many?",
        "help": "Requests in an hour.",
        "role": "analytic_engineer",
        "evidence": ["figure"],
        "figure": "> 0 and < 200",
        "visible_if": {"purpose": ["yes", "not_applicable"]},
        "two_people": True,
        "valid_days": 90,
        "reference": "Rule 1",
        "section": "Data",
        "scored": True,
        "template": "ml-test-score",
    }
    reader = Reader()
    assert read_item(reader, "p", row) == ChecklistItem(
        key="load",
        question="How many?",
        role="analytic_engineer",
        help="Requests in an hour.",
        evidence=("figure",),
        figure="> 0 and < 200",
        visible_if=(("purpose", ("yes", "not_applicable")),),
        two_people=True,
        valid_days=90,
        reference="Rule 1",
        section="Data",
        scored=True,
        template="ml-test-score",
    )
    assert (reader.mistakes, reader.keys) == ({}, {"load"})


def test_an_item_needs_no_more_than_a_key_a_question_and_a_role() -> None:
    assert read() == (ChecklistItem("a", "So?", "validator"), {})


def test_a_computed_item_needs_a_fact_instead_of_a_role() -> None:
    reader = Reader()
    row = {"key": "a", "question": "So?", "fact": "drift.none", "help": "h", "section": "s", "visible_if": {"b": "no"}}
    expected = ChecklistItem("a", "So?", "", "h", fact="drift.none", visible_if=(("b", ("no",)),), section="s")
    assert (read_item(reader, "p", row), reader.mistakes) == (expected, {})
    assert "p.fact" in read(fact="moon.full")[1]


def test_what_somebody_would_have_to_do_means_nothing_for_a_computed_item() -> None:
    said = {"evidence": ["figure"], "figure": "> 0", "two_people": True, "valid_days": 9, "scored": True}
    found, wrong = read(fact="drift.none", **said)
    assert found.role == ""
    assert wrong == {f"p.{name}": "means nothing for an item that is computed from a fact" for name in ASKS_NOBODY}
    assert read(**said)[1] == {}


@pytest.mark.parametrize(
    ("row", "place", "told"),
    [
        ({"colour": "red"}, "colour", None),
        ({"key": "a b"}, "key", "must be a short name of letters, digits, - and _, at most 50"),
        ({"question": ""}, "question", WORDS),
        ({"role": "validater"}, "role", None),
        ({"evidence": ["figure", "gossip"]}, "evidence", f"must be a list of {', '.join(EVIDENCE)}"),
        ({"help": 7}, "help", WORDS),
        ({"help": "h" * 1001}, "help", WORDS),
        ({"reference": None}, "reference", WORDS),
        ({"section": ["Data"]}, "section", WORDS),
        ({"two_people": "both"}, "two_people", "must be true or false"),
        ({"scored": 1}, "scored", "must be true or false"),
        ({"template": "no such/thing"}, "template", None),
        ({"template": ""}, "template", None),
        ({"valid_days": 0}, "valid_days", DAYS),
        ({"valid_days": True}, "valid_days", DAYS),
        ({"valid_days": LONGEST_LIFE + 1}, "valid_days", DAYS),
        ({"figure": "much", "evidence": ["figure"]}, "figure", RULE),
        ({"figure": 7, "evidence": ["figure"]}, "figure", RULE),
        ({"figure": "much"}, "figure", RULE),
        ({"figure": "> 0"}, "figure", FIGURE),
        ({"figure": "> 0", "evidence": ["figure", "file"]}, "figure", FIGURE),
        ({"figure": "> 0", "evidence": ["file"]}, "figure", FIGURE),
        ({"visible_if": ["b"]}, "visible_if", "must be a mapping"),
        ({"visible_if": {"b": "perhaps"}}, "visible_if.b", CHOICE),
        ({"visible_if": {"b": ["yes", "perhaps"]}}, "visible_if.b", CHOICE),
        ({"visible_if": {"b": []}}, "visible_if.b", CHOICE),
        ({"visible_if": {"b": 1}}, "visible_if.b", CHOICE),
        ({"visible_if": {"b": {"c": "yes"}}}, "visible_if.b", CHOICE),
    ],
)
def test_what_is_no_item_is_told_with_its_place(row: dict[str, Any], place: str, told: str | None) -> None:
    found = read(**row)[1]
    assert list(found) == [f"p.{place}"]
    assert told is None or found[f"p.{place}"] == told


def test_what_is_as_long_as_may_be_is_read() -> None:
    found, wrong = read(help="h" * 1000, valid_days=LONGEST_LIFE)
    assert (len(found.help), found.valid_days, wrong) == (1000, LONGEST_LIFE, {})
    assert (read(valid_days=1)[0].valid_days, read(valid_days=1)[1]) == (1, {})


@pytest.mark.parametrize(
    ("wanted", "of"),
    [
        ("no", ("no",)),
        (True, ("yes",)),
        (False, ("no",)),
        ([True, "not_applicable"], ("yes", "not_applicable")),
        (["no", False], ("no", "no")),
    ],
)
def test_a_bare_yes_or_no_of_yaml_is_the_answer(wanted: Any, of: tuple[str, ...]) -> None:
    found, wrong = read(visible_if={"b": wanted, "c": "yes"})
    assert (found.visible_if, wrong) == ((("b", of), ("c", ("yes",))), {})


def test_a_checklist_is_a_list_of_items_or_items_beside_what_was_put_in() -> None:
    other = BARE | {"key": "b"}
    items = (ChecklistItem("a", "So?", "validator"), ChecklistItem("b", "So?", "validator"))
    reader = Reader()
    assert read_checklist(reader, "p", [BARE, other]) == (items, ())
    assert read_checklist(Reader(), "p", []) == ((), ())
    assert read_checklist(Reader(), "p", {}) == ((), ())
    told = {"items": [BARE, other], "included": [PUT_IN, PUT_IN | {"template": "ours", "least": 2.5}]}
    again = Reader()
    assert read_checklist(again, "p", told) == (
        items,
        (Included("model-card", "Model card", "d" * 64, 0.0), Included("ours", "Model card", "d" * 64, 2.5)),
    )
    assert reader.mistakes == again.mistakes == {}


@pytest.mark.parametrize(
    ("raw", "places"),
    [
        ("purpose", ["p"]),
        ([BARE, BARE | {"key": "b", "colour": "red"}], ["p[1].colour"]),
        ({"items": [BARE, BARE | {"key": "b", "colour": "red"}]}, ["p.items[1].colour"]),
        ({"items": "purpose"}, ["p.items"]),
        ({"included": "model-card"}, ["p.included"]),
        ({"include": ["model-card"]}, ["p.include"]),
        ({"included": [PUT_IN, PUT_IN | {"colour": "red"}]}, ["p.included[1].colour"]),
        ({"included": [{}]}, ["p.included[0].template", "p.included[0].title", "p.included[0].digest"]),
    ],
)
def test_what_is_no_checklist_is_told_with_its_place(raw: Any, places: list[str]) -> None:
    reader = Reader()
    read_checklist(reader, "p", raw)
    assert list(reader.mistakes) == places


@pytest.mark.parametrize(
    ("least", "found"),
    [(0, 0.0), (100, 100.0), (99.5, 99.5), (100.5, None), (101, None), (-1, None), (True, None), ("2", None)],
)
def test_the_least_score_is_one_that_somebody_can_have(least: Any, found: float | None) -> None:
    reader = Reader()
    [one] = read_checklist(reader, "p", {"included": [PUT_IN | {"least": least}]})[1]
    told = {"p.included[0].least": "must be a score from 0 to 100"}
    assert (one.least, reader.mistakes) == ((found, {}) if found is not None else (0.0, told))


# What can never be decided


def item(key: str, *needs: str, **more: Any) -> ChecklistItem:
    """Return an item that is asked where others are answered with yes."""
    return ChecklistItem(key, "So?", "validator", visible_if=tuple((one, ("yes",)) for one in needs), **more)


def checked(**gates: list[ChecklistItem]) -> dict[str, Any]:
    """Return what is wrong with the checklists of gates, in their order."""
    reader = Reader()
    check_checklists(reader, gates)
    return reader.mistakes


def test_a_condition_is_on_an_item_of_its_own_gate_or_an_earlier_one() -> None:
    assert checked(review=[item("a", "b"), item("b")], release=[item("c", "a", "d"), item("d")]) == {}
    told = "is no item of this gate or an earlier one"
    assert checked(review=[item("a", "c", "b"), item("b")], release=[item("c", "x")]) == {
        "gates.review.checklist.a.visible_if.c": told,
        "gates.release.checklist.c.visible_if.x": told,
    }


def test_a_condition_on_what_is_computed_is_refused() -> None:
    computed = item("a", fact="drift.none")
    told = {"gates.release.checklist.b.visible_if.a": "is computed, and has no answer"}
    assert checked(review=[computed], release=[item("b", "a")]) == told


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({"evidence": ("test",)}, False),
        ({"evidence": ("file", "test")}, True),
        ({"evidence": ()}, True),
        ({"fact": "tests.passed"}, False),
        ({"fact": "drift.none"}, True),
        ({"fact": "moon.full"}, True),
    ],
)
def test_what_rests_on_tests_alone_waits_for_a_later_gate_than_the_review(more: dict[str, Any], good: bool) -> None:
    told = {"gates.review.checklist.a": "can never be met at the review gate: tests run after it"}
    assert checked(review=[item("a", **more)]) == ({} if good else told)
    assert checked(review=[], release=[item("a", **more)]) == {}


@pytest.mark.parametrize(
    ("items", "circular"),
    [
        ([item("a"), item("b", "a"), item("c", "a", "b")], []),
        ([item("a", "a"), item("b")], ["a"]),
        ([item("a", "b"), item("b", "c"), item("c", "a"), item("d")], ["a", "b", "c"]),
        ([item("a", "b"), item("b", "a"), item("c", "d", "a"), item("d")], ["a", "b", "c"]),
    ],
)
def test_a_circle_is_told_of_each_item_in_it_and_of_those_that_hang_on_it(
    items: list[ChecklistItem], circular: list[str]
) -> None:
    assert checked(review=items) == {f"items.{key}.visible_if": CIRCLE for key in circular}


# What is asked


@pytest.mark.parametrize(
    ("choices", "asked"),
    [
        ({}, "a"),
        ({"a": "no"}, "a"),
        ({"a": "not_applicable"}, "ab"),
        ({"a": "not_applicable", "b": "yes"}, "abe"),
        ({"a": "yes"}, "ab"),
        ({"a": "yes", "b": "no"}, "ab"),
        ({"a": "yes", "b": "yes"}, "abce"),
        ({"a": "no", "b": "yes"}, "a"),
        ({"b": "yes", "lost": "yes"}, "a"),
    ],
)
def test_an_item_is_asked_where_all_its_conditions_hold(choices: dict[str, str], asked: str) -> None:
    """However the items are ordered; a condition on what is not there, or not asked, holds nowhere."""
    either = ChecklistItem("b", "So?", "validator", visible_if=(("a", ("yes", "not_applicable")),))
    items = [item("c", "a", "b"), item("e", "b"), either, item("d", "lost"), item("a")]
    assert visible(items, choices) == set(asked)
    assert visible(items[::-1], choices) == set(asked)


def test_items_in_a_circle_are_not_asked_and_the_others_are() -> None:
    items = [item("a"), item("b", "c"), item("c", "b"), item("d", "b")]
    assert visible(items, dict.fromkeys("abcd", "yes")) == {"a"}
