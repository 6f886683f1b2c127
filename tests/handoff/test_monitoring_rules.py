"""The limits of what is live, each alone and on its very edge, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handoff.rules.monitoring import Figures, MonitoringRules, broken
from handoff.rules.watches import BOUNDS_MS, NOTHING, Counts

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LIVE = Figures(NOON - timedelta(days=9), NOON, NOON, NOON - timedelta(hours=1), Counts(1000, 5))
FAILED = MonitoringRules(most_failed_percent=1.0)
SLOW = MonitoringRules(most_p99_ms=250)
SILENT = MonitoringRules(most_silent_hours=24)
UNSEEN = MonitoringRules(most_unseen_minutes=30)
SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)


def of_an_hour(within: int, beyond: int) -> Counts:
    """Return an hour in which so many of the requests took 100 to 250 ms, and so many up to 500 ms."""
    at = BOUNDS_MS.index(250.0)
    return Counts(within + beyond, buckets=(*NOTHING[:at], within, beyond, *NOTHING[at + 2 :]))


@pytest.mark.parametrize(
    ("rules", "known", "expected"),
    [
        (FAILED, replace(LIVE, hour=Counts(990, 10)), {}),
        (
            FAILED,
            replace(LIVE, hour=Counts(989, 11)),
            {"failed": "In an hour 1.1 % failed, 11 of 1000; the policy allows 1 %."},
        ),
        (SLOW, replace(LIVE, hour=of_an_hour(99, 1)), {}),
        (
            SLOW,
            replace(LIVE, hour=of_an_hour(98, 2)),
            {"p99": "The 99th percentile of the latency was 375 ms in an hour; 250 ms are allowed."},
        ),
        (SLOW, replace(LIVE, hour=Counts(99, buckets=(*NOTHING[:-1], 99))), {}),  # too few to say
        (SILENT, replace(LIVE, last_at=NOON - DAY), {}),
        (
            SILENT,
            replace(LIVE, last_at=NOON - DAY - SECOND),
            {"silent": "No request came since 27 Nov 2026, 11:59 UTC; the policy allows 24 hours of silence."},
        ),
        (SILENT, replace(LIVE, began_at=NOON - DAY, last_at=None), {}),
        (SILENT, replace(LIVE, last_at=NOON - DAY, seen_at=NOON - SECOND), {}),
        (UNSEEN, replace(LIVE, seen_at=NOON - timedelta(minutes=30), error="It is down."), {}),
        (
            UNSEEN,
            replace(LIVE, seen_at=NOON - timedelta(minutes=30, seconds=1), error="It is down."),
            {"unseen": "What its engine counts is not known since 28 Nov 2026, 11:29 UTC: It is down."},
        ),
        (
            UNSEEN,
            replace(LIVE, seen_at=None, began_at=NOON - timedelta(minutes=31)),
            {"unseen": "What its engine counts is not known since 28 Nov 2026, 11:29 UTC"},
        ),
        (UNSEEN, replace(LIVE, seen_at=None, began_at=NOON - timedelta(minutes=30)), {}),
    ],
)
def test_a_limit_is_broken_past_its_edge_and_says_so(
    rules: MonitoringRules, known: Figures, expected: dict[str, str]
) -> None:
    assert broken(rules, known, NOON) == expected


def test_a_limit_that_is_nothing_allows_nothing() -> None:
    rules = MonitoringRules(0.0, 1, 1, 2)
    bad = Figures(NOON - 9 * DAY, NOON - DAY, NOON - 3 * DAY, NOON, replace(of_an_hour(50, 50), failed=1), "")
    assert list(broken(rules, bad, NOON)) == ["failed", "p99", "silent", "unseen"]
    assert list(broken(rules, bad, NOON, stopped=True)) == ["failed", "p99", "unseen"]
