"""When the names of those who have left go by themselves: after the time, and after the whole notice."""

from datetime import UTC, datetime, timedelta

import pytest

from handoff.rules.leavers import NameRules

DAY = timedelta(days=1)
LEFT = datetime(2026, 3, 1, 8, tzinfo=UTC)
YEAR = NameRules(365 * DAY, 30 * DAY)
BY_HAND = NameRules(timedelta(), 30 * DAY)


def test_names_go_by_themselves_only_where_a_time_is_set() -> None:
    assert YEAR.by_themselves
    assert NameRules(timedelta(microseconds=1), DAY).by_themselves
    assert not BY_HAND.by_themselves


def test_administrators_are_told_as_long_before_as_the_notice_lasts() -> None:
    assert YEAR.told_from(LEFT + 335 * DAY) == LEFT


@pytest.mark.parametrize(("today", "goes"), [(300, 365), (335, 365), (336, 366), (400, 430)])
def test_notice_is_given_of_a_day_after_the_time_and_the_whole_notice(today: int, goes: int) -> None:
    assert YEAR.announced(LEFT, LEFT + today * DAY) == LEFT + goes * DAY


@pytest.mark.parametrize(
    ("rules", "announced", "goes"),
    [
        (YEAR, None, 365),
        (YEAR, 364, 365),
        (YEAR, 365, 365),
        (YEAR, 430, 430),
        (BY_HAND, None, None),
        (BY_HAND, 9, None),
    ],
)
def test_a_name_never_goes_before_the_day_that_was_announced(
    rules: NameRules, announced: int | None, goes: int | None
) -> None:
    found = rules.goes_at(LEFT, None if announced is None else LEFT + announced * DAY)
    assert found == (None if goes is None else LEFT + goes * DAY)
