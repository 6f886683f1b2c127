"""Items that nobody answers, each by the facts that it is computed from, and in which words it is not met."""

import pytest

from handoff.rules.automatic import KNOWN, Situation

NO_OWNER = "the target has no active owner of record"
NOT_READ = "the owner of record has not acknowledged the duties of"


@pytest.mark.parametrize(
    ("fact", "now", "why"),
    [
        ("tests.passed", Situation(), ""),
        ("tests.passed", Situation(tests={"golden": "passed", "latency": "passed"}), ""),
        (
            "tests.passed",
            Situation(tests={"golden": "failed", "schema": "passed", "latency": ""}),
            "golden failed; latency has not run",
        ),
        ("differences.none_undeclared", Situation(unacknowledged=("a",)), ""),
        ("differences.none_undeclared", Situation(undeclared=("a", "b")), "undeclared: a, b"),
        ("differences.acknowledged", Situation(undeclared=("a",)), ""),
        ("differences.acknowledged", Situation(unacknowledged=("a", "b")), "not acknowledged: a, b"),
        ("import_policy.no_exceptions", Situation(), ""),
        ("import_policy.no_exceptions", Situation(exceptions=("torch",)), "let in by an exception: torch"),
        ("drift.none", Situation(findings=("x",)), ""),
        ("drift.none", Situation(moved=("Python moved",)), "drifted: Python moved"),
        ("findings.none_open", Situation(moved=("x",)), ""),
        ("findings.none_open", Situation(findings=("No alarm",)), "open: No alarm"),
        ("replay.equal", Situation(replays=1), ""),
        ("replay.equal", Situation(), "no contract replay was equal, or its sources changed since"),
        ("owner.operates", Situation(owner="Otto", owner_operates=True), ""),
        ("owner.operates", Situation(owner_operates=True), NO_OWNER),
        ("owner.operates", Situation(owner="Otto"), "the owner of record does not hold IT operations"),
        ("owner.acknowledged", Situation(owner="Otto", owner_duties={"it_operations": True}), ""),
        ("owner.acknowledged", Situation(owner_duties={"it_operations": True}), NO_OWNER),
        (
            "owner.acknowledged",
            Situation(owner="Otto"),
            "the owner of record holds no role here whose duties they could acknowledge",
        ),
        (
            "owner.acknowledged",
            Situation(owner="Otto", owner_duties={"it_operations": False, "validator": True, "model_owner": False}),
            f"{NOT_READ} it operations, model owner",
        ),
    ],
)
def test_a_computed_item_says_what_keeps_it_from_being_met(fact: str, now: Situation, why: str) -> None:
    assert KNOWN[fact].why(now) == why
