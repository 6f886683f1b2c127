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


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"colour": "red"}, "bindings.colour"),
        ({"mode": "sometimes"}, "bindings.mode"),
        ({"slot": "second"}, "bindings.slot"),
        ({"consumers": "Ward"}, "bindings.consumers"),
        ({"consumers": [1]}, "bindings.consumers"),
        ({"consumers": [""]}, "bindings.consumers"),
        ({"consumers": ["x" * 121]}, "bindings.consumers"),
        ({"schedule": {"cron": "0 2 * * *", "zone": "UTC"}}, "bindings.schedule"),
        (RUN | {"schedule": {"cron": "0 2 * * *", "zone": "UTC"}}, "bindings.schedule"),
        ({"outputs": []}, "bindings.outputs"),
        ({"letters": {"stream": "letters"}}, "bindings.letters"),
        (RUN | {"output": {}}, "bindings.output"),
        (RUN | {"outputs": []}, "bindings.outputs"),
        (RUN | {"outputs": {"stream": "scores"}}, "bindings.outputs"),
        (RUN | {"outputs": [{"stream": f"s{number}"} for number in range(MOST_SINKS + 1)]}, "bindings.outputs"),
        (RUN | {"outputs": [{"stream": "scores"}, {"stream": "scores"}]}, "bindings.outputs"),
        (RUN | {"letters": {"stream": "scores"}}, "bindings.letters"),
        (RUN | {"letters": {}}, "bindings.letters"),
        (RUN | {"input": {}}, "bindings.input"),
        (RUN | {"input": "patients"}, "bindings.input"),
        (RUN | {"input": {"stream": ""}}, "bindings.input"),
        (RUN | {"input": {"stream": 7}}, "bindings.input"),
        (RUN | {"input": {"stream": "s" * 51}}, "bindings.input"),
        (RUN | {"input": {"stream": "patients", "colour": "red"}}, "bindings.input"),
        (RUN | {"outputs": [{"stream": "scores", "fields": "label"}]}, "bindings.outputs[0].fields"),
        (RUN | {"outputs": [{"stream": "a"}, {"stream": "b", "fields": [1]}]}, "bindings.outputs[1].fields"),
        (RUN | {"outputs": [{"stream": "b", "fields": ["f"] * 501}]}, "bindings.outputs[0].fields"),
        ({"input": "http"}, "bindings.input"),
        ({"output": {"colour": "red"}}, "bindings.output"),
        ({"output": {"transport": "pigeon"}}, "bindings.output"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_bindings(raw)
    assert any(found.startswith(field) for found in refusal.value.fields), refusal.value.fields
