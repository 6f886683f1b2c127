"""A policy from its text to its rules: its digest, what it includes, and how it is refused with its mistakes."""

import json
from hashlib import sha256
from typing import Any

import pytest

from handoff.errors import Invalid
from handoff.rules.checklist_templates import read_template, templates
from handoff.rules.policies import UNION_OF, digest_of, load, parse, refused, understood
from tests.handoff.test_policies_rules import GOOD, changed

TEXT = json.dumps(GOOD, indent=1)  # which is YAML, too
OURS = read_template(
    """template: ours
title: Ours
about: What it is for.
source: The house.
items:
  - {key: first, question: "Is it so?", role: validator, reference: Rule 1}
"""
)


def with_checklist(checklist: Any) -> str:
    """Return the text of the good policy with another checklist at its review."""
    return json.dumps(changed("gates.review.checklist", checklist))


def test_a_policy_is_known_by_its_canonical_content() -> None:
    """Whatever the order of its keys."""
    assert digest_of({"b": 2, "a": [1, "ü"]}) == sha256('{"a":[1,"ü"],"b":2}'.encode()).hexdigest()
    assert digest_of({"a": [1, "ü"], "b": 2}) == digest_of({"b": 2, "a": [1, "ü"]})


def test_a_text_is_read_as_its_content_with_what_it_includes() -> None:
    assert load(TEXT) == GOOD
    content = load(with_checklist({"include": "model-card"}))
    (included,) = content["gates"]["review"]["checklist"]["included"]
    assert (included["template"], included["digest"]) == ("model-card", templates()["model-card"].digest)


def test_the_content_of_a_union_is_read_without_the_policies_that_it_is_of() -> None:
    union = [{"policy": "p", "digest": "d"}]
    assert parse({**GOOD, UNION_OF: union}) == parse(GOOD)
    assert parse(GOOD).key == "p"
    with pytest.raises(Invalid) as refusal:
        understood(json.dumps({**GOOD, UNION_OF: union}))
    assert list(refusal.value.fields) == [UNION_OF], "nobody publishes one"


def test_a_text_is_understood_as_content_and_rules() -> None:
    """With the templates that are given; without any, those of the product."""
    assert understood(TEXT) == (GOOD, parse(GOOD))
    content, rules = understood(with_checklist({"include": "ours"}), lambda: {"ours": OURS})
    assert content["gates"]["review"]["checklist"]["included"][0]["digest"] == OURS.digest
    assert [item.key for item in rules.gate("review").checklist] == ["first"]
    with pytest.raises(Invalid) as refusal:
        understood(with_checklist({"include": "ours"}))
    assert list(refusal.value.fields) == ["gates.review.checklist.include[0]"]


def test_every_mistake_is_told_by_its_place_and_in_a_text_with_its_line() -> None:
    wrong = changed("gates.release.signoffs.0.count", 0) | {"drift": "ignore"}
    told = {
        "drift": "must be one of suspend, report",
        "gates.release.signoffs[0].count": "must be a whole number from 1 to 20",
    }
    with pytest.raises(Invalid) as refusal:
        parse(wrong)
    assert refusal.value.fields == told
    text = json.dumps(wrong, indent=1)
    lines = {place: _line(text, last) for place, last in zip(told, ('"drift"', '"count": 0'), strict=True)}
    with pytest.raises(Invalid) as refusal:
        understood(text)
    assert refusal.value.fields == {place: f"{words} (line {lines[place]})" for place, words in told.items()}


def _line(text: str, words: str) -> int:
    return next(at for at, line in enumerate(text.splitlines(), 1) if words in line)


def test_a_refusal_says_all_mistakes_and_what_to_do() -> None:
    found = refused({"title": "must be a text", "gates": "must be a mapping"})
    assert str(found) == "The policy cannot be published: title: must be a text; gates: must be a mapping"
    assert (found.code, found.todo) == ("policy_invalid", "Correct what is named, then validate it again.")
    assert found.fields == {"title": "must be a text", "gates": "must be a mapping"}
