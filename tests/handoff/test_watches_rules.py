"""What is counted, and the limits of canaries and of monitoring: without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.counters import BUCKETS
from handoff.errors import Invalid
from handoff.plans import Counted
from handoff.rules.canaries import StrategyRules, asked_of, breach_of, read_strategy
from handoff.rules.canaries import united as strategy_of
from handoff.rules.gate_facts import Facts, Requirement
from handoff.rules.gates import before_approval, evaluate, waits_for_its_time
from handoff.rules.monitoring import Figures, MonitoringRules, broken, read_monitoring
from handoff.rules.monitoring import united as monitoring_of
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.policy_changes import changes, demands
from handoff.rules.reading import Reader
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
    read_counts,
    read_mark,
    told_failed,
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
        (buckets(ms1=99, ms5=1), 1.0),  # just the last of the 99
        (buckets(ms5=980, ms250=20), 175.0),  # the tenth of the twenty between 100 and 250 ms
        (buckets(ms5=995, ms250=5), 4.987),
        ((100, *NOTHING[1:]), 0.495),
        ((*NOTHING[:-1], 200), BOUNDS_MS[-1]),
        ((*buckets(ms1=50)[:-1], 200), BOUNDS_MS[-1]),
    ],
)
def test_the_99th_percentile_is_interpolated_in_its_bucket(counted: tuple[int, ...], expected: float | None) -> None:
    assert Counts(sum(counted), buckets=counted).p99_ms == expected
    assert len(counted) == len(BUCKETS) + 1


def test_counts_are_added_and_taken_off_and_never_less_than_nothing() -> None:
    one, other = Counts(20, 1, 2, 30, buckets(ms1=20)), Counts(50, 5, 1, 60, buckets(ms1=40, ms5=10))
    assert one + other == Counts(70, 6, 3, 90, buckets(ms1=60, ms5=10))
    assert other - one == Counts(30, 4, 0, 30, buckets(ms1=20, ms5=10))
    assert read_counts(one.as_list()) == one
    assert one.as_list() == [20, 1, 2, 30, [*buckets(ms1=20)]]
    assert (one.failed_percent, Counts(refused=9).failed_percent) == (4.762, 0.0)
    assert CanaryFact(scored=20, failed=1).requests == one.requests == 21


def test_latencies_that_were_sorted_otherwise_are_not_added() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Counts().__add__(Counts(buckets=(0,)))


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


def mark(minute: int) -> Mark:
    """Return a mark so many minutes after noon, when as many requests had been scored."""
    return Mark(NOON + timedelta(minutes=minute), Counts(scored=minute))


@pytest.mark.parametrize(
    ("before", "minute", "kept"),
    [
        ((), 0, (0,)),
        ((0,), 4, (0,)),
        ((0,), 5, (0, 5)),
        ((0, 5), 9, (0, 5)),
        ((0, 5), 10, (0, 5, 10)),
        ((0, 20, 60), 60, (0, 20, 60)),
        ((0, 20, 60), 79, (0, 20, 60, 79)),
        ((0, 20, 60), 80, (20, 60, 80)),
        ((0, 20, 60), 81, (20, 60, 81)),
        ((0, 20, 60), 200, (60, 200)),
    ],
)
def test_a_mark_is_set_every_five_minutes_and_one_that_is_an_hour_old_is_kept(
    before: tuple[int, ...], minute: int, kept: tuple[int, ...]
) -> None:
    now = mark(minute)
    assert marked([mark(one) for one in before], now.at, now.total) == tuple(mark(one) for one in kept)


@pytest.mark.parametrize(
    ("marks", "minute", "since"),
    [
        ((0, 20, 60), 60, 0),
        ((0, 20, 60), 79, 0),
        ((0, 20, 60), 80, 20),
        ((0, 20, 60), 81, 20),
        ((0, 20, 60), 130, 60),
        ((50, 60), 70, 50),
        ((50,), 70, 50),
        ((), 70, 70),
    ],
)
def test_the_hour_is_counted_from_the_newest_mark_that_is_as_old_or_else_the_oldest(
    marks: tuple[int, ...], minute: int, since: int
) -> None:
    now = mark(minute)
    found = of_the_hour([mark(one) for one in marks], now.at, now.total)
    assert found == (mark(since).at, Counts(scored=minute - since))


@pytest.mark.parametrize(
    ("failed", "requests", "words"),
    [(0, 0, "0 % failed, 0 of 0"), (2, 3, "66.7 % failed, 2 of 3"), (5, 1000, "0.5 % failed, 5 of 1000")],
)
def test_how_many_failed_is_told_in_words(failed: int, requests: int, words: str) -> None:
    assert told_failed(failed, requests) == words


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
        (replace(GOOD, p99_ms=250.0), []),
        (replace(GOOD, p99_ms=None), []),
        (replace(GOOD, unseen_minutes=5.0), []),
        (replace(GOOD, unseen_minutes=5.1), ["seen"]),
        (replace(GOOD, unseen_minutes=None), ["seen"]),
    ],
)
def test_the_confirm_gate_waits_for_the_canary(fact: CanaryFact, unmet: list[str]) -> None:
    assert [one.key for one in asked_of(CANARY, fact) if not one.met] == [f"canary-{key}" for key in unmet]
    assert all(one.why and one.who for one in asked_of(CANARY, fact) if not one.met)
    assert bool(breach_of(CANARY, fact)) is bool({"failed", "p99"} & set(unmet)), "only a broken limit ends it"


def test_without_a_canary_the_gate_asks_for_none() -> None:
    assert asked_of(StrategyRules(), GOOD) == asked_of(CANARY, None) == []
    assert breach_of(StrategyRules(), replace(GOOD, failed=900)) == ""


def test_what_the_gate_asks_of_a_canary_is_told_with_how_far_it_is_and_who_sees_to_it() -> None:
    known = Requirement("canary", "canary-seen", "What the engine has counted is known", "", True)
    minutes = replace(known, key="canary-minutes", title="The canary has run for 60 minutes")
    requests = replace(known, key="canary-requests", title="It has answered 1000 requests")
    failed = replace(known, key="canary-failed", title="At most 1 % of its requests failed")
    p99 = replace(known, key="canary-p99", title="The 99th percentile is at most 250 ms")
    assert asked_of(CANARY, GOOD) == [known, minutes, requests, failed, p99]
    assert asked_of(StrategyRules("canary"), GOOD) == [known, minutes, requests, failed]

    def unmet(one: Requirement, why: str, who: str) -> Requirement:
        return replace(one, met=False, why=why, who=(who,))

    assert asked_of(CANARY, CanaryFact(59.9, 90, 30, 300.0, 6.4)) == [
        unmet(known, "last 6 minutes ago", "the workers"),
        unmet(minutes, "59 of 60 minutes so far", "the clock"),
        unmet(requests, "120 of 1000 requests so far", "whoever sends requests"),
        unmet(failed, "25 % failed, 30 of 120", "the workers"),
        unmet(p99, "it is 300 ms", "the workers"),
    ]
    assert asked_of(CANARY, replace(GOOD, unseen_minutes=None))[0] == unmet(
        known, "no worker has asked yet", "the workers"
    )


def test_a_canary_is_told_in_words() -> None:
    told = "a canary of at least 60 minutes and 1000 requests, with at most 1 % failed"
    assert StrategyRules("canary").words() == told
    assert CANARY.words() == f"{told}, and a 99th percentile of at most 250 ms"
    assert CANARY.canary
    assert not StrategyRules().canary


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (replace(GOOD, failed=10, scored=990, p99_ms=250.0), ""),
        (replace(GOOD, failed=20, scored=980), "2 % failed, 20 of 1000; at most 1 % may"),
        (replace(GOOD, p99_ms=251.0), "the 99th percentile of the latency is 251 ms; 250 ms are allowed"),
        (None, ""),
    ],
)
def test_each_limit_that_a_canary_breaks_is_told_alone(fact: CanaryFact | None, expected: str) -> None:
    assert breach_of(CANARY, fact) == expected
    without = StrategyRules("canary")
    assert breach_of(without, fact) == ("" if "percentile" in expected else expected), "no limit, no breach"


CONFIRMED = ("review", "release", "confirm")
MINUTES = "must be a whole number of minutes from 1 to 10080"
REQUESTS = "must be a whole number of requests from 0 to 10000000"
PERCENT = "must be a number from 0 to 100"
P99 = "must be a whole number of milliseconds from 1 to 5000"
LIMITS = ("least_minutes", "least_requests", "most_failed_percent", "most_p99_ms")


@pytest.mark.parametrize(
    ("raw", "gates", "expected", "mistakes"),
    [
        (None, (), StrategyRules(), {}),
        ({"kind": "direct"}, (), StrategyRules("direct", 60, 1000, 1.0, None), {}),
        ({"kind": "canary"}, CONFIRMED, StrategyRules("canary", 60, 1000, 1.0, None), {}),
        (
            {"kind": "canary", **dict(zip(LIMITS, (1, 0, 0, 1), strict=True))},
            CONFIRMED,
            StrategyRules("canary", 1, 0, 0, 1),
            {},
        ),
        (
            {"kind": "canary", **dict(zip(LIMITS, (10_080, 10_000_000, 100, 5000), strict=True))},
            CONFIRMED,
            StrategyRules("canary", 10_080, 10_000_000, 100, 5000),
            {},
        ),
        (
            {"kind": "canary", **dict.fromkeys(LIMITS, -1)},
            CONFIRMED,
            StrategyRules("canary", 1, 0, 0, 1),
            dict(zip(LIMITS, (MINUTES, REQUESTS, PERCENT, P99), strict=True)),
        ),
        (
            {"kind": "direct", **dict.fromkeys(LIMITS, 1)},
            CONFIRMED,
            StrategyRules(),
            dict.fromkeys(LIMITS, "goes with a canary only; say kind: canary"),
        ),
        (
            {"kind": "canary"},
            CONFIRMED[:2],
            StrategyRules("canary"),
            {"kind": "is a canary, which ends at the confirm gate; name that under gates, too"},
        ),
        ({"kind": "bird"}, (), StrategyRules("bird"), {"kind": "must be one of direct, canary"}),
        (
            {"kind": "canary", "most": 1},
            CONFIRMED,
            StrategyRules("canary"),
            {"most": "is not known; known are kind, least_minutes, least_requests, most_failed_percent, most_p99_ms"},
        ),
    ],
)
def test_a_strategy_is_read_with_its_limits(
    raw: Any, gates: tuple[str, ...], expected: StrategyRules, mistakes: dict[str, str]
) -> None:
    reader = Reader()
    assert read_strategy(reader, raw, gates) == expected
    assert reader.mistakes == {f"strategy.{key}": told for key, told in mistakes.items()}


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
    assert strategy_of({"kind": "direct"}, {"kind": "canary", "least_minutes": 5}) == {
        "kind": "canary", "least_minutes": 5, "least_requests": 1000, "most_failed_percent": 1.0,
    }  # fmt: skip
    assert strategy_of(other, {"kind": "canary"}) == {
        "kind": "canary", "least_minutes": 60, "least_requests": 1000, "most_failed_percent": 1.0, "most_p99_ms": 100,
    }  # fmt: skip
    assert monitoring_of(None, None) is None
    for one_says, other_says in ((None, {"most_p99_ms": 90}), ({"most_p99_ms": 90}, None), ({}, {"most_p99_ms": 90})):
        alone = {"most_failed_percent": 1.0, "most_p99_ms": 90, "most_unseen_minutes": 30}
        assert monitoring_of(one_says, other_says) == alone
    assert monitoring_of({"most_p99_ms": 90}, {"most_p99_ms": 80, "most_unseen_minutes": 90}) == {
        "most_failed_percent": 1.0, "most_p99_ms": 80, "most_unseen_minutes": 30,
    }  # fmt: skip
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


@pytest.mark.parametrize(
    "known",
    [
        replace(LIVE, last_at=NOON - timedelta(hours=24)),
        replace(LIVE, seen_at=NOON - timedelta(minutes=30)),
        replace(LIVE, hour=Counts(99, 1, buckets=buckets(ms250=99, ms500=1))),
        replace(LIVE, hour=Counts(99, 1, buckets=buckets(ms500=99))),  # too few for a percentile
    ],
)
def test_what_is_at_its_limit_breaks_none(known: Figures) -> None:
    assert broken(ALL, known, NOON) == {}


WORST = Figures(
    NOON - timedelta(days=9),
    NOON - timedelta(minutes=31),
    NOON - timedelta(days=3),
    NOON - timedelta(hours=1),
    Counts(196, 4, buckets=buckets(ms500=196)),
    "It is down.",
)
TOLD = {
    "failed": "In an hour 2 % failed, 4 of 200; the policy allows 1 %.",
    "p99": "The 99th percentile of the latency was 497.5 ms in an hour; 250 ms are allowed.",
    "silent": "No request came since 25 Nov 2026, 12:00 UTC; the policy allows 24 hours of silence.",
    "unseen": "What its engine counts is not known since 28 Nov 2026, 11:29 UTC: It is down.",
}
WORDS = {
    "failed": "at most 1 % failed in an hour",
    "p99": "a 99th percentile of at most 250 ms",
    "silent": "at most 24 hours without a request",
    "unseen": "seen at least every 30 minutes",
}
ALONE = {
    "failed": MonitoringRules(most_failed_percent=1.0),
    "p99": MonitoringRules(most_p99_ms=250),
    "silent": MonitoringRules(most_silent_hours=24),
    "unseen": MonitoringRules(most_unseen_minutes=30),
}


def test_every_limit_that_is_broken_is_told() -> None:
    assert broken(ALL, WORST, NOON) == TOLD
    since_it_began = replace(WORST, seen_at=None, last_at=None, error="")
    told = "What its engine counts is not known since 19 Nov 2026, 12:00 UTC"
    assert broken(ALL, since_it_began, NOON)["unseen"] == told
    assert ALL.words() == "what is live is monitored: " + ", ".join(WORDS.values())
    assert ALL
    assert not MonitoringRules()


@pytest.mark.parametrize("subject", ALONE)
def test_a_limit_alone_is_told_in_words_and_when_it_is_broken(subject: str) -> None:
    assert broken(ALONE[subject], WORST, NOON) == {subject: TOLD[subject]}
    assert ALONE[subject].words() == f"what is live is monitored: {WORDS[subject]}"
    assert ALONE[subject]


WATCHED = ("most_failed_percent", "most_p99_ms", "most_silent_hours", "most_unseen_minutes")
HOURS = "must be a whole number of hours from 1 to 8784"
UNSEEN = "must be a whole number of minutes from 2 to 1440"


@pytest.mark.parametrize(
    ("raw", "expected", "mistakes"),
    [
        (None, MonitoringRules(), {}),
        ({}, MonitoringRules(1.0, None, None, 30), {}),
        ({"most_p99_ms": 90}, MonitoringRules(1.0, 90, None, 30), {}),
        (dict(zip(WATCHED, (0, 1, 1, 2), strict=True)), MonitoringRules(0, 1, 1, 2), {}),
        (dict(zip(WATCHED, (100, 5000, 8784, 1440), strict=True)), MonitoringRules(100, 5000, 8784, 1440), {}),
        (
            dict.fromkeys(WATCHED, -1),
            MonitoringRules(0, 1, 1, 2),
            dict(zip(WATCHED, (PERCENT, P99, HOURS, UNSEEN), strict=True)),
        ),
        (
            {"least": 1},
            MonitoringRules(1.0, None, None, 30),
            {"least": f"is not known; known are {', '.join(WATCHED)}"},
        ),
    ],
)
def test_monitoring_is_read_with_its_limits(raw: Any, expected: MonitoringRules, mistakes: dict[str, str]) -> None:
    reader = Reader()
    assert read_monitoring(reader, raw) == expected
    assert reader.mistakes == {f"monitoring.{key}": told for key, told in mistakes.items()}


def test_what_is_stopped_is_not_silent() -> None:
    assert broken(ALL, replace(LIVE, last_at=None), NOON, stopped=True) == {}
    assert list(broken(ALL, WORST, NOON, stopped=True)) == ["failed", "p99", "unseen"]
