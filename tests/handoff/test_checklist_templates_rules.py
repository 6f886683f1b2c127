"""Checklists that policies include: how they are written, and what of them is frozen into a policy."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from handoff.errors import Invalid
from handoff.rules.checklist_templates import (
    EXAMPLE,
    MOST_LEVELS,
    Application,
    Template,
    expanded,
    read_template,
    templates,
)
from handoff.rules.checklists import ChecklistItem

SOURCE = """template: lending
title: Lending rules
about: What our lending board asks.
source: Lending handbook, chapter 7.
levels: {1: pilots, 3: all of it}
applies:
  - {what: The chapter applies, from: 2027-01-01}
  - {what: The pilot, from: 2026-01-01, until: 2026-12-31}
items:
  - {key: appeal, question: "Can a customer appeal?", role: model_owner, evidence: [link], reference: "7.3"}
  - {key: audit, question: "Was it audited?", role: validator, reference: "7.4", level: 3}
"""
APPEAL = {
    "key": "appeal",
    "question": "Can a customer appeal?",
    "role": "model_owner",
    "evidence": ["link"],
    "reference": "7.3",
}
AUDIT = {"key": "audit", "question": "Was it audited?", "role": "validator", "reference": "7.4"}
FLAT = SOURCE.replace("levels: {1: pilots, 3: all of it}\n", "").replace(", level: 3", "")
SCORED = FLAT.replace("template: lending", "template: score").replace(
    'reference: "7.4"', 'reference: "7.4", scored: true'
)
NO_LEVEL = "is no level of the template"
DAYS = "must have days such as 2027-12-02"
NUMBERED = f"must be a whole number from 1 to {MOST_LEVELS}"


def test_a_template_is_read_with_all_that_it_says() -> None:
    found = read_template(SOURCE)
    assert (found.key, found.title, found.about, found.source) == (
        "lending", "Lending rules", "What our lending board asks.", "Lending handbook, chapter 7.",
    )  # fmt: skip
    assert found.applies == (
        Application("The chapter applies", date(2027, 1, 1)),
        Application("The pilot", date(2026, 1, 1), date(2026, 12, 31)),
    )
    assert found.levels == {1: "pilots", 3: "all of it"}
    assert found.items == (
        ChecklistItem("appeal", "Can a customer appeal?", "model_owner", evidence=("link",), reference="7.3"),
        ChecklistItem("audit", "Was it audited?", "validator", reference="7.4"),
    )
    assert [found.level_of(key) for key in ("appeal", "audit")] == [1, 3]


def test_a_template_needs_neither_levels_nor_days() -> None:
    found = read_template(EXAMPLE)
    assert (found.key, found.levels, found.applies, found.level_of("first")) == ("our-own", {}, (), 1)


def test_a_template_is_known_by_what_it_says_however_it_is_written() -> None:
    found = read_template(SOURCE).digest
    assert read_template("# ours\n" + SOURCE).digest == found
    assert read_template(SOURCE.replace("appeal?", "appeal?  ")).digest != found
    assert len(found) == 64


def test_a_template_is_scored_where_any_of_its_items_is() -> None:
    assert (read_template(FLAT).scored, read_template(SCORED).scored) == (False, True)


@pytest.mark.parametrize("until", [None, date(2026, 12, 31)])
def test_something_applies_from_its_first_day_to_its_last(until: date | None) -> None:
    since, day = date(2026, 1, 1), timedelta(days=1)
    one = Application("x", since, until)
    assert [one.on(when) for when in (since - day, since)] == [False, True]
    last = date(2026, 12, 31)
    assert [one.on(when) for when in (last, last + day)] == [True, until is None]


def test_a_level_takes_its_items_and_those_below_as_they_were_written() -> None:
    """Without the level, which nobody needs then, and with the template that they are from."""
    found = read_template(SOURCE)
    low, high = [APPEAL | {"template": "lending"}], [one | {"template": "lending"} for one in (APPEAL, AUDIT)]
    assert [found.rows_at(level) for level in (0, 1, 2, 3)] == [[], low, low, high]


def test_the_templates_of_the_product_are_known_by_their_keys() -> None:
    assert all(template.key == key for key, template in templates().items())
    assert list(templates()) == sorted(templates())


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("template: lending", "template: our lending", "template", None),
        ("title: Lending rules", "title: ''", "title", None),
        ("about: What our lending board asks.", "about: 7", "about", None),
        ("source: Lending handbook, chapter 7.", "source: []", "source", None),
        ("title:", "colour: red\ntitle:", "colour", None),
        ("role: validator", "role: validater", "items[1].role", None),
        ("key: audit", "key: appeal", "items[1].key", "appeal stands twice in the policy"),
        (
            ', reference: "7.3"',
            "",
            "items[0].reference",
            "is missing; name the rule, or the page, that the item stands for",
        ),
        ("level: 3", "level: 2", "items[1].level", NO_LEVEL),
        ("level: 3", "level: 3.0", "items[1].level", NO_LEVEL),
        ("level: 3", "level: true", "items[1].level", NO_LEVEL),
        ("level: 3", "level: [3]", "items[1].level", NO_LEVEL),
        ("{1: pilots, 3: all of it}", "{3: all of it}", "items[0].level", NO_LEVEL),
        ("3: all of it}", f"3: all of it, {MOST_LEVELS + 1}: more}}", f"levels.{MOST_LEVELS + 1}", NUMBERED),
        ("{1: pilots,", "{1: pilots, 0: none,", "levels.0", NUMBERED),
        ("{1: pilots,", "{1: pilots, most: many,", "levels.most", NUMBERED),
        ("{1: pilots,", "{1: pilots, 2.5: some,", "levels.2.5", NUMBERED),
        ("1: pilots", "1: ''", "levels.1", None),
        ("from: 2027-01-01", "from: soon", "applies[0]", DAYS),
        (", from: 2027-01-01", "", "applies[0]", DAYS),
        ("until: 2026-12-31", "until: 2026-12-32", "applies[1]", DAYS),
        ("until: 2026-12-31", "until: null", "applies[1]", DAYS),
        ("what: The pilot, ", "", "applies[1].what", None),
        ("what: The pilot", "colour: red, what: The pilot", "applies[1].colour", None),
        ('"7.4"', '"7.4", visible_if: {lost: yes}', "gates.release.checklist.audit.visible_if.lost", None),
    ],
)
def test_what_is_no_template_is_told_with_its_place(old: str, new: str, place: str, told: str | None) -> None:
    assert old in SOURCE
    with pytest.raises(Invalid) as refusal:
        read_template(SOURCE.replace(old, new, 1))
    assert list(refusal.value.fields) == [place]
    words, _, line = str(refusal.value.fields[place]).rpartition(" (line ")
    assert line.rstrip(")").isdigit()
    assert told is None or words == told


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("items:\n", "itmes:\n", {"itmes", "items"}),
        ("levels:", "levels: [one]\nlevles:", {"levels", "levles", "items[1].level"}),
        ("applies:\n", "applies: soon\nappleis:\n", {"applies", "appleis"}),
        ("{1: pilots,", "{true: pilots,", {"levels.True", "items[0].level"}),
    ],
)
def test_all_mistakes_of_a_template_are_told_at_once(old: str, new: str, places: set[str]) -> None:
    with pytest.raises(Invalid) as refusal:
        read_template(SOURCE.replace(old, new, 1))
    assert refusal.value.code == "checklist_invalid"
    assert set(refusal.value.fields) == places


def test_a_mistake_in_a_template_is_told_with_its_line() -> None:
    with pytest.raises(Invalid) as refusal:
        read_template(SOURCE.replace("level: 3", "level: 2"))
    assert refusal.value.fields == {"items[1].level": f"{NO_LEVEL} (line 11)"}
    assert str(refusal.value) == f"The checklist has mistakes: items[1].level: {NO_LEVEL} (line 11)"


@pytest.mark.parametrize(
    ("items", "told"),
    [("items: []", "must hold an item at least"), ("items:", "must be a list of at most 200 mappings")],
)
def test_a_template_holds_an_item_at_least(items: str, told: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_template(SOURCE[: SOURCE.index("items:")] + items)
    assert refusal.value.fields == {"items": f"{told} (line 9)"}


def test_without_levels_an_item_can_say_the_first_alone() -> None:
    assert read_template(FLAT.replace('"7.4"', '"7.4", level: 1')).level_of("audit") == 1
    with pytest.raises(Invalid) as refusal:
        read_template(FLAT.replace('"7.4"', '"7.4", level: 2'))
    assert list(refusal.value.fields) == ["items[1].level"]


def test_a_template_may_have_as_many_levels_as_may_be() -> None:
    levels = "{1: pilots, " + ", ".join(f"{level}: more" for level in range(2, MOST_LEVELS + 1)) + "}"
    assert len(read_template(SOURCE.replace("{1: pilots, 3: all of it}", levels)).levels) == MOST_LEVELS


# What is frozen into a policy


def known() -> dict[str, Template]:
    """Return the templates that there are here."""
    return {
        one.key: one
        for one in map(read_template, (SOURCE, FLAT.replace("template: lending", "template: flat"), SCORED))
    }


THERE = known()


def frozen(checklist: Any) -> Any:
    """Return the checklist of a gate as it is frozen, with the templates that there are here."""
    content = expanded({"policy": "p", "gates": {"review": {"acknowledge": "", "checklist": checklist}}}, known)
    assert content["policy"] == "p"
    assert content["gates"]["review"]["acknowledge"] == ""
    return content["gates"]["review"]["checklist"]


def put_in(key: str, least: Any = 0) -> dict[str, Any]:
    """Return what is kept of a template that was put in."""
    return {"template": key, "title": "Lending rules", "digest": THERE[key].digest, "least": least}


def from_(key: str, *rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return items as they are kept with the template that they are from."""
    return [dict(row) | {"template": key} for row in rows]


OWN = {"key": "own", "question": "So?", "role": "validator"}


@pytest.mark.parametrize(
    ("checklist", "items", "included"),
    [
        ({"include": "lending"}, from_("lending", APPEAL, AUDIT), [put_in("lending")]),
        ({"include": ["lending"], "items": [OWN]}, [OWN, *from_("lending", APPEAL, AUDIT)], [put_in("lending")]),
        ({"include": {"template": "lending", "level": 1}}, from_("lending", APPEAL), [put_in("lending")]),
        ({"include": [{"template": "lending", "level": 3}]}, from_("lending", APPEAL, AUDIT), [put_in("lending")]),
        ({"include": [{"template": "flat", "level": 1}]}, from_("flat", APPEAL, AUDIT), [put_in("flat")]),
        ({"include": ["flat"]}, from_("flat", APPEAL, AUDIT), [put_in("flat")]),
        ({"include": [{"template": "flat", "least": 0}]}, from_("flat", APPEAL, AUDIT), [put_in("flat")]),
        (
            {"include": [{"template": "score", "least": 50}, {"template": "lending", "level": 1}]},
            [*from_("score", APPEAL, AUDIT | {"scored": True}), *from_("lending", APPEAL)],
            [put_in("score", 50), put_in("lending")],
        ),
        ({"include": []}, [], []),
    ],
)
def test_a_checklist_is_frozen_with_the_items_that_it_includes(
    checklist: Any, items: list[dict[str, Any]], included: list[dict[str, Any]]
) -> None:
    assert frozen(checklist) == {"items": items, "included": included}


@pytest.mark.parametrize("checklist", [[], [OWN], {"items": [OWN]}, {"items": [], "included": []}, None, "purpose"])
def test_a_checklist_that_includes_nothing_stays_as_it_is(checklist: Any) -> None:
    """And nobody looks for templates."""
    content = {"policy": "p", "gates": {"review": {"checklist": checklist}, "release": {}, "confirm": ["odd"]}}
    asked = []

    def looked_for() -> dict[str, Template]:
        asked.append("once")
        return {}

    assert expanded(content, looked_for) == content
    assert not asked


@pytest.mark.parametrize("content", [{}, {"policy": "p", "gates": None}, {"gates": ["review"]}])
def test_what_has_no_gates_stays_as_it_is(content: dict[str, Any]) -> None:
    assert expanded(content) == content


@pytest.mark.parametrize(
    ("checklist", "place", "told"),
    [
        (
            {"include": "lendings"},
            "include[0]",
            "must be one of the templates lending, flat, score (did you mean lending?)",
        ),
        ({"include": ["lending", {}]}, "include[1]", "must be one of the templates lending, flat, score"),
        ({"include": [{"template": ["lending"]}]}, "include[0]", None),
        ({"include": "lending", "itmes": []}, "itmes", "is not known (did you mean items?); known are include, items"),
        ({"include": "lending", "items": "own"}, "items", "must be a list of at most 200 mappings"),
        (
            {"include": [{"template": "flat", "lest": 3}]},
            "include[0].lest",
            "is not known (did you mean least?); known are least, level, template",
        ),
        ({"include": [{"template": "lending", "level": 2}]}, "include[0].level", "is no level of lending"),
        ({"include": [{"template": "lending", "level": 0}]}, "include[0].level", "is no level of lending"),
        ({"include": [{"template": "lending", "level": True}]}, "include[0].level", "is no level of lending"),
        ({"include": [{"template": "lending", "level": "3"}]}, "include[0].level", "is no level of lending"),
        ({"include": [{"template": "lending", "level": [3]}]}, "include[0].level", "is no level of lending"),
        ({"include": [{"template": "flat", "level": 2}]}, "include[0].level", "is no level of flat"),
        (
            {"include": [{"template": "flat", "least": 3}]},
            "include[0].least",
            "means nothing: the items of flat are not scored",
        ),
    ],
)
def test_what_cannot_be_frozen_is_told_with_its_place(checklist: Any, place: str, told: str | None) -> None:
    with pytest.raises(Invalid) as refusal:
        frozen(checklist)
    assert refusal.value.code == "policy_invalid"
    assert list(refusal.value.fields) == [f"gates.review.checklist.{place}"]
    assert told is None or refusal.value.fields[f"gates.review.checklist.{place}"] == told


def test_what_is_neither_a_name_nor_a_mapping_cannot_be_included() -> None:
    with pytest.raises(Invalid) as refusal:
        frozen({"include": 7})
    assert refusal.value.fields == {"gates.review.checklist.include[0]": "must be a mapping"}
