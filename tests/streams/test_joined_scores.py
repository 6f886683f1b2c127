"""Figures of several workers, joined, are those of one that saw everything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fields import Field
from engine.schemas import Schema
from engine.streams.joined_scores import joined
from engine.streams.rows import Rows
from engine.streams.scores import EVERY_S, INTERVALS, MOST_LABELS, OTHER, Scores

OUTPUTS = Schema("Score", [Field("risk", "double", nullable=True), Field("ward", "string")])


def scores_of(records: list[tuple[int, dict[str, Any]]]) -> Scores:
    """Return the figures of records, each with the second in which it was scored."""
    seconds = [0]
    found = Scores(OUTPUTS, now=lambda: seconds[0])
    for at, record in sorted(records, key=lambda one: one[0]):
        seconds[0] = at
        found.add(Rows(OUTPUTS, ["r"], records=[record]))
    return found


def close(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return bool(one == pytest.approx(other) if isinstance(one, float) else one == other)


SCORED = st.tuples(
    st.integers(0, 8 * EVERY_S),
    st.fixed_dictionaries({"risk": st.none() | st.floats(-1e6, 1e6), "ward": st.sampled_from(["north", "south"])}),
)


@given(st.lists(SCORED, max_size=30), st.lists(SCORED, max_size=30))
def test_what_two_saw_is_what_one_would_have_seen(
    first: list[tuple[int, dict[str, Any]]], second: list[tuple[int, dict[str, Any]]]
) -> None:
    both = joined(scores_of(first).told(), scores_of(second).told())
    assert close(both, scores_of([*first, *second]).told())


def test_only_the_latest_intervals_and_the_first_labels_are_kept() -> None:
    long = [(at * EVERY_S, {"risk": 1.0, "ward": f"w{at % 2}"}) for at in range(INTERVALS)]
    later = [((at + 5) * EVERY_S, {"risk": 3.0, "ward": "w0"}) for at in range(INTERVALS)]
    found = joined(scores_of(long).told(), scores_of(later).told())["intervals"]
    assert [one["at"] for one in found] == [at * EVERY_S for at in range(5, INTERVALS + 5)]
    many = [[(1, {"risk": None, "ward": f"{which}{at}"}) for at in range(MOST_LABELS)] for which in "ab"]
    [interval] = joined(*(scores_of(one).told() for one in many))["intervals"]
    labels = interval["fields"]["ward"]["labels"]
    assert labels == {**{f"a{at}": 1 for at in range(MOST_LABELS)}, OTHER: MOST_LABELS}


def test_figures_of_another_form_give_way_to_the_later_ones() -> None:
    told = scores_of([(1, {"risk": 1.0, "ward": "north"})]).told()
    assert joined(None, told) == told
    assert joined({"every_s": 60, "fields": {}, "intervals": [{"at": 0}]}, told) == told
