"""Schedules: each odd field by its name, and when something is due where clocks are put forward and back."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.errors import Invalid
from handoff.rules.bindings import read_bindings
from handoff.rules.schedules import LONGEST, MOST_MISSED, Schedule, read_schedule, schedule_of

BERLIN = "Europe/Berlin"
GOOD = {"cron": "0 2 * * *", "zone": BERLIN}
BATCH = {"mode": "batch", "input": {"stream": "days"}, "outputs": [{"stream": "scores"}]}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def walls(cron: str, zone: str, after: datetime, count: int) -> list[str]:
    """Return the first due times behind a moment, as the clocks show them."""
    due = islice(Schedule(cron, zone).after(after), count)
    return [one.astimezone(ZoneInfo(zone)).strftime("%d %H:%M") for one in due]


ODD: list[tuple[Any, str, str]] = [
    ("daily", "schedule", "must be {"),
    (["cron", "zone"], "schedule", "must be {"),
    ({**GOOD, "every": "day"}, "schedule", "must be {"),
    ({"zone": BERLIN}, "schedule.cron", "five fields"),
    ({**GOOD, "cron": 5}, "schedule.cron", "five fields"),
    ({**GOOD, "cron": "0 0 2 * * *"}, "schedule.cron", "five fields"),
    ({**GOOD, "cron": "0 " * 200}, "schedule.cron", "five fields"),
    ({**GOOD, "cron": f"0 2 * * {'*':>{LONGEST - 7}}"}, "schedule.cron", "five fields"),
    ({**GOOD, "cron": "60 2 * * *"}, "schedule.cron", "'60' as minute"),
    ({**GOOD, "cron": "0 24 * * *"}, "schedule.cron", "'24' as hour"),
    ({**GOOD, "cron": "0 2 32 * *"}, "schedule.cron", "'32' as day of the month"),
    ({**GOOD, "cron": "0 2 * 13 *"}, "schedule.cron", "'13' as month"),
    ({**GOOD, "cron": "0 2 * * funday"}, "schedule.cron", "'funday' as weekday"),
    ({**GOOD, "cron": "*/0 2 * * *"}, "schedule.cron", "'*/0' as minute"),
    ({**GOOD, "cron": "0 5-2 * * *"}, "schedule.cron", "'5-2' as hour"),
    ({**GOOD, "cron": "0 2 31 2 *"}, "schedule.cron", "never due"),
    ({**GOOD, "cron": "0 2 31 4,6,9,11 *"}, "schedule.cron", "never due"),
    ({"cron": GOOD["cron"]}, "schedule.zone", "such as Europe/Berlin"),
    ({**GOOD, "zone": "Berlin"}, "schedule.zone", "time zone"),
    ({**GOOD, "zone": "Europe/Berlim"}, "schedule.zone", "did you mean Europe/Berlin?"),
    ({**GOOD, "zone": "../etc/passwd"}, "schedule.zone", "time zone"),
    ({**GOOD, "zone": ["UTC"]}, "schedule.zone", "time zone"),
]


@pytest.mark.parametrize(("raw", "where", "words"), ODD)
def test_an_odd_schedule_is_refused_at_its_field(raw: Any, where: str, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings({**BATCH, "schedule": raw})
    assert refusal.value.code == "schedule_odd"
    assert list(refusal.value.fields) == [f"bindings.{where}"]
    assert words in str(refusal.value.fields[f"bindings.{where}"])


@pytest.mark.parametrize("mode", ["stream", "request_reply"])
def test_only_a_batch_has_a_schedule(mode: str) -> None:
    bindings = {**BATCH, "mode": mode} if mode == "stream" else {}
    with pytest.raises(Invalid) as refusal:
        read_bindings({**bindings, "schedule": GOOD})
    assert list(refusal.value.fields) == ["bindings.schedule"]


def test_a_batch_keeps_its_schedule_and_may_have_none() -> None:
    kept = read_bindings({**BATCH, "schedule": {"cron": " 0  2 * * mon-fri ", "zone": BERLIN}})
    assert kept["schedule"] == {"cron": "0 2 * * mon-fri", "zone": BERLIN}
    assert read_bindings(kept) == kept
    assert "schedule" not in read_bindings(BATCH)
    assert read_schedule({"cron": "0 2 29 2 *", "zone": "UTC"})["cron"] == "0 2 29 2 *"
    assert read_schedule({"cron": f"0 2 * * {'*':>{LONGEST - 8}}", "zone": "UTC"})["cron"] == "0 2 * * *"
    assert schedule_of(kept) == Schedule("0 2 * * mon-fri", BERLIN)
    assert schedule_of({**kept, "schedule": None}) is schedule_of({}) is None


def test_a_schedule_is_told_in_words() -> None:
    assert Schedule("0 2 * * *", BERLIN).words == "At 02:00 every day, Europe/Berlin"
    assert Schedule("0 2 * * *", BERLIN).local(utc(2026, 7, 2)).isoformat() == "2026-07-02T02:00:00+02:00"


def test_due_times_follow_the_clocks_of_the_zone() -> None:
    summer, winter = (
        Schedule("0 2 * * *", BERLIN).next(utc(2026, 7, 1)),
        Schedule("0 2 * * *", BERLIN).next(utc(2026, 12, 1)),
    )
    assert (summer, winter) == (utc(2026, 7, 2), utc(2026, 12, 1, 1))
    assert Schedule("0 2 * * *", "Asia/Kathmandu").next(utc(2026, 1, 1)) == utc(2026, 1, 1, 20, 15)


def test_either_day_will_do_where_both_are_named() -> None:
    assert walls("0 6 13 * 5", "UTC", utc(2026, 11, 1), 4) == ["06 06:00", "13 06:00", "20 06:00", "27 06:00"]
    assert walls("0 6 15 * 5", "UTC", utc(2026, 11, 1), 3) == ["06 06:00", "13 06:00", "15 06:00"]


def test_what_is_due_just_now_is_not_due_again() -> None:
    daily = Schedule("0 2 * * *", BERLIN)
    at, second = utc(2026, 7, 2), timedelta(seconds=1)
    assert daily.next(at - second) == at
    assert daily.next(at - second / 2) == at
    assert daily.next(at) == daily.next(at + second / 2) == utc(2026, 7, 3)


# In Berlin the clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October 2026.
SPRING, AUTUMN = utc(2026, 3, 28, 12), utc(2026, 10, 24, 12)


def test_a_time_that_is_skipped_in_spring_comes_once_and_later() -> None:
    assert walls("30 2 * * *", BERLIN, SPRING, 3) == ["29 03:30", "30 02:30", "31 02:30"]
    assert walls("0,30 2,3 * * *", BERLIN, SPRING, 4) == ["29 03:00", "29 03:30", "30 02:00", "30 02:30"]
    assert walls("30 2 * * *", BERLIN, utc(2026, 3, 29, 1, 10), 1) == ["29 03:30"]  # asked while it is skipped
    assert walls("30 2 * * *", BERLIN, utc(2026, 3, 29, 1, 30), 1) == ["30 02:30"]
    assert walls("30 3 * * *", BERLIN, utc(2026, 3, 29, 1, 30), 1) == ["30 03:30"]
    # what was skipped comes in its turn among what is later on the clocks
    assert walls("30 2 29 3 *", BERLIN, SPRING, 1) == ["29 03:30"]
    assert walls("15,30 2,3 29 3 *", BERLIN, SPRING, 2) == ["29 03:15", "29 03:30"]
    assert walls("0 2,3 29 3 *", BERLIN, SPRING, 2) == ["29 03:00", "29 02:00"]  # a year later there is no gap


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [
        (BERLIN, utc(2026, 3, 29, 1)),
        ("Europe/London", utc(2026, 3, 29, 1)),
        ("America/New_York", utc(2026, 3, 8, 7)),
        ("Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
    ],
)
def test_a_time_that_is_skipped_is_due_yet_for_who_asks_just_after(zone: str, skipped: datetime) -> None:
    """Ten minutes into what the clocks skip is due ten minutes later than their jump, in zones on both sides of UTC."""
    wall = (skipped - timedelta(seconds=1)).astimezone(ZoneInfo(zone)) + timedelta(minutes=10, seconds=1)
    schedule, due = Schedule(f"{wall.minute} {wall.hour} * * *", zone), skipped + timedelta(minutes=10)
    assert schedule.next(skipped - timedelta(minutes=1)) == due
    assert schedule.next(skipped) == due
    assert schedule.next(due - timedelta(seconds=1)) == due
    assert schedule.next(due) > due + timedelta(hours=22)


def test_a_time_that_is_shown_twice_in_autumn_comes_once_and_first() -> None:
    due = list(islice(Schedule("30 2 * * *", BERLIN).after(AUTUMN), 2))
    assert due == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]
    assert Schedule("30 2 * * *", BERLIN).next(utc(2026, 10, 25, 1, 10)) == utc(2026, 10, 26, 1, 30)  # the second time
    every = Schedule("*/30 * * * *", BERLIN)
    found = list(islice(every.after(utc(2026, 10, 24, 23, 59)), 6))
    assert [one.strftime("%H:%M") for one in found] == ["00:00", "00:30", "02:00", "02:30", "03:00", "03:30"]


def test_a_day_that_an_island_skipped_comes_once() -> None:
    assert walls("0 2 30 12 *", "Pacific/Apia", utc(2011, 12, 29), 1) == ["31 02:00"]
    assert walls("0 2 * * *", "Pacific/Apia", utc(2011, 12, 29), 3) == ["29 02:00", "31 02:00", "01 02:00"]


ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"])


@given(
    zone=ZONES,
    minute=st.sampled_from(["0", "30", "*/15", "7,52"]),
    hour=st.sampled_from(["*", "2", "1-3", "*/6"]),
    at=st.datetimes(datetime(2011, 1, 1), datetime(2030, 1, 1)),
)
def test_due_times_rise_none_comes_twice_and_where_one_asks_changes_nothing(
    zone: str, minute: str, hour: str, at: datetime
) -> None:
    schedule, began = Schedule(f"{minute} {hour} * * *", zone), at.replace(tzinfo=UTC)
    due = list(islice(schedule.after(began), 40))
    assert due == sorted(set(due))
    assert due[0] > began
    assert [schedule.next(one) for one in due[:-1]] == due[1:]
    newest = schedule.newest(began, due[-1])
    assert newest is not None
    assert (newest.at, newest.missed) == (due[-1], len(due) - 1)


def test_after_an_outage_the_newest_is_due_and_the_others_are_counted() -> None:
    daily, began = Schedule("0 2 * * *", "UTC"), utc(2026, 11, 1, 12)
    assert daily.newest(began, utc(2026, 11, 2, 1, 59)) is None
    one, four = daily.newest(began, utc(2026, 11, 2, 2)), daily.newest(began, utc(2026, 11, 5, 23))
    assert one is not None
    assert (one.at, one.missed) == (utc(2026, 11, 2, 2), 0)
    assert four is not None
    assert (four.at, four.missed) == (utc(2026, 11, 5, 2), 3)
    leap = Schedule("0 0 29 2 *", "UTC").newest(utc(2025, 1, 1), utc(2029, 1, 1))
    assert leap is not None
    assert (leap.at, leap.missed) == (utc(2028, 2, 29), 0)


def test_a_long_outage_is_counted_no_further_than_it_matters() -> None:
    newest = Schedule("* * * * *", "UTC").newest(utc(2020, 1, 1), utc(2026, 1, 1) + timedelta(seconds=30))
    assert newest is not None
    assert (newest.at, newest.missed) == (utc(2026, 1, 1), MOST_MISSED)
