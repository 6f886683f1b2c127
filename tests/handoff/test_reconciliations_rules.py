"""What an engine serves against what the records say: each difference alone, and what is none."""

from dataclasses import replace
from typing import Any

import pytest

from handoff.plans import EngineAnswer, Running, Served
from handoff.rules.reconciliations import (
    LONGEST_SUBJECT,
    Difference,
    Wanted,
    compare,
    counted,
    lasting,
    read,
    silent,
    subject_of,
)

LIVE = Wanted("deployment", "handoff", "tumours", "7", "a" * 64, 5)
BATCH = replace(LIVE, bound="b" * 64, batches=("nightly",))
SERVED = Served("tumours", "7", "a" * 64, 5, ready=True)
RUN = Running("tumours", "deployment", "going", "b" * 64)
OTHER = {"digest": "c" * 64, "version": "6"}


def found(wanted: Wanted, *answer: Served | Running, elsewhere: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """Return the codes and words of what differs, and of which deployment."""
    served = tuple(one for one in answer if isinstance(one, Served))
    runs = tuple(one for one in answer if isinstance(one, Running))
    return [(one.code, one.words, one.deployment) for one in compare([wanted], EngineAnswer(served, runs), elsewhere)]


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (LIVE, (SERVED,)),
        (LIVE, (replace(SERVED, order=6),)),
        (LIVE, (SERVED, RUN)),  # nobody knows what its run should be bound to
        (BATCH, (SERVED, RUN)),
        (BATCH, (SERVED, replace(RUN, bound=""))),
        (BATCH, (SERVED, RUN, replace(RUN, run="nightly"))),
        (replace(LIVE, also=("c" * 64,)), (replace(SERVED, **OTHER, order=4),)),
        (replace(LIVE, suspended=True), ()),
        (replace(LIVE, suspended=True), (replace(SERVED, ready=False),)),
        (replace(LIVE, suspended=True, also=("c" * 64,)), (replace(SERVED, **OTHER),)),
        (replace(LIVE, suspended=True, also=("a" * 64,)), (SERVED,)),  # the same version is being put there anew
    ],
)
def test_nothing_differs(wanted: Wanted, answer: Any) -> None:
    assert found(wanted, *answer) == []


@pytest.mark.parametrize(
    ("wanted", "answer", "code", "words"),
    [
        (LIVE, (), "nothing", "serves nothing; version 7 is live by the records"),
        (
            LIVE,
            (replace(SERVED, ready=False),),
            "nothing",
            "serves nothing; version 7 is not ready: it is still being loaded",
        ),
        (
            LIVE,
            (replace(SERVED, ready=False, reason="no memory"),),
            "nothing",
            "serves nothing; version 7 is not ready: no memory",
        ),
        (LIVE, (replace(SERVED, **OTHER),), "another", f"serves another digest: version 6, {'c' * 12}…"),
        (
            replace(LIVE, suspended=True),
            (replace(SERVED, **OTHER),),
            "another",
            f"serves another digest: version 6, {'c' * 12}…",
        ),
        (LIVE, (replace(SERVED, order=4),), "older", "serves an older order: 4, and the records say 5"),
        (replace(LIVE, suspended=True), (SERVED,), "unstopped", "answers, though version 7 is suspended"),
        (BATCH, (SERVED,), "no_run", "its run over streams does not go"),
        (
            BATCH,
            (SERVED, replace(RUN, bound="d" * 64)),
            "other_streams",
            "runs over other streams than its bindings name",
        ),
    ],
)
def test_one_thing_differs(wanted: Wanted, answer: Any, code: str, words: str) -> None:
    assert found(wanted, *answer) == [(code, words, "deployment")]


def test_an_order_under_way_may_be_older_and_a_run_over_others_is_no_run_of_ours() -> None:
    assert found(replace(LIVE, also=("c" * 64,)), replace(SERVED, order=4)) == []
    stray = replace(RUN, run="0123456789abc")
    told = "runs what nobody approved: the run 01234567 of tumours"
    assert found(LIVE, SERVED, stray) == [("stray_run", told, "deployment")]
    assert found(LIVE, SERVED, stray, elsewhere=("0123456789abc",)) == []
    [of_nobody] = compare([LIVE], EngineAnswer((SERVED,), (replace(stray, model="fraud"),)))
    assert (of_nobody.model, of_nobody.deployment, of_nobody.handoff) == ("fraud", "", "")
    [of_a_model] = compare([LIVE], EngineAnswer((SERVED,), (stray,)))
    assert (of_a_model.deployment, of_a_model.handoff) == ("deployment", "handoff")


def test_what_is_suspended_runs_nothing() -> None:
    stopped = replace(BATCH, suspended=True)
    assert [code for code, _, _ in found(stopped, RUN, replace(RUN, run="nightly"))] == ["stray_run", "stray_run"]


def test_what_nobody_approved_is_a_stranger_unless_somebody_else_accounts_for_it() -> None:
    stranger = replace(SERVED, model="fraud", version="3")
    told = f"serves what nobody approved: fraud version 3, {'a' * 12}…"
    assert found(LIVE, SERVED, stranger) == [("stranger", told, "")]
    assert found(LIVE, SERVED, stranger, elsewhere=("fraud",)) == []


def test_an_engine_that_is_silent_is_told_for_each_model() -> None:
    rows = silent([LIVE, replace(LIVE, model="fraud", deployment="d2", handoff="h2")], "timed out")
    assert [(one.code, one.model, one.deployment, one.handoff) for one in rows] == [
        ("silent", "tumours", "deployment", "handoff"),
        ("silent", "fraud", "d2", "h2"),
    ]
    assert {one.words for one in rows} == {"engine not reachable: timed out"}


def test_what_was_seen_twice_in_a_row_lasts() -> None:
    first = counted([Difference("nothing", "tumours", "w", "d")], [], answered=True)
    assert ([one.looks for one in first], lasting(first)) == ([1], [])
    kept = [{"code": one.code, "model": one.model, "words": one.words, "deployment": "d", "looks": 1} for one in first]
    second = counted([Difference("nothing", "tumours", "other words", "d")], kept, answered=True)
    assert [(one.looks, one.words) for one in lasting(second)] == [(2, "other words")]
    assert counted([Difference("nothing", "tumours", "w", "d2")], kept, answered=True)[0].looks == 1
    assert counted([], kept, answered=True) == []


def test_silence_proves_nothing_of_what_was_seen_before() -> None:
    before = [
        {"code": "nothing", "model": "tumours", "words": "w", "deployment": "d", "looks": 3},
        {"code": "silent", "model": "tumours", "words": "w", "deployment": "d", "looks": 3},
    ]
    now = counted([Difference("silent", "fraud", "w", "e")], before, answered=False)
    assert [(one.code, one.model, one.looks) for one in now] == [("silent", "fraud", 1), ("nothing", "tumours", 3)]
    again = counted([Difference("nothing", "tumours", "w", "d")], before, answered=False)
    assert [(one.code, one.looks) for one in again] == [("nothing", 4)]


def test_each_difference_has_a_subject_of_its_own_and_a_severity() -> None:
    assert subject_of(Difference("nothing", "tumours", "")) == "served:nothing:tumours"
    exactly = "m" * (LONGEST_SUBJECT - len("served:nothing:"))
    assert subject_of(Difference("nothing", exactly, "")) == f"served:nothing:{exactly}"
    long_ = [subject_of(Difference("nothing", "m" * 60 + last, "")) for last in "ab"]
    assert long_[0] != long_[1]
    assert {len(one) for one in long_} == {LONGEST_SUBJECT}
    assert [read({"code": code, "model": "m", "words": ""}).severity for code in ("older", "stranger")] == [
        "medium",
        "high",
    ]
