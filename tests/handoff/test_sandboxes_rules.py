"""The least sandbox that a policy asks for: what falls short of it, what is read, and the higher of two."""

from itertools import product
from typing import Any

import pytest

from engine.sandbox.levels import ENCLOSED, FILTERED, LEVELS, NONE, Level
from handoff.rules.reading import Reader
from handoff.rules.sandboxes import SandboxRules, higher, read_sandbox_rules

MADE_OF = {
    "L0": "limits and an empty environment; only formats that hold no code",
    "L1": "Landlock, a filter of system calls, limits and an empty environment",
    "L2": "bubblewrap around Landlock, a filter of system calls, limits and an empty environment",
    "L3": "a host of its own, as its operator declares",
}


def test_a_lower_level_than_the_least_falls_short_and_both_are_told() -> None:
    for ran, least in product(LEVELS, LEVELS):
        told = f"ran in sandbox {ran}, and the policy asks for {least} ({MADE_OF[least]})"
        assert SandboxRules(least).short(ran) == (told if int(ran[1]) < int(least[1]) else "")


@pytest.mark.parametrize(
    ("raw", "least", "mistakes"),
    [
        ({}, NONE, {}),
        ({"least": "L0"}, NONE, {}),
        ({"least": "L1"}, FILTERED, {}),
        ({"least": "L2"}, ENCLOSED, {}),
        ({"least": "L4"}, NONE, {"sandbox.least": "must be one of L0, L1, L2, L3"}),
        ({"most": "L1"}, NONE, {"sandbox.most": "is not known; known are least"}),
        ("L1", NONE, {"sandbox": "must be a mapping"}),
    ],
)
def test_a_policy_names_the_least_level_or_any_is_enough(raw: Any, least: Level, mistakes: dict[str, str]) -> None:
    reader = Reader()
    assert read_sandbox_rules(reader, raw) == SandboxRules(least)
    assert {place: str(told).partition(" (did")[0] for place, told in reader.mistakes.items()} == mistakes


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"least": "L1"}, {"least": "L3"}, "L3"),
        ({"least": "L2"}, {"least": "L1"}, "L2"),
        ({}, {"least": "L1"}, "L1"),
        ({"least": "L1"}, {}, "L1"),
        ({}, {}, "L0"),
    ],
)
def test_of_two_policies_the_higher_level_holds(one: dict[str, str], other: dict[str, str], both: str) -> None:
    assert higher(one, other) == {"least": both}
