"""How many years records are kept, as a policy says it, and the last day of them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from handoff.rules.reading import Reader
from handoff.rules.retention import RetentionRules, kept_until, read_retention_rules, years_in

YEARS = "must be a whole number of years from 1 to 100"


@pytest.mark.parametrize(
    ("raw", "years", "mistakes"),
    [
        ({}, 10, {}),
        ({"years": 1}, 1, {}),
        ({"years": 100}, 100, {}),
        ({"years": 0}, 1, {"retention.years": YEARS}),
        ({"years": 101}, 1, {"retention.years": YEARS}),
        ({"year": 5}, 10, {"retention.year": "is not known (did you mean years?); known are years"}),
        ([], 10, {"retention": "must be a mapping"}),
    ],
)
def test_a_policy_names_years_or_ten_hold(raw: Any, years: int, mistakes: dict[str, str]) -> None:
    reader = Reader()
    assert read_retention_rules(reader, raw) == RetentionRules(years)
    assert reader.mistakes == mistakes


@pytest.mark.parametrize(
    ("frozen", "years"), [(None, 10), ({}, 10), ({"retention": {}}, 10), ({"retention": {"years": 7}}, 7)]
)
def test_what_a_handoff_has_frozen_says_the_years(frozen: dict[str, Any] | None, years: int) -> None:
    assert years_in(frozen) == years


@pytest.mark.parametrize(
    ("ended", "years", "until"),
    [
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), 10, date(2036, 11, 28)),
        (datetime(2024, 2, 29, tzinfo=UTC), 1, date(2025, 2, 28)),
        (datetime(2024, 2, 29, tzinfo=UTC), 4, date(2028, 2, 29)),
        (datetime(2024, 2, 28, tzinfo=UTC), 1, date(2025, 2, 28)),
        (datetime(2096, 2, 29, tzinfo=UTC), 4, date(2100, 2, 28)),
    ],
)
def test_the_last_day_is_as_many_years_later(ended: datetime, years: int, until: date) -> None:
    assert kept_until(ended, years) == until
