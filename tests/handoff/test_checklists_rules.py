"""Checklist items and templates as rules: what is read, what is refused, what is asked, and what is met."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from handoff.errors import Invalid
from handoff.rules import checklist_templates
from handoff.rules.answers import AnswerFact, judge_item, score_of
from handoff.rules.automatic import KNOWN, Situation
from handoff.rules.checklist_templates import read_template, templates
from handoff.rules.checklists import ChecklistItem, visible
from handoff.rules.figures import meets, understood
from handoff.rules.gates import Facts, evaluate
from handoff.rules.policies import PolicyRules, digest_of, load, parse

SIGNED = {"signoffs": [{"key": "go", "role": "validator", "meaning": "review"}]}
RELEASE = {"signoffs": [{"key": "out", "role": "it_operations", "meaning": "approval"}]}


def content(*items: dict[str, Any], release: Any = (), **more: Any) -> dict[str, Any]:
    """Return a policy with these items at its review gate."""
    asked = [{"question": "So?", **({} if "fact" in item else {"role": "validator"}), **item} for item in items]
    return {
        "policy": "tried",
        "title": "Tried",
        "applies_to": {"risk_tiers": ["low"], "target_kinds": ["test"]},
        "tests": ["integrity"],
        "gates": {"review": SIGNED | {"checklist": asked}, "release": RELEASE | {"checklist": list(release)}},
        **more,
    }


def rules(*items: dict[str, Any], **more: Any) -> PolicyRules:
    return parse(content(*items, **more))


def asked(policy: PolicyRules, **choices: str) -> frozenset[str]:
    return visible([item for gate in policy.gates.values() for item in gate.checklist], choices)


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        (">= 0.8", (0.8, 1), (0.79, -1)),
        ("> 0 and < 200", (1, 199.9), (0, 200)),
        ("in 0.5, 1", (0.5, 1), (0, 0.75)),
        ("= 3", (3,), (3.01,)),
        ("<= -2", (-2, -3), (-1,)),
    ],
)
def test_a_figure_meets_its_rule_or_not(rule: str, met: tuple[float, ...], not_met: tuple[float, ...]) -> None:
    assert understood(rule)
    assert all(meets(rule, one) for one in met)
    assert not any(meets(rule, one) for one in not_met)


@pytest.mark.parametrize("rule", ["", "about 3", ">= a", "in", ">= 1 or < 0", "1 <", ">= 1 and", "in 1,", "__import__"])
def test_what_is_no_rule_is_met_by_nothing(rule: str) -> None:
    assert not understood(rule)
    assert not meets(rule, 1.0)


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"key": "a", "colour": "red"}, "gates.review.checklist[0].colour"),
        ({"key": "a", "figure": "much", "evidence": ["figure"]}, "gates.review.checklist[0].figure"),
        ({"key": "a", "figure": ">= 1"}, "gates.review.checklist[0].figure"),
        ({"key": "a", "fact": "moon.full"}, "gates.review.checklist[0].fact"),
        ({"key": "a", "fact": "drift.none", "evidence": ["file"]}, "gates.review.checklist[0].evidence"),
        ({"key": "a", "fact": "drift.none", "two_people": True}, "gates.review.checklist[0].two_people"),
        ({"key": "a", "template": "no such/thing"}, "gates.review.checklist[0].template"),
        ({"key": "a", "two_people": "both"}, "gates.review.checklist[0].two_people"),
        ({"key": "a", "valid_days": 0}, "gates.review.checklist[0].valid_days"),
        ({"key": "a", "valid_days": True}, "gates.review.checklist[0].valid_days"),
        ({"key": "a", "visible_if": {"b": "yes"}}, "gates.review.checklist.a.visible_if.b"),
        ({"key": "a", "visible_if": {"a": "yes"}}, "items.a.visible_if"),
        ({"key": "a", "visible_if": {"a": "perhaps"}}, "gates.review.checklist[0].visible_if.a"),
        ({"key": "a", "evidence": ["test"]}, "gates.review.checklist.a"),
        ({"key": "a", "fact": "tests.passed"}, "gates.review.checklist.a"),
    ],
)
def test_an_item_that_makes_no_sense_is_named_by_its_place(item: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules(item)
    assert place in refusal.value.fields
    assert refusal.value.code == "policy_invalid"


def test_conditions_in_a_circle_are_refused_however_long_it_is() -> None:
    long = [{"key": f"i{n}", "visible_if": {f"i{(n + 1) % 150}": "yes"}} for n in range(150)]
    with pytest.raises(Invalid) as refusal:
        rules(*long)
    assert len(refusal.value.fields) == 150
    assert set(refusal.value.fields.values()) == {"goes in a circle, so that nothing decides it"}


def test_an_item_depends_on_its_own_gate_or_an_earlier_one_only() -> None:
    later = {"key": "b", "question": "So?", "role": "validator", "visible_if": {"a": "yes"}}
    assert rules({"key": "a"}, release=[later]).gate("release").checklist[0].visible_if == (("a", ("yes",)),)
    with pytest.raises(Invalid):
        rules({"key": "a", "visible_if": {"b": "yes"}}, release=[later | {"visible_if": {}}])


def test_an_item_that_is_not_asked_decides_nothing() -> None:
    policy = rules(
        {"key": "people"},
        {"key": "fairness", "visible_if": {"people": "yes"}},
        {"key": "groups", "visible_if": {"fairness": ["yes", "no"]}},
    )
    assert asked(policy) == {"people"}
    assert asked(policy, people="yes") == {"people", "fairness"}
    assert asked(policy, people="yes", fairness="no") == {"people", "fairness", "groups"}
    assert asked(policy, people="no", fairness="no") == {"people"}  # the earlier answer does not count


def judged(item: dict[str, Any], answer: AnswerFact | None, now: Situation | None = None) -> str:
    [read] = rules(item).gate("review").checklist
    return judge_item(read, answer, now or Situation(), "Validator").why


def test_two_people_answer_alike() -> None:
    item = {"key": "a", "two_people": True}
    assert judged(item, AnswerFact("yes", 1, people=((1, "Vera", "yes"),))) == "a second person must answer alike"
    assert judged(item, AnswerFact("yes", 2, people=((1, "Vera", "yes"), (2, "Rita", "yes")))) == ""
    why = judged(item, AnswerFact("yes", 2, people=((1, "Vera", "no"), (2, "Rita", "yes"))))
    assert why == "the answers differ: another says no"
    [read] = rules(item).gate("review").checklist
    said = AnswerFact("yes", 2, people=((1, "Vera", "no"), (2, "Rita", "yes"), (3, "Otto", "yes")))
    assert judge_item(read, said, Situation(), "Validator").by == ("Rita", "Otto")
    [alone] = rules({"key": "a"}).gate("review").checklist
    assert judge_item(alone, said, Situation(), "Validator").by == ()


def test_an_answer_that_was_reopened_does_not_count() -> None:
    assert judged({"key": "a"}, AnswerFact("yes", 1, reopened="too old")) == "too old"


def test_a_figure_outside_its_rule_meets_nothing() -> None:
    item = {"key": "a", "evidence": ["figure"], "figure": ">= 0.8"}
    assert judged(item, AnswerFact("yes", 1, ("figure",), figures=(0.9,))) == ""
    assert judged(item, AnswerFact("yes", 1, ("figure",), figures=(0.7,))) == "the figure must be >= 0.8"


BAD = Situation(
    tests={"golden": "failed", "latency": ""},
    undeclared=("tools.hardware",),
    unacknowledged=("tools.hardware",),
    exceptions=("torch",),
    moved=("Python moved.",),
    findings=("No alarm.",),
)
GOOD = Situation(
    tests={"golden": "passed"}, replays=1, owner="Otto", owner_operates=True, owner_duties={"it_operations": True}
)


@pytest.mark.parametrize("fact", KNOWN)
def test_each_computed_item_says_why_it_is_not_met(fact: str) -> None:
    assert KNOWN[fact].why(GOOD) == ""
    assert KNOWN[fact].why(BAD)


def test_a_computed_item_shuts_its_gate_and_asks_nobody() -> None:
    policy = rules({"key": "same", "fact": "differences.none_undeclared"})
    facts = Facts(version="0" * 64, parts={}, differences=("tools.hardware",), holders={"it_operations": {1: "Otto"}})
    [shut] = [one for one in evaluate("review", policy, facts).requirements if one.key == "same"]
    assert (shut.kind, shut.met, shut.why, shut.who) == ("fact", False, "undeclared: tools.hardware", ("Otto",))
    assert evaluate("review", policy, Facts(version="0" * 64, parts={})).requirements[0].met


def test_every_template_is_read_and_no_item_stands_in_two() -> None:
    found = templates()
    assert set(found) == {path.stem for path in checklist_templates.FOLDER.glob("*.yaml")}
    keys = [item.key for template in found.values() for item in template.items]
    assert len(keys) == len(set(keys))
    assert all(item.reference for template in found.values() for item in template.items)
    assert all(template.source for template in found.values())


def test_the_ml_test_score_has_28_tests_in_four_sections() -> None:
    sections = [item.section for item in templates()["ml-test-score"].items]
    assert {one: sections.count(one) for one in sections} == {
        "Data": 7, "Model": 7, "Infrastructure": 7, "Monitoring": 7,
    }  # fmt: skip


def included(*names: Any, gate: str = "release") -> dict[str, Any]:
    """Return a policy's content with templates at a gate, as it is frozen at publication."""
    written = content()
    written["gates"][gate]["checklist"] = {"include": list(names)}
    return load(yaml.safe_dump(written))


@pytest.mark.parametrize("key", templates())
def test_each_template_can_be_included(key: str) -> None:
    policy = parse(included(key))
    checklist = policy.gate("release").checklist
    assert [item.key for item in checklist] == [item.key for item in templates()[key].items]
    assert {item.template for item in checklist} == {key}
    assert policy.gate("release").included[0].digest == templates()[key].digest


def test_a_level_takes_its_items_and_those_below() -> None:
    sizes = [
        len(parse(included({"template": "production-readiness", "level": level})).gate("release").checklist)
        for level in (1, 2, 3)
    ]
    assert sizes == [5, 10, 14]
    assert len(parse(included("production-readiness")).gate("release").checklist) == 14


@pytest.mark.parametrize(
    "wrong",
    [
        "no-such-template",
        {"template": "production-readiness", "level": 4},
        {"template": "production-readiness", "level": True},
        {"template": "model-card", "level": 2},
        {"template": "model-card", "least": 3},
        {"template": "model-card", "colour": "red"},
        7,
    ],
)
def test_what_cannot_be_included_is_no_policy(wrong: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        included(wrong)
    assert any(place.startswith("gates.release.checklist.include[0]") for place in refusal.value.fields)


@pytest.mark.parametrize("least", [101, -1, True, "2"])
def test_a_score_that_nobody_can_have_is_no_policy(least: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(included({"template": "ml-test-score", "least": least}))
    assert list(refusal.value.fields) == ["gates.release.checklist.included[0].least"]


def test_the_lowest_section_is_the_score() -> None:
    policy = parse(included({"template": "ml-test-score", "least": 2}))
    points = {"Data": 1.0, "Model": 0.5, "Infrastructure": 1.0, "Monitoring": 1.0}
    answers = {
        item.key: AnswerFact("yes", 1, ("figure",), figures=(points[item.section],))
        for item in policy.gate("release").checklist
    }
    assert score_of(policy.gate("release").checklist, answers) == {
        "Data": 7.0, "Model": 3.5, "Infrastructure": 7.0, "Monitoring": 7.0,
    }  # fmt: skip
    [score] = [r for r in evaluate("release", policy, _facts(answers)).requirements if r.kind == "score"]
    assert score.met
    low = answers | {f"mlts-m{n}": AnswerFact("no", 1) for n in range(1, 6)}
    [score] = [r for r in evaluate("release", policy, _facts(low)).requirements if r.kind == "score"]
    assert score.why == "Model has 1, and the lowest section must have 2"
    items = [r for r in evaluate("release", policy, _facts(low)).requirements if r.kind == "answer"]
    assert all(item.met for item in items)  # a no is an answer there


def _facts(answers: dict[str, AnswerFact]) -> Facts:
    return Facts(version="0" * 64, parts=dict.fromkeys(("handoff",), "x"), answers=answers)


def test_a_template_without_a_reference_or_with_an_odd_day_is_refused() -> None:
    source = (checklist_templates.FOLDER / "model-risk-sr-26-2.yaml").read_text()
    with pytest.raises(Invalid):
        read_template(source.replace("from: 2026-04-17", "from: soon"))
    with pytest.raises(Invalid):
        read_template(source.replace('    reference: "Aggregate risk"\n', ""))


@pytest.mark.parametrize("name", ["light", "strict"])
def test_policies_from_before_keep_their_digest_and_their_meaning(name: str) -> None:
    written = (Path(settings.BASE_DIR) / f"handoff/policies/{name}.yaml").read_text()
    read = load(written)
    assert digest_of(read) == digest_of(yaml.safe_load(written))
    assert all(
        item == ChecklistItem(item.key, item.question, item.role, item.help, item.evidence)
        for gate in parse(read).gates.values()
        for item in gate.checklist
    )
