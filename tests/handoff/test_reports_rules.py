"""A difference report as it is kept: what is written of each item, read again, and told of what moved since."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.errors import Invalid
from handoff.rules.differences import Difference, Unnamed
from handoff.rules.reports import FILTERS, Answered, as_content, as_signed, moved, read, read_filters, state_of

HARDWARE = Difference(
    key="tools.hardware",
    aspect="tools.hardware",
    facet="tools",
    name="Hardware",
    source="8 CPU",
    target="4 CPU",
    classed="undeclared",
    equal=False,
    holds=True,
    severity="medium",
    reason="other hardware",
    rule="nobody declared it",
    role="it_operations",
)
PYTHON = replace(
    HARDWARE, key="tools.python", aspect="tools.python", name="Python", source="3.11.7", target="3.11.9",
    classed="constrained", rule="the version asks for 3.11",
)  # fmt: skip
LOCKED = replace(PYTHON, classed="locked", source="3.11.9", equal=True, rule="locked")
OWNER = replace(
    HARDWARE, key="people.owner", aspect="people.owner", facet="people", name="Owner", source="Dana", target="Otto",
    rule="locked", unnamed=Unnamed("name:d", "name:o", "account 2"),
)  # fmt: skip
IVAN = replace(OWNER, target="Ivan", unnamed=Unnamed("name:d", "name:i", "account 3"))
MARKED = replace(OWNER, source="name:d", target="name:o", unnamed=None)
KEPT = {
    "key": "tools.hardware",
    "aspect": "tools.hardware",
    "facet": "tools",
    "name": "Hardware",
    "source": "8 CPU",
    "target": "4 CPU",
    "classed": "undeclared",
    "equal": False,
    "holds": True,
    "severity": "medium",
    "reason": "other hardware",
    "rule": "nobody declared it",
    "role": "it_operations",
    "waived_until": "",
}


def test_a_report_is_kept_as_plain_data_with_marks_for_names() -> None:
    waived = replace(PYTHON, holds=False, waived_until="2026-12-01")
    content = as_content((HARDWARE, waived, OWNER))
    assert content == {
        "items": [
            KEPT,
            KEPT
            | {
                "key": "tools.python",
                "aspect": "tools.python",
                "name": "Python",
                "source": "3.11.7",
                "target": "3.11.9",
                "classed": "constrained",
                "holds": False,
                "rule": "the version asks for 3.11",
                "waived_until": "2026-12-01",
            },
            KEPT
            | {
                "key": "people.owner",
                "aspect": "people.owner",
                "facet": "people",
                "name": "Owner",
                "source": "name:d",
                "target": "name:o",
                "rule": "locked",
            },
        ],
        "undeclared": ["tools.hardware", "people.owner"],
        "asked": {"tools.hardware": "it_operations", "people.owner": "it_operations"},
    }
    assert read(content) == (HARDWARE, waived, MARKED)


def test_where_no_report_was_kept_there_is_no_item() -> None:
    assert (read(None), read({}), read({"items": []})) == ((), (), ())
    assert as_content(()) == {"items": [], "undeclared": [], "asked": {}}


def test_a_report_from_before_a_column_is_read_without_it() -> None:
    old = {name: value for name, value in KEPT.items() if name != "waived_until"}
    assert read({"items": [old]}) == (HARDWARE,)


@pytest.mark.parametrize(
    ("equal", "holds", "severity", "reason"),
    [
        (True, True, "none", "equal"),
        (True, False, "none", "equal"),
        (False, True, "low", "it was not judged when this was offered"),
        (False, False, "high", "it was not judged when this was offered"),
    ],
)
def test_a_report_of_the_first_release_is_read(equal: bool, holds: bool, severity: str, reason: str) -> None:
    old = {
        "key": "tools.hardware", "about": "tools", "name": "Hardware", "source": "8 CPU", "target": "4 CPU",
        "kind": "undeclared", "equal": equal, "holds": holds, "rule": "nobody declared it",
    }  # fmt: skip
    expected = replace(HARDWARE, equal=equal, holds=holds, severity=severity, reason=reason, role="")
    assert read({"items": [old]}) == (expected,)


def test_what_was_signed_in_another_form_since_stands_in_the_place_of_what_was_kept() -> None:
    content = {"items": [{"key": "a", "target": "1"}, {"key": "b", "target": "2"}], "asked": {"a": "validator"}}
    amended = {"items": [{"key": "a", "target": "3"}, {"key": "c", "target": "4"}], "asked": {}}
    expected = [{"key": "a", "target": "3"}, {"key": "b", "target": "2"}, {"key": "c", "target": "4"}]
    assert as_signed(content, amended) == {"items": expected, "asked": {"a": "validator"}}
    assert as_signed(content, {}) == content
    assert as_signed({}, amended) == {"items": amended["items"]}


@pytest.mark.parametrize(
    ("old", "now", "told"),
    [
        # What stays as it was, or moves inside what it may.
        (HARDWARE, HARDWARE, ""),
        (PYTHON, replace(PYTHON, target="3.11.10"), ""),
        (PYTHON, replace(PYTHON, holds=True, equal=True), ""),
        (LOCKED, LOCKED, ""),
        (None, LOCKED, ""),
        (None, PYTHON, ""),
        (HARDWARE, replace(HARDWARE, target="8 CPU", equal=True), ""),
        (replace(PYTHON, holds=False), replace(PYTHON, holds=False), ""),
        # What is locked: on both sides, for it may have been declared otherwise then.
        (
            LOCKED,
            replace(LOCKED, source="3.11.10", target="3.11.10"),
            "Python is locked, and changed from 3.11.9 to 3.11.10",
        ),
        (replace(LOCKED, classed="constrained"), replace(LOCKED, target="3.11.10"), ""),
        (LOCKED, replace(LOCKED, classed="constrained", target="3.11.10"), ""),
        (
            LOCKED,
            replace(LOCKED, target="3.11.10", equal=False, holds=False),
            "Python breaks its rule: 3.11.10 in the target, was 3.11.9 when it was offered; locked",
        ),
        (LOCKED, replace(LOCKED, holds=False), "Python breaks its rule: 3.11.9; locked"),
        (LOCKED, None, "Python is locked, and is not there any more"),
        (HARDWARE, None, ""),
        # What breaks its rule.
        (None, replace(PYTHON, holds=False), "Python breaks its rule: 3.11.9; the version asks for 3.11"),
        (None, replace(PYTHON, holds=False, target=""), "Python breaks its rule: nothing; the version asks for 3.11"),
        (PYTHON, replace(PYTHON, holds=False), "Python breaks its rule: 3.11.9; the version asks for 3.11"),
        (
            replace(PYTHON, holds=False, target=""),
            replace(PYTHON, holds=False),
            "Python breaks its rule: 3.11.9 in the target, was nothing when it was offered; the version asks for 3.11",
        ),
        (
            replace(PYTHON, waived_until="2026-12-01"),
            replace(PYTHON, holds=False),
            "Python breaks its rule: 3.11.9; the version asks for 3.11; the exception until 2026-12-01 is over",
        ),
        # What nobody has answered for.
        (None, HARDWARE, "Hardware differs, and nobody has answered for it: 4 CPU"),
        (
            HARDWARE,
            replace(HARDWARE, target="2 CPU"),
            "Hardware differs, and nobody has answered for it: 2 CPU in the target, was 4 CPU when it was offered",
        ),
        (
            replace(HARDWARE, classed="expected"),
            HARDWARE,
            "Hardware differs, and nobody has answered for it: 4 CPU",
        ),
        # Those who own something are told by their accounts, and are the same by their marks, or by name as it was.
        (OWNER, OWNER, ""),
        (MARKED, OWNER, ""),
        (OWNER, replace(OWNER, unnamed=Unnamed("name:d", "name:other", "account 2")), ""),
        (MARKED, replace(OWNER, target="Otto the second"), ""),
        (
            MARKED,
            IVAN,
            "Owner differs, and nobody has answered for it: account 3 in the target, was another when it was offered",
        ),
        (None, IVAN, "Owner differs, and nobody has answered for it: account 3"),
        (
            replace(MARKED, classed="locked"),
            replace(IVAN, classed="locked"),
            "Owner is locked, and changed to account 3",
        ),
    ],
)
def test_what_came_in_the_way_since_is_told(old: Difference | None, now: Difference | None, told: str) -> None:
    """Beside an item that stays as it was, and without a name."""
    other = replace(LOCKED, key="purpose.kind", name="Kind")
    before, after = [other, *([old] if old else [])], [*([now] if now else []), other]
    key = (now or old or other).key
    assert moved(before, after) == ({key: told} if told else {})
    assert "Ivan" not in told


def test_all_that_moved_is_told_and_what_is_gone_comes_last() -> None:
    gone, new = replace(LOCKED, key="purpose.kind", name="Kind"), replace(PYTHON, holds=False)
    assert list(moved([gone, HARDWARE], [replace(HARDWARE, target="2 CPU"), new])) == [
        "tools.hardware", "tools.python", "purpose.kind",
    ]  # fmt: skip


# States

TODAY = "2026-11-23"
EQUAL = replace(HARDWARE, target="8 CPU", equal=True)


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("until", ["", "2026-12-01"])
def test_an_item_has_a_state_once_it_differed_broke_its_rule_or_was_let_in(
    equal: bool, holds: bool, until: str
) -> None:
    one = replace(HARDWARE, equal=equal, holds=holds, waived_until=until)
    fine = equal and holds and not until
    open_ = "waived" if until else "detected"
    assert state_of(one, None, now=None, today=TODAY) == ("" if fine else open_)
    assert state_of(HARDWARE, None, now=one, today=TODAY) == ("resolved" if fine else open_)
    assert state_of(EQUAL, None, now=one, today=TODAY) == ""


@pytest.mark.parametrize(
    ("until", "until_now", "state"),
    [
        ("2026-11-22", None, "detected"),
        ("2026-11-23", None, "waived"),
        ("2026-11-24", None, "waived"),
        ("2026-11-24", "", "detected"),
        ("2026-11-24", "2026-11-22", "detected"),
        ("2026-11-22", "2026-11-23", "waived"),
        ("", "2026-11-24", "waived"),
        ("", "", "detected"),
    ],
)
def test_an_exception_counts_to_its_last_day_as_it_is_now(until: str, until_now: str | None, state: str) -> None:
    now = None if until_now is None else replace(HARDWARE, waived_until=until_now)
    assert state_of(replace(HARDWARE, waived_until=until), None, now=now, today=TODAY) == state


def test_who_answered_says_what_was_done_or_not() -> None:
    """An exception, or that nothing differs any more, says more than an answer."""
    seen, done = Answered("Otto", "fine"), Answered("Otto", "fine", "more memory")
    assert state_of(HARDWARE, seen, now=HARDWARE, today=TODAY) == "acknowledged"
    assert state_of(HARDWARE, done, now=HARDWARE, today=TODAY) == "mitigated"
    assert state_of(HARDWARE, done, now=EQUAL, today=TODAY) == "resolved"
    assert state_of(replace(HARDWARE, waived_until=TODAY), done, now=None, today=TODAY) == "waived"
    assert state_of(EQUAL, done, now=None, today=TODAY) == ""


# Filters


def test_every_filter_takes_what_an_item_can_have() -> None:
    for name, values in FILTERS.items():
        assert all(read_filters({name: value}) == {name: value} for value in values)
    assert read_filters({"facet": "", "state": "waived", "severity": "high"}) == {"state": "waived", "severity": "high"}
    assert read_filters(dict.fromkeys(FILTERS, "")) == {}


def test_every_filter_that_nothing_can_match_is_named() -> None:
    given: dict[str, Any] = {"state": "lost", "facet": "colour", "severity": "high"}
    with pytest.raises(Invalid) as refusal:
        read_filters(given)
    assert refusal.value.fields == {
        "facet": "must be one of people, purpose, tools, packages, data, outputs, requirements",
        "state": "must be one of detected, acknowledged, mitigated, waived, resolved",
    }
    assert str(refusal.value) == "There is no such facet, severity, class or state."
