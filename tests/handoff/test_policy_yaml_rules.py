"""The text of a policy or a checklist: what YAML it may be, and in which line each of its places stands."""

import pytest

from handoff.errors import Invalid
from handoff.rules.policy_yaml import (
    CHECKLIST,
    LIMIT,
    POLICY,
    ChecklistNotYaml,
    ChecklistTooLong,
    Kind,
    PolicyNotYaml,
    PolicyText,
    PolicyTooLong,
    plain,
    read_text,
)

SOURCE = """# The first line says nothing.
policy: p
gates:
  review:
    signoffs:
      - key: a
        role: validator
      -
        key: b
tests: [golden,
  latency]
"""
LINES = {
    "": 2,
    "policy": 2,
    "gates": 3,
    "gates.review": 4,
    "gates.review.signoffs": 5,
    "gates.review.signoffs[0]": 6,
    "gates.review.signoffs[0].key": 6,
    "gates.review.signoffs[0].role": 7,
    "gates.review.signoffs[1]": 9,
    "gates.review.signoffs[1].key": 9,
    "tests": 10,
    "tests[0]": 10,
    "tests[1]": 11,
}


def test_a_text_tells_what_it_says_and_where() -> None:
    assert read_text(SOURCE) == PolicyText(
        {
            "policy": "p",
            "gates": {"review": {"signoffs": [{"key": "a", "role": "validator"}, {"key": "b"}]}},
            "tests": ["golden", "latency"],
        },
        LINES,
    )


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("gates.review.signoffs[1].key", 9),
        ("gates.review.signoffs[0].meaning", 6),
        ("gates.review.signoffs[2].key", 5),
        ("gates.release.signoffs", 3),
        ("tests[1]", 11),
        ("tests[7]", 10),
        ("title", 2),
        ("", 2),
    ],
)
def test_what_is_not_there_is_told_by_what_is_nearest_around_it(place: str, line: int) -> None:
    assert read_text(SOURCE).line(place) == line


def test_a_text_of_which_no_line_is_known_is_told_by_its_first() -> None:
    assert PolicyText({}, {}).line("gates.review") == 1


@pytest.mark.parametrize("kind", [POLICY, CHECKLIST])
def test_only_plain_numbers_are_numbers(kind: Kind) -> None:
    """And times and days are texts, as JSON has them."""
    source = "old: 0o7\nmany: 1_000\nat: 16:00\nday: 2026-12-24\nsign: +5\nnone: 0\nso: no\nhalf: 0.5\n"
    assert read_text(source, kind).content == {
        "old": "0o7", "many": "1_000", "at": "16:00", "day": "2026-12-24", "sign": 5, "none": 0, "so": False,
        "half": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "too_long", "not_yaml", "start"),
    [
        (POLICY, PolicyTooLong, PolicyNotYaml, "A policy is a mapping that starts with 'policy: <short name>'."),
        (
            CHECKLIST,
            ChecklistTooLong,
            ChecklistNotYaml,
            "A checklist is a mapping that starts with 'template: <short name>'.",
        ),
    ],
)
def test_each_kind_of_text_is_refused_in_its_own_words(
    kind: Kind, too_long: type[Invalid], not_yaml: type[Invalid], start: str
) -> None:
    line = f"{kind.start}: p\n"
    assert read_text(line + "#" * (LIMIT - len(line)), kind).content == {kind.start: "p"}
    with pytest.raises(too_long) as refusal:
        read_text(line + "#" * (LIMIT - len(line) + 1), kind)
    assert str(refusal.value) == f"The {kind.name} is longer than 256 KiB."
    for source in ("", "# nothing\n", "- a list\n", "a text", "7"):
        with pytest.raises(not_yaml) as refusal:
            read_text(source, kind)
        assert str(refusal.value) == start
    for source in ("a: [", "a: 1\na: 2\n", "a: &b []\nc: *b\n", "a: .nan\n", "a: !!python/name:os.system\n", "a: \x00"):
        with pytest.raises(not_yaml) as refusal:
            read_text(source, kind)
        assert str(refusal.value).startswith(f"The {kind.name} is not YAML that we accept: ")


def test_the_levels_of_a_checklist_are_numbered_and_nothing_of_a_policy_is() -> None:
    source = "levels: {1: few, 2: [{3: all}]}\n"
    content = read_text(source, CHECKLIST).content
    assert content == {"levels": {1: "few", 2: [{3: "all"}]}}
    assert plain(content) == {"levels": {"1": "few", "2": [{"3": "all"}]}}
    with pytest.raises(PolicyNotYaml):
        read_text(source)


def test_a_text_is_a_policy_unless_it_is_said_to_be_something_else() -> None:
    with pytest.raises(PolicyNotYaml):
        read_text("- a list")
