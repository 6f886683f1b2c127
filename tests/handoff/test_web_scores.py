"""Arriving scores, drawn: the paths say what the figures say, and an engine's odd words break no page."""

import copy
from typing import Any

import pytest

from handoff.web.scores import SLOTS, Plot, Scores, scores_of

FIRST = 1_790_000_000
RUN: dict[str, Any] = {
    "state": "running",
    "told_at": "2026-09-21T14:23:25+00:00",  # 1_790_000_605 s
    "scores": {
        "every_s": 10,
        "fields": {"label": "label", "risk": "number"},
        "intervals": [
            {"at": FIRST, "count": 1, "fields": {}},
            {
                "at": FIRST + 20,
                "count": 4,
                "fields": {
                    "label": {"labels": {"good": 3, "bad": 1}},
                    "risk": {"count": 4, "mean": 0.25, "min": 0.0, "max": 1.0},
                },
            },
            {
                "at": FIRST + 30,
                "count": 2,
                "fields": {
                    "label": {"labels": {"good": 2}},
                    "risk": {"count": 2, "mean": 0.75, "min": 0.5, "max": 1.0},
                },
            },
            {"at": FIRST + 600, "count": 1, "fields": {"risk": {"count": 1, "mean": 0.5, "min": 0.5, "max": 0.5}}},
        ],
    },
}


def drawn(run: dict[str, Any] = RUN) -> Scores:
    found = scores_of(run)
    assert found is not None
    return found


def plots(run: dict[str, Any] = RUN) -> dict[str, Plot]:
    return {one.title: one for one in drawn(run).plots}


def test_ten_minutes_are_shown_and_older_intervals_are_not() -> None:
    found = drawn()
    assert (found.end - found.begin).total_seconds() == SLOTS * 10
    assert [line.count for line in found.lines] == [1, 2, 4]
    assert found.lines[0].at > found.lines[1].at
    assert found.lines[1].cells == ("good 2", "0.75 (0.5 to 1)")
    assert found.lines[0].cells == ("none", "0.5 (0.5 to 0.5)")


def test_the_count_is_a_bar_for_each_interval() -> None:
    plot = plots()["Records scored"]
    assert plot.words == "7 records, at most 4 in 10 seconds"
    assert (plot.top, plot.bottom) == ("4", "0")
    assert plot.bars == (
        "M10.0 100.00V0.00H19.0V100.00ZM20.0 100.00V50.00H29.0V100.00ZM590.0 100.00V75.00H599.0V100.00Z"
    )


def test_numbers_are_a_line_of_means_in_a_band_that_breaks_off_where_nothing_came() -> None:
    plot = plots()["risk"]
    assert plot.words == "mean 0.4286, from 0 to 1"
    assert plot.line == "M10.0 75.00H20.0V25.00H30.0M590.0 50.00H600.0"
    assert plot.band == ("M10.0 100.00V0.00H20.0V100.00ZM20.0 50.00V0.00H30.0V50.00ZM590.0 50.50V50.00H600.0V50.50Z")


def test_labels_are_shares_of_each_interval() -> None:
    plot = plots()["label"]
    assert [(one.name, one.count) for one in plot.labels] == [("good", 5), ("bad", 1)]
    assert plot.words == "good 83%, bad 17%"
    assert plot.labels[0].path == "M10.0 100.00V25.00H19.0V100.00ZM20.0 100.00V0.00H29.0V100.00Z"
    assert plot.labels[1].path == "M10.0 25.00V0.00H19.0V25.00Z"


def test_many_labels_are_five_shades() -> None:
    run = copy.deepcopy(RUN)
    run["scores"]["intervals"][1]["fields"]["label"]["labels"] = {f"l{at}": 10 - at for at in range(9)}
    assert [one.name for one in plots(run)["label"].labels] == ["l0", "l1", "l2", "l3", "all others"]


def test_a_single_value_has_an_axis_too() -> None:
    run = copy.deepcopy(RUN)
    del run["scores"]["intervals"][:3]
    assert (plots(run)["risk"].bottom, plots(run)["risk"].top) == ("-0.5", "1.5")
    assert plots(run)["label"].words == "no value came"


ODD: list[tuple[str, Any]] = [
    ("scores", None),
    ("scores", []),
    ("scores", {}),
    ("scores", {"every_s": 0, "fields": {}, "intervals": []}),
    ("scores", {"every_s": 10, "fields": {}, "intervals": []}),
    ("scores", {"every_s": 10, "fields": {}, "intervals": [{"at": FIRST + 600}]}),
    ("scores", {"every_s": 10, "fields": {}, "intervals": [{"at": FIRST + 600, "count": 0, "fields": {}}]}),
    ("scores", {"every_s": 10, "fields": {}, "intervals": [{"at": "now", "count": 1, "fields": {}}]}),
    (
        "scores",
        {"every_s": 10, "fields": {"a": "number"}, "intervals": [{"at": FIRST + 600, "count": 1, "fields": {"a": 1}}]},
    ),
    ("told_at", "soon"),
    ("told_at", None),
]


@pytest.mark.parametrize(("key", "value"), ODD)
def test_what_cannot_be_read_is_not_drawn(key: str, value: Any) -> None:
    assert scores_of({**RUN, key: value}) is None


def test_a_run_that_told_none_has_none() -> None:
    assert scores_of({}) is None
