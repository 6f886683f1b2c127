"""What bindings may say, and what is usual where they say nothing."""

from typing import Any

import pytest

from handoff.errors import Invalid
from handoff.rules.bindings import LETTERS, MOST_SINKS, read_bindings, streams_in

USUAL = {"transport": "http", "encoding": "json"}
RUN: dict[str, Any] = {"mode": "stream", "input": {"stream": "patients"}, "outputs": [{"stream": "scores"}]}


def test_nothing_said_is_request_and_reply() -> None:
    found = read_bindings({})
    assert found == {"slot": "main", "mode": "request_reply", "input": USUAL, "output": USUAL, "consumers": []}
    assert streams_in(found) == []
    names = ["x", "x" * 120]
    assert read_bindings({"slot": "main", "mode": "request_reply", "consumers": names})["consumers"] == names


def test_a_run_names_its_streams() -> None:
    told = RUN | {
        "mode": "batch",
        "outputs": [{"stream": "scores", "fields": ["label"]}, {"stream": "s" * 50, "fields": None}],
        "letters": {"stream": "letters"},
        "consumers": ["Ward"],
        "schedule": {"cron": "0 2 * * *", "zone": "UTC"},
    }
    found = read_bindings(told)
    assert found == {
        "slot": "main",
        "mode": "batch",
        "input": {"stream": "patients"},
        "outputs": [{"stream": "scores", "fields": ["label"]}, {"stream": "s" * 50, "fields": []}],
        "letters": {"stream": "letters"},
        "consumers": ["Ward"],
        "schedule": {"cron": "0 2 * * *", "zone": "UTC"},
    }
    assert read_bindings(found) == found
    assert [(place, way, one["stream"]) for place, way, one in streams_in(found)] == [
        ("bindings.input", "source", "patients"),
        ("bindings.outputs[0]", "sink", "scores"),
        ("bindings.outputs[1]", "sink", "s" * 50),
        (LETTERS, "sink", "letters"),
    ]
    assert [place for place, _, _ in streams_in(read_bindings(RUN))] == ["bindings.input", "bindings.outputs[0]"]
    pinned = {"stream": "patients", "fields": [], "transport": "file", "encoding": "json", "digest": "a"}
    assert read_bindings(RUN | {"input": pinned})["input"] == {"stream": "patients"}
    most = [{"stream": f"s{number}"} for number in range(MOST_SINKS)]
    assert len(read_bindings(RUN | {"outputs": most})["outputs"]) == MOST_SINKS
    fields = ["f"] * 500
    assert read_bindings(RUN | {"outputs": [{"stream": "s", "fields": fields}]})["outputs"][0]["fields"] == fields


def test_requests_and_replies_go_over_http() -> None:
    sides = {"input": {"encoding": "binary"}, "output": {"transport": "http", "encoding": "json"}}
    found = read_bindings(sides)
    assert (found["input"], found["output"]) == ({"transport": "http", "encoding": "binary"}, USUAL)
    assert read_bindings(found) == found


STREAM = 'must be {"stream": "<short name>"}'
NAMES = "must be a list of names"
SINKS = f"must list 1 to {MOST_SINKS} sinks of the target"
NIGHTLY = {"cron": "0 2 * * *", "zone": "UTC"}


@pytest.mark.parametrize(
    ("raw", "place", "told"),
    [
        ({"colour": "red"}, "colour", "is not known"),
        ({"mode": "sometimes"}, "mode", "must be request_reply, batch or stream"),
        ({"slot": "second"}, "slot", "must be main"),
        ({"slot": None}, "slot", "must be main"),
        ({"consumers": "Ward"}, "consumers", NAMES),
        ({"consumers": [1]}, "consumers", NAMES),
        ({"consumers": ["Ward", ""]}, "consumers", NAMES),
        ({"consumers": ["x" * 121]}, "consumers", NAMES),
        (RUN | {"consumers": [None]}, "consumers", NAMES),
        ({"schedule": NIGHTLY}, "schedule", "needs the mode batch"),
        (RUN | {"schedule": NIGHTLY}, "schedule", "needs the mode batch"),
        ({"outputs": []}, "outputs", "needs the mode batch or stream"),
        ({"letters": {"stream": "letters"}}, "letters", "needs the mode batch or stream"),
        (RUN | {"output": {}}, "output", "is written as outputs, a list"),
        ({"mode": "batch", "input": {"stream": "patients"}}, "outputs", SINKS),
        (RUN | {"outputs": []}, "outputs", SINKS),
        (RUN | {"outputs": {"stream": "scores"}}, "outputs", SINKS),
        (RUN | {"outputs": [{"stream": f"s{number}"} for number in range(MOST_SINKS + 1)]}, "outputs", SINKS),
        (RUN | {"outputs": [{"stream": "scores"}, {"stream": "scores"}]}, "outputs", "names a sink twice"),
        (RUN | {"outputs": [{"stream": "scores"}, {}]}, "outputs[1]", STREAM),
        (
            RUN | {"letters": {"stream": "scores"}},
            "letters",
            "is a sink of outputs already; what was not scored has other fields",
        ),
        (RUN | {"letters": {}}, "letters", STREAM),
        ({"mode": "stream", "outputs": [{"stream": "scores"}]}, "input", STREAM),
        (RUN | {"input": {}}, "input", STREAM),
        (RUN | {"input": []}, "input", STREAM),
        (RUN | {"input": "patients"}, "input", STREAM),
        (RUN | {"input": {"stream": ""}}, "input", STREAM),
        (RUN | {"input": {"stream": 7}}, "input", STREAM),
        (RUN | {"input": {"stream": "s" * 51}}, "input", STREAM),
        (RUN | {"input": {"stream": "patients", "colour": "red"}}, "input", STREAM),
        (RUN | {"outputs": [{"stream": "scores", "fields": "label"}]}, "outputs[0].fields", NAMES),
        (RUN | {"outputs": [{"stream": "scores", "fields": {"label": 1}}]}, "outputs[0].fields", NAMES),
        (RUN | {"outputs": [{"stream": "a"}, {"stream": "b", "fields": ["c", 1]}]}, "outputs[1].fields", NAMES),
        (RUN | {"outputs": [{"stream": "b", "fields": ["f"] * 501}]}, "outputs[0].fields", NAMES),
        ({"input": "http"}, "input", "is not a stream"),
        ({"input": []}, "input", "is not a stream"),
        ({"output": {"colour": "red"}}, "output", "is not a stream"),
        ({"output": {"transport": "pigeon"}}, "output", "must be http, json or binary"),
        ({"input": {"encoding": "xml"}}, "input", "must be http, json or binary"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(raw: dict[str, Any], place: str, told: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings(raw)
    assert refusal.value.fields == {f"bindings.{place}": told}


def test_all_that_is_not_known_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings({"size": 1, "mode": "batch", "colour": "red"})
    assert list(refusal.value.fields) == ["bindings.colour", "bindings.size"]


def test_a_second_slot_is_refused_with_what_to_do() -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings({"slot": "second"})
    assert (refusal.value.code, refusal.value.todo) == ("slot_unknown", "Leave the slot out, or write main.")


def test_a_schedule_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings(RUN | {"mode": "batch", "schedule": NIGHTLY | {"cron": "sometimes"}})
    assert list(refusal.value.fields) == ["bindings.schedule.cron"]
