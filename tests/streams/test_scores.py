"""The figures of arriving scores: right whatever the batches, bounded, and taken up again."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.schemas import Schema
from engine.streams.rows import Rows
from engine.streams.scores import EVERY_S, INTERVALS, LONGEST_LABEL, MOST_FIELDS, MOST_LABELS, OTHER, Scores

OUTPUTS = Schema.parse(
    {
        "type": "record",
        "name": "out",
        "fields": [
            {"name": "label", "type": "string"},
            {"name": "risk", "type": ["null", "double"]},
            {"name": "sick", "type": "boolean"},
            {"name": "parts", "type": {"type": "array", "items": "double"}},
        ],
    }
)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def rows(*risks: float | None, label: str = "a") -> Rows:
    records: list[dict[str, Any]] = [{"label": label, "risk": one, "sick": bool(one), "parts": [1.0]} for one in risks]
    return Rows(OUTPUTS, [str(at) for at in range(len(records))], records=records)


def test_each_interval_has_its_figures() -> None:
    clock = Clock()
    scores = Scores(OUTPUTS, now=clock)
    scores.add(rows(0.0, 0.5))
    scores.add(rows(1.0, None, label="b"))
    clock.at += EVERY_S
    scores.add(rows(0.25))
    scores.add(rows())
    told = scores.told()
    assert told["every_s"] == EVERY_S
    assert told["fields"] == {"label": "label", "risk": "number", "sick": "label"}
    assert told["intervals"] == [
        {
            "at": 1_000_000,
            "count": 4,
            "fields": {
                "label": {"labels": {"a": 2, "b": 2}},
                "risk": {"count": 3, "mean": 0.5, "min": 0.0, "max": 1.0},
                "sick": {"labels": {"false": 2, "true": 2}},
            },
        },
        {
            "at": 1_000_010,
            "count": 1,
            "fields": {
                "label": {"labels": {"a": 1}},
                "risk": {"count": 1, "mean": 0.25, "min": 0.25, "max": 0.25},
                "sick": {"labels": {"true": 1}},
            },
        },
    ]


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), max_size=8))
def test_the_mean_is_that_of_all_values_whatever_the_batches(batches: list[list[float]]) -> None:
    scores = Scores(OUTPUTS, now=Clock())
    for one in batches:
        scores.add(rows(*one))
    values = [value for one in batches for value in one]
    if not values:
        assert scores.told()["intervals"] == []
        return
    figures = scores.told()["intervals"][0]["fields"]["risk"]
    assert (figures["count"], figures["min"], figures["max"]) == (len(values), min(values), max(values))
    exact = math.fsum(value / len(values) for value in values)
    assert math.isclose(figures["mean"], exact, rel_tol=1e-9, abs_tol=1e-9 * max(map(abs, values)))
    json.dumps(scores.told(), allow_nan=False)


def test_places_of_a_list_and_few_numbers_are_followed_for_what_they_are() -> None:
    fields: list[dict[str, Any]] = [
        {"name": "stage", "type": "long", "allowed": [0, 1]},
        {"name": "chances", "type": {"type": "array", "items": "double"}, "size": 2},
    ]
    outputs = Schema.parse({"type": "record", "name": "out", "fields": fields})
    scores = Scores(outputs, now=Clock())
    records: list[dict[str, Any]] = [{"stage": 0, "chances": [0.75, 0.25]}, {"stage": 1, "chances": [0.25, 0.75]}]
    scores.add(Rows(outputs, ["a", "b"], records=records))
    told = scores.told()
    assert told["fields"] == {"stage": "label", "chances[0]": "number", "chances[1]": "number"}
    assert told["intervals"][0]["fields"] == {
        "stage": {"labels": {"0": 1, "1": 1}},
        "chances[0]": {"count": 2, "mean": 0.5, "min": 0.25, "max": 0.75},
        "chances[1]": {"count": 2, "mean": 0.5, "min": 0.25, "max": 0.75},
    }


def test_what_is_kept_is_bounded() -> None:
    clock = Clock()
    scores = Scores(OUTPUTS, now=clock)
    for at in range(INTERVALS + 5):
        clock.at += EVERY_S
        scores.add(rows(1.0, label=f"{at}" * 100))
    for at in range(MOST_LABELS + 5):
        scores.add(rows(1.0, label=f"label {at}"))
    intervals = scores.told()["intervals"]
    assert len(intervals) == INTERVALS
    labels = intervals[-1]["fields"]["label"]["labels"]
    assert len(labels) == MOST_LABELS + 1
    assert labels[OTHER] == 6
    assert max(map(len, labels)) == LONGEST_LABEL
    wide = {"type": "record", "name": "w", "fields": [{"name": f"f{at}", "type": "double"} for at in range(20)]}
    assert list(Scores(Schema.parse(wide)).told()["fields"]) == [f"f{at}" for at in range(MOST_FIELDS)]


def test_a_clock_that_is_set_back_opens_no_second_interval() -> None:
    clock = Clock()
    scores = Scores(OUTPUTS, now=clock)
    scores.add(rows(1.0))
    clock.at -= 3600
    scores.add(rows(1.0))
    assert [one["count"] for one in scores.told()["intervals"]] == [2]


def test_it_goes_on_behind_what_was_told() -> None:
    clock = Clock()
    before = Scores(OUTPUTS, now=clock)
    before.add(rows(1.0, label="b"))
    after = Scores(OUTPUTS, now=clock)
    after.take_up(json.loads(json.dumps(before.told())))
    after.add(rows(0.0))
    (interval,) = after.told()["intervals"]
    assert interval["count"] == 2
    assert interval["fields"]["risk"] == {"count": 2, "mean": 0.5, "min": 0.0, "max": 1.0}
    assert interval["fields"]["label"] == {"labels": {"a": 1, "b": 1}}


def test_figures_of_other_outputs_are_not_taken_up() -> None:
    told = {"every_s": EVERY_S, "fields": {"other": "number"}, "intervals": [{"at": 0, "count": 1, "fields": {}}]}
    scores = Scores(OUTPUTS, now=Clock())
    scores.take_up(told)
    assert scores.told()["intervals"] == []
