"""Windows and freezes on the clock of their zone, on the days on which it jumps too."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handoff.rules.gates import Facts, evaluate, waits_for_its_time
from handoff.rules.policies import parse
from handoff.rules.policy_reader import PolicyReader
from handoff.rules.policy_terms import Gate, PolicyRules, SignOffRule
from handoff.rules.windows import DAYS, Freeze, Opening, Window, next_opening, open_at, told
from tests.handoff.test_gates_rules import FULL, RELEASE, RELEASED, REVIEW, with_signoffs
from tests.handoff.test_policies_rules import GOOD

BERLIN = "Europe/Berlin"
WEEK = Window(BERLIN, (Opening(("mon", "tue", "wed", "thu"), 9 * 60, 16 * 60),))
NIGHT = Window(BERLIN, (Opening(("sat",), 22 * 60, 2 * 60),))
YEAR_END = Freeze("Year end", BERLIN, date(2026, 12, 18), date(2027, 1, 4))


def at(text: str, zone: str = BERLIN, fold: int = 0) -> datetime:
    """Return an instant as the clock on the wall shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "when", "expected"),
    [
        (WEEK, "2026-11-30T08:59:59", False),
        (WEEK, "2026-11-30T09:00", True),
        (WEEK, "2026-11-30T15:59:59", True),
        (WEEK, "2026-11-30T16:00", False),
        (WEEK, "2026-12-04T10:00", False),  # a Friday
        (NIGHT, "2026-11-28T21:59", False),
        (NIGHT, "2026-11-28T22:00", True),
        (NIGHT, "2026-11-29T01:59", True),  # Sunday, of the window that began on Saturday
        (NIGHT, "2026-11-29T02:00", False),
        (NIGHT, "2026-11-28T01:00", False),  # Saturday, before
    ],
)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(window: Window, when: str, expected: bool) -> None:
    assert window.open_at(at(when)) is expected
    assert window.open_at(at(when).astimezone(ZoneInfo("Asia/Tokyo"))) is expected


def test_a_window_that_ends_when_it_begins_is_open_for_a_day() -> None:
    day = Window(BERLIN, (Opening(("mon",), 9 * 60, 9 * 60),))
    instants = ("2026-11-30T08:59", "2026-11-30T09:00", "2026-12-01T08:59", "2026-12-01T09:00")
    assert [day.open_at(at(one)) for one in instants] == [False, True, True, False]


def test_one_of_several_openings_is_enough_and_every_window_must_be_open() -> None:
    """And no freeze may hold."""
    late = Opening(("mon",), 20 * 60, 21 * 60)
    both = Window(BERLIN, (*WEEK.openings, late))
    assert [both.open_at(at(f"2026-11-30T{hour}:00")) for hour in (10, 18, 20)] == [True, False, True]
    evening, now = Window(BERLIN, (late,)), at("2026-11-30T20:30")
    today, past = (Freeze("f", BERLIN, day, day) for day in (date(2026, 11, 30), date(2026, 11, 29)))
    for windows, freezes, expected in [
        ([both, evening], [], True),
        ([evening, WEEK], [], False),
        ([both], [past], True),
        ([both], [past, today], False),
        ([], [today], False),
        ([], [], True),
    ]:
        assert open_at(windows, freezes, now) is expected


def test_windows_and_freezes_are_told_as_people_read_them() -> None:
    assert WEEK.words() == "mon, tue, wed, thu 09:00 to 16:00 (Europe/Berlin)"
    every = Opening(DAYS, 9 * 60 + 5, 24 * 60)
    assert Window("UTC", (every, NIGHT.openings[0])).words() == "every day 09:05 to 24:00; sat 22:00 to 02:00 (UTC)"
    assert YEAR_END.words() == "Year end, 2026-12-18 to 2027-01-04 (Europe/Berlin)"


def test_the_next_opening_is_after_now_and_within_400_days() -> None:
    """Where only a freeze stands in the way, it is the first midnight of its zone after it."""
    now = at("2026-11-30T09:00")
    assert next_opening([WEEK], [], now) == at("2026-12-01T09:00")
    assert next_opening([WEEK], [], now - timedelta(seconds=1)) == now
    for days, expected in [(1, True), (400, True), (401, False)]:
        last = now.date() + timedelta(days=days - 1)
        after = at(f"{last + timedelta(days=1)}T00:00")
        assert next_opening([], [Freeze("f", BERLIN, now.date(), last)], now) == (after if expected else None)


def test_a_time_is_read_to_its_minute() -> None:
    opening = {"days": ["mon"], "from": "09:30", "to": "16:45"}
    rules = parse(GOOD | {"windows": [{"zone": BERLIN, "open": [opening]}]})
    assert rules.windows == (Window(BERLIN, (Opening(("mon",), 9 * 60 + 30, 16 * 60 + 45),)),)


def test_a_freeze_holds_for_whole_days_of_its_zone() -> None:
    assert not YEAR_END.holds_at(at("2026-12-17T23:59:59"))
    assert YEAR_END.holds_at(at("2026-12-18T00:00"))
    assert YEAR_END.holds_at(at("2027-01-04T23:59:59"))
    assert not YEAR_END.holds_at(at("2027-01-05T00:00"))
    assert YEAR_END.holds_at(datetime(2026, 12, 17, 23, 30, tzinfo=UTC))  # it is the 18th in Berlin


def test_an_hour_that_is_skipped_opens_nothing() -> None:
    """On 29 March 2026 the clock goes from 02:00 to 03:00, at 01:00 UTC."""
    skipped = Window(BERLIN, (Opening(DAYS, 2 * 60, 3 * 60),))
    begins_within = Window(BERLIN, (Opening(DAYS, 2 * 60 + 30, 4 * 60),))
    day = [datetime(2026, 3, 29, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(24 * 60)]
    assert not any(skipped.open_at(one) for one in day if one.hour < 22)
    assert next(one for one in day if begins_within.open_at(one)) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert next_opening([begins_within], [], at("2026-03-29T01:00")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert next_opening([skipped], [], at("2026-03-29T01:00")) == at("2026-03-30T02:00")


def test_an_hour_that_comes_twice_opens_twice() -> None:
    """On 25 October 2026 the clock goes back from 03:00 to 02:00, at 01:00 UTC."""
    window = Window(BERLIN, (Opening(DAYS, 2 * 60 + 10, 2 * 60 + 40),))
    assert window.open_at(at("2026-10-25T02:20", fold=0))
    assert window.open_at(at("2026-10-25T02:20", fold=1))
    assert not window.open_at(at("2026-10-25T02:50", fold=0))
    first = next_opening([window], [], at("2026-10-25T01:00"))
    assert first == at("2026-10-25T02:10", fold=0)
    assert next_opening([window], [], at("2026-10-25T02:45", fold=0)) == datetime(2026, 10, 25, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", [BERLIN, "America/New_York", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe"]
)
def test_the_next_opening_is_the_first_minute_that_is_open(zone: str) -> None:
    """Against trying every minute, around both jumps of the clock of zones that jump in ways of their own."""
    windows = [Window(zone, (Opening(("sun", "wed"), 2 * 60 + 15, 3 * 60), Opening(("fri",), 23 * 60, 30)))]
    freezes = [
        Freeze("f", zone, date(2026, 3, 14), date(2026, 3, 15)),
        Freeze("g", "UTC", date(2026, 9, 5), date(2026, 9, 6)),
    ]
    for start in ("2026-03-06", "2026-03-27", "2026-04-03", "2026-09-04", "2026-10-02", "2026-10-23", "2026-10-30"):
        now = datetime.fromisoformat(start).replace(tzinfo=UTC) + timedelta(hours=5)
        for hours in range(0, 72, 7):
            begin = now + timedelta(hours=hours, seconds=20)
            minute = (begin + timedelta(minutes=1)).replace(second=0)
            while not open_at(windows, freezes, minute):
                minute += timedelta(minutes=1)
            found = next_opening(windows, freezes, begin)
            assert found is not None
            closed_before = not open_at(windows, freezes, begin)
            assert found == minute if closed_before else found >= minute, (zone, begin)


def test_two_windows_that_never_meet_never_open() -> None:
    other = Window("Asia/Tokyo", (Opening(("sat",), 0, 60),))
    assert next_opening([WEEK, other], [], at("2026-11-28T08:00")) is None
    assert told(None, BERLIN) == "never within a year"
    assert told(at("2026-11-30T09:00"), BERLIN) == "Mon 30 Nov 2026, 09:00 (Europe/Berlin)"


def test_the_gate_of_the_release_tells_the_time_and_no_other_gate_does() -> None:
    rules = PolicyRules(
        "p",
        "P",
        ("low",),
        ("production",),
        (),
        ("golden",),
        {"review": REVIEW, "release": RELEASE},
        windows=(WEEK,),
        freezes=(YEAR_END,),
    )
    full = with_signoffs(*FULL.signoffs, RELEASED)

    def judged(gate: str, now: datetime | None) -> Any:
        return evaluate(gate, rules, Facts(**{name: getattr(full, name) for name in full.__slots__} | {"now": now}))

    assert judged("release", at("2026-12-01T10:00")).open
    closed = judged("release", at("2026-11-28T10:00"))
    assert not closed.open
    assert waits_for_its_time(closed)
    assert closed.missing[0].why == "it is closed; the next opening is Mon 30 Nov 2026, 09:00 (Europe/Berlin)"
    frozen = judged("release", at("2026-12-21T10:00"))
    assert [r.title for r in frozen.missing] == ["No freeze: Year end"]
    assert "Tue 5 Jan 2027, 09:00" in frozen.missing[0].why
    assert not judged("release", None).open  # where nobody knows the time, nothing is open
    assert judged("review", at("2026-11-28T10:00")).open
    confirm = PolicyRules(
        "p",
        "P",
        ("low",),
        ("production",),
        (),
        ("golden",),
        {
            "review": REVIEW,
            "release": RELEASE,
            "confirm": Gate("confirm", signoffs=(SignOffRule("o", "validator", "approval"),)),
        },
        windows=(WEEK,),
    )
    stands = evaluate("confirm", confirm, full)
    assert next(r for r in stands.requirements if r.kind == "gate").met


@pytest.mark.parametrize(
    ("change", "wrong", "told_"),
    [
        ({"windows": [{"zone": "Europe/Berlim", "open": []}]}, "windows[0].zone", "did you mean Europe/Berlin?"),
        ({"windows": [{"zone": BERLIN, "open": []}]}, "windows[0].open", "nothing could ever"),
        ({"windows": [{"zone": "../etc/passwd", "open": []}]}, "windows[0].zone", "must be a time zone"),
        ({"windows": [{"zone": BERLIN, "open": [{"from": "9", "to": "25:00"}]}]}, "windows[0].open[0].to", "09:30"),
        (
            {"windows": [{"zone": BERLIN, "open": [{"from": "09:00", "to": "09:00"}]}]},
            "windows[0].open[0].to",
            "whole day",
        ),
        (
            {"windows": [{"zone": BERLIN, "open": [{"from": "24:00", "to": "09:00"}]}]},
            "windows[0].open[0].from",
            "before",
        ),
        (
            {"windows": [{"zone": BERLIN, "open": [{"days": ["monday"], "from": "08:00", "to": "09:00"}]}]},
            "windows[0].open[0].days",
            "did you mean mon?",
        ),
        ({"windows": {}}, "windows", "must be a list"),
        (
            {"freezes": [{"name": "x", "zone": "UTC", "from": "2026-12-24", "to": "2026-12-23"}]},
            "freezes[0].to",
            "before",
        ),
        ({"freezes": [{"name": "x", "zone": "UTC", "from": "2026-02-30", "to": 5}]}, "freezes[0].from", "2026-12-24"),
        ({"freezes": [{"name": "x", "zone": "UTC", "from": "20260201", "to": 5}]}, "freezes[0].from", "2026-12-24"),
        (
            {"freezes": [{"name": "", "zone": "UTC", "from": "2026-02-01", "to": "2026-02-01"}]},
            "freezes[0].name",
            "text",
        ),
        ({"freezes": [{"name": "x", "zone": "UTC", "until": "2026-02-01"}]}, "freezes[0].until", "is not known"),
    ],
)
def test_what_is_odd_about_a_window_is_told(change: dict[str, Any], wrong: str, told_: str) -> None:
    reader = PolicyReader()
    reader.policy(GOOD | change)
    assert told_ in reader.mistakes[wrong], reader.mistakes
