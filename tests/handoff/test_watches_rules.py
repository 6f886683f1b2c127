"""What is counted, and the limits of canaries and of monitoring: without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.counters import BUCKETS
from handoff.errors import Invalid
from handoff.plans import Counted
from handoff.rules.canaries import StrategyRules, asked_of, breach_of
from handoff.rules.canaries import united as strategy_of
from handoff.rules.gate_facts import Facts
from handoff.rules.gates import before_approval, evaluate, waits_for_its_time
from handoff.rules.monitoring import Figures, MonitoringRules, broken
from handoff.rules.monitoring import united as monitoring_of
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.policy_changes import changes, demands
from handoff.rules.simulations import Passed, lacking_in
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.rules.watches import (
    BOUNDS_MS,
    NOTHING,
    CanaryFact,
    Counts,
    Mark,
    came_since,
    counts_of,
    marked,
    of_the_hour,
    read_mark,
    too_many,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SIGNS = {"signoffs": [{"key": "outputs", "role": "integration_owner", "meaning": "approval"}]}
CONTENT: dict[str, Any] = {
    "policy": "p",
    "title": "P",
    "applies_to": {"risk_tiers": ["low"], "target_kinds": ["production"]},
    "tests": ["golden"],
    "gates": {
        "review": {"signoffs": [{"key": "validation", "role": "validator", "meaning": "review"}]},
        "release": {"signoffs": [{"key": "release", "role": "it_operations", "meaning": "approval"}]},
        "confirm": SIGNS,
    },
}
CANARY = StrategyRules("canary", 60, 1000, 1.0, 250)
GOOD = CanaryFact(60.0, 995, 5, 120.0, 0.5)


def buckets(**by_ms: int) -> tuple[int, ...]:
    """Return so many requests at each bound, named as ms250."""
    found = list(NOTHING)
    for name, n in by_ms.items():
        found[BOUNDS_MS.index(float(name[2:]))] = n
    return tuple(found)


def read(**more: Any) -> PolicyRules:
    return parse({**CONTENT, **more})


def test_a_bad_request_is_no_failure_and_a_breach_of_the_outputs_is() -> None:
    told = Counted(1.0, {200: 90, 400: 7, 413: 1, 422: 2, 500: 3, 503: 1}, 95, NOTHING)
    assert counts_of(told) == Counts(90, 4, 10, 95, NOTHING)
    assert (counts_of(told).requests, counts_of(told).failed_percent) == (94, 4.255)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (buckets(ms1=99), None),  # too few to say
        (buckets(ms1=100), 0.995),  # 99 of the 100 between 0.5 and 1 ms
        (buckets(ms5=980, ms250=20), 175.0),  # the tenth of the twenty between 100 and 250 ms
        (buckets(ms5=995, ms250=5), 4.987),
        ((*NOTHING[:-1], 200), BOUNDS_MS[-1]),
    ],
)
def test_the_99th_percentile_is_interpolated_in_its_bucket(counted: tuple[int, ...], expected: float | None) -> None:
    assert Counts(sum(counted), buckets=counted).p99_ms == expected
    assert len(counted) == len(BUCKETS) + 1


def test_counts_go_on_over_a_restart_and_the_first_look_counts_nothing() -> None:
    first, second = Counts(20, 0, 0, 20, buckets(ms1=20)), Counts(50, 1, 2, 60, buckets(ms1=50))
    assert came_since(None, 0.0, first, 5.0) == Counts(), "the golden records were replayed before"
    assert came_since(first, 5.0, second, 5.0) == Counts(30, 1, 2, 40, buckets(ms1=30))
    assert came_since(second, 5.0, first, 9.0) == first, "another process counts from nothing"
    assert came_since(second, 5.0, first, 5.0) == Counts(), "what is less in one process is never taken off"


def test_no_more_marks_are_kept_than_an_hour_needs() -> None:
    marks: tuple[Mark, ...] = ()
    for minute in range(600):
        at = NOON + timedelta(minutes=minute)
        marks = marked(marks, at, Counts(scored=minute))
        since, hour = of_the_hour(marks, at, Counts(scored=minute))
        assert hour.scored == min(minute, (at - since).total_seconds() / 60)
        assert at - since <= timedelta(minutes=65)
        assert minute < 60 or hour.scored >= 60
    assert len(marks) <= 14
    assert [read_mark(one.as_list()) for one in marks] == list(marks)


@pytest.mark.parametrize(
    ("failed", "requests", "percent", "expected"),
    [(1, 10, 1, False), (2, 10, 1, True), (1, 1, 0, True), (10, 1000, 1, False), (11, 1000, 1, True), (0, 0, 0, False)],
)
def test_fewer_than_a_hundred_requests_are_taken_for_a_hundred(
    failed: int, requests: int, percent: float, expected: bool
) -> None:
    assert too_many(failed, requests, percent) is expected


@pytest.mark.parametrize(
    ("fact", "unmet"),
    [
        (GOOD, []),
        (CanaryFact(), ["seen", "minutes", "requests"]),
        (replace(GOOD, minutes=59.9), ["minutes"]),
        (replace(GOOD, scored=994), ["requests"]),
        (replace(GOOD, failed=11), ["failed"]),
        (replace(GOOD, p99_ms=250.1), ["p99"]),
        (replace(GOOD, p99_ms=None), []),
        (replace(GOOD, unseen_minutes=5.1), ["seen"]),
    ],
)
def test_the_confirm_gate_waits_for_the_canary(fact: CanaryFact, unmet: list[str]) -> None:
    assert [one.key for one in asked_of(CANARY, fact) if not one.met] == [f"canary-{key}" for key in unmet]
    assert all(one.why and one.who for one in asked_of(CANARY, fact) if not one.met)
    assert bool(breach_of(CANARY, fact)) is bool({"failed", "p99"} & set(unmet)), "only a broken limit ends it"


def test_without_a_canary_the_gate_asks_for_none() -> None:
    assert asked_of(StrategyRules(), GOOD) == asked_of(CANARY, None) == []
    assert breach_of(StrategyRules(), replace(GOOD, failed=900)) == ""


def test_a_breach_tells_the_figures() -> None:
    told = breach_of(CANARY, CanaryFact(3.0, 90, 30, 300.0, 0.0))
    assert told == (
        "25 % failed, 30 of 120; at most 1 % may; the 99th percentile of the latency is 300 ms; 250 ms are allowed"
    )


def test_signatures_may_be_given_while_the_canary_runs() -> None:
    facts = Facts("v", {}, holders={"integration_owner": {1: "Iris"}}, canary=CanaryFact(5.0, 10, 0, None, 0.1))
    result = evaluate("confirm", read(strategy={"kind": "canary"}), facts)
    assert [r.key for r in result.missing if r.kind == "canary"] == ["canary-minutes", "canary-requests"]
    assert not [r for r in before_approval(result, "outputs") if r.kind == "canary"]
    assert not waits_for_its_time(result), "a signature is missing, too"
    alone = replace(result, requirements=tuple(r for r in result.requirements if r.kind == "canary"))
    assert waits_for_its_time(alone)
    assert not any(r.kind == "canary" for r in evaluate("release", read(strategy={"kind": "canary"}), facts).missing)


@pytest.mark.parametrize(
    ("key", "value", "place", "words"),
    [
        ("strategy", {"kind": "canery"}, "strategy.kind", "did you mean canary?"),
        ("strategy", {"kind": "canary", "least_minute": 5}, "strategy.least_minute", "did you mean least_minutes?"),
        ("strategy", {"kind": "canary", "least_minutes": 0}, "strategy.least_minutes", "from 1 to 10080"),
        ("strategy", {"kind": "canary", "least_requests": -1}, "strategy.least_requests", "from 0 to 10000000"),
        ("strategy", {"kind": "canary", "most_failed_percent": 101}, "strategy.most_failed_percent", "from 0 to 100"),
        ("strategy", {"kind": "canary", "most_p99_ms": 6000}, "strategy.most_p99_ms", "from 1 to 5000"),
        ("strategy", {"kind": "direct", "least_minutes": 5}, "strategy.least_minutes", "with a canary only"),
        ("strategy", [], "strategy", "must be a mapping"),
        ("monitoring", {"most_silent_hour": 1}, "monitoring.most_silent_hour", "did you mean most_silent_hours?"),
        ("monitoring", {"most_unseen_minutes": 1}, "monitoring.most_unseen_minutes", "from 2 to 1440"),
        ("monitoring", {"most_failed_percent": "1%"}, "monitoring.most_failed_percent", "from 0 to 100"),
        ("monitorin", {}, "monitorin", "did you mean monitoring?"),
    ],
)
def test_mistakes_are_told_by_their_place(key: str, value: Any, place: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(**{key: value})
    assert words in refused.value.fields[place]


def test_a_canary_without_a_confirm_gate_is_refused() -> None:
    gates = {name: CONTENT["gates"][name] for name in ("review", "release")}
    with pytest.raises(Invalid) as refused:
        read(gates=gates, strategy={"kind": "canary"})
    assert "ends at the confirm gate" in refused.value.fields["strategy.kind"]


def test_policies_that_say_nothing_demand_nothing_more() -> None:
    assert read().strategy == read(strategy=None).strategy == read(strategy={"kind": "direct"}).strategy
    assert not read().monitoring
    assert demands(read()) == demands(read(strategy={"kind": "direct"}))
    gained = changes(demands(read()), demands(read(strategy={"kind": "canary"}, monitoring={"most_p99_ms": 90}))).gained
    assert gained == (
        "a canary of at least 60 minutes and 1000 requests, with at most 1 % failed",
        "what is live is monitored: at most 1 % failed in an hour, a 99th percentile of at most 90 ms, "
        "seen at least every 30 minutes",
    )


def test_of_two_policies_the_stricter_limits_hold() -> None:
    assert strategy_of(None, {"kind": "direct"}) == {"kind": "direct"}
    one = {"kind": "canary", "least_minutes": 90, "most_p99_ms": 90}
    other = {"kind": "canary", "least_requests": 5, "most_failed_percent": 2, "most_p99_ms": 100}
    united = {"kind": "canary", "least_minutes": 90, "least_requests": 1000, "most_failed_percent": 1.0}
    assert strategy_of(one, other) == strategy_of(other, one) == united | {"most_p99_ms": 90}
    assert strategy_of({"kind": "direct"}, {"kind": "canary", "least_minutes": 5})["least_minutes"] == 5
    assert monitoring_of(None, None) is None
    watched = {"most_failed_percent": 1.0, "most_unseen_minutes": 5, "most_silent_hours": 9}
    assert monitoring_of({"most_silent_hours": 9, "most_failed_percent": 4}, {"most_unseen_minutes": 5}) == watched
    both = union(
        [({**CONTENT, "strategy": one}, 1), ({**CONTENT, "policy": "q", "monitoring": {}}, 1)],
        Subject("production", "low"),
    )
    assert (parse(both).strategy.least_minutes, parse(both).monitoring.most_unseen_minutes) == (90, 30)


def test_a_simulation_says_what_a_canary_would_have_lacked_where_it_was_counted() -> None:
    plain = {
        "version": "v", "parts": {}, "differences": [], "answers": {}, "acknowledged": {}, "signoffs": [], "tests": {},
        "holders": {}, "chain": {"acts": {}, "signed": {}},
        "canary": {"minutes": 2.0, "scored": 5, "failed": 0, "p99_ms": None, "unseen_minutes": 0.2},
    }  # fmt: skip
    passed = Passed("h", "confirm", NOON, "low", plain)
    told = lacking_in(read(strategy={"kind": "canary"}), passed)
    assert "The canary has run for 60 minutes" in told
    assert "At most 1 % of its requests failed" not in told
    older = replace(passed, facts={**plain, "canary": None})
    assert "The canary has run for 60 minutes" not in lacking_in(read(strategy={"kind": "canary"}), older)


ALL = MonitoringRules(1.0, 250, 24, 30)
LIVE = Figures(NOON - timedelta(days=9), NOON, NOON, NOON - timedelta(hours=1), Counts(1000, 5))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (LIVE, []),
        (replace(LIVE, hour=Counts(98, 2)), ["failed"]),
        (replace(LIVE, hour=Counts(200, buckets=buckets(ms500=200))), ["p99"]),
        (replace(LIVE, last_at=NOON - timedelta(hours=24, minutes=1)), ["silent"]),
        (replace(LIVE, last_at=None), ["silent"]),
        (replace(LIVE, seen_at=NOON - timedelta(minutes=31), error="It is down."), ["unseen"]),
        (replace(LIVE, seen_at=None, last_at=None), ["unseen"]),
        (replace(LIVE, seen_at=NOON - timedelta(hours=2), last_at=NOON - timedelta(hours=25)), ["unseen"]),
    ],
)
def test_each_limit_of_what_is_live_has_its_sentence(known: Figures, expected: list[str]) -> None:
    found = broken(ALL, known, NOON)
    assert list(found) == expected
    assert broken(MonitoringRules(), known, NOON) == {}
    assert not known.error or known.error in found["unseen"]


def test_what_is_stopped_is_not_silent() -> None:
    assert broken(ALL, replace(LIVE, last_at=None), NOON, stopped=True) == {}
