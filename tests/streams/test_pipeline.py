"""A version over a stream: each record ends at every sink, or as a letter with its reason, whatever fails."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StreamError
from engine.formats import open_model
from engine.schemas import Schema
from engine.streams.dead_letters import LETTER, DeadLetters
from engine.streams.deliveries import Patience
from engine.streams.opening import open_sink, open_source
from engine.streams.pipeline import FAULT, Counts, Outlet, Pipeline, fault_of
from engine.streams.rows import Rows
from engine.streams.scoring import BatchScorer
from engine.streams.transports import Sink, Source
from tests.engine.conftest import CLASSES, NAMES, Trained, input_schema
from tests.streams.places import EVERYWHERE, Receiver, parse_stream, valkey_url

INPUTS = Schema.parse(input_schema(minimum=0.0))
OUTPUTS = Schema.parse(CLASSES)


@pytest.fixture
def scorer(classifier: Trained) -> BatchScorer:
    return BatchScorer(open_model(classifier.onnx, "onnx", INPUTS, OUTPUTS), INPUTS, OUTPUTS)


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    place = {"transport": "file", "encoding": "json_lines", "location": {"url": f"file://{tmp_path}/letters"}}
    return DeadLetters(open_sink(parse_stream(place, "out", LETTER), LETTER, reach=EVERYWHERE))


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        files = sorted((tmp_path / "letters").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    return read


def source_of(content: dict[str, Any], **options: Any) -> Source:
    return open_source(parse_stream(content, "in", INPUTS), INPUTS, reach=EVERYWHERE, **options)


def outlet(content: dict[str, Any]) -> Outlet:
    stream = parse_stream(content, "out", OUTPUTS)
    return Outlet(open_sink(stream, OUTPUTS, reach=EVERYWHERE), stream.fields)


def a_csv(path: Path, records: list[dict[str, Any]]) -> dict[str, Any]:
    lines = [",".join(NAMES), *(",".join(str(record[name]) for name in NAMES) for record in records)]
    path.write_text("\n".join(lines) + "\n")
    return {"transport": "file", "encoding": "csv", "location": {"url": f"file://{path}"}, "batch": {"records": 10}}


class Memory:
    """A sink that remembers; it can be made slow, or to fail some times or for ever."""

    def __init__(self, *, pause: float = 0, failures: float = 0) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.closed = False
        self._pause, self._failures = pause, failures

    def write(self, rows: Rows) -> None:
        time.sleep(self._pause)
        if self._failures > 0:
            self._failures -= 1
            raise StreamError("unreachable", "It does not answer.")
        self.got += list(zip(rows.keys, rows.records, strict=True))

    def close(self) -> None:
        self.closed = True


def test_a_file_goes_to_three_sinks_with_their_own_fields(
    tmp_path: Path, classifier: Trained, scorer: BatchScorer, letters: DeadLetters, receiver: Receiver
) -> None:
    records: list[dict[str, Any]] = classifier.records(25)
    with sqlite3.connect(tmp_path / "scores.db") as connection:
        connection.execute("create table scores (record_key text primary key, label bigint)")
    table, hook = {"url": f"sqlite://{tmp_path}/scores.db", "table": "scores"}, {"url": receiver.url}
    outlets = {
        "table": outlet({"transport": "sql", "fields": ["label"], "location": table}),
        "files": outlet({"transport": "file", "encoding": "parquet", "location": {"url": f"file://{tmp_path}/scored"}}),
        "hook": outlet({"transport": "http", "encoding": "json", "location": hook, "fields": ["probabilities"]}),
    }
    counts = Pipeline(source_of(a_csv(tmp_path / "in.csv", records)), scorer, outlets, letters).run(threading.Event())
    assert counts == {("read", ""): 25, ("scored", ""): 25} | {("delivered", name): 25 for name in outlets}
    expected = [int(label) for label in classifier.estimator.predict(classifier.x[:25])]
    with sqlite3.connect(tmp_path / "scores.db") as connection:
        labels = connection.execute("select label from scores order by cast(substr(record_key, 8) as int)").fetchall()
    assert [label for (label,) in labels] == expected
    assert len(list((tmp_path / "scored").iterdir())) == 3
    assert receiver.records[0].keys() == {"record_key", "probabilities"}
    assert not list((tmp_path / "letters").iterdir())


def test_rejects_are_counted_by_cause_and_kept_with_their_reason(
    tmp_path: Path,
    classifier: Trained,
    scorer: BatchScorer,
    letters: DeadLetters,
    kept: Callable[[], list[dict[str, Any]]],
) -> None:
    records: list[dict[str, Any]] = classifier.records(4)
    records[1] = {**records[1], "texture": -1.0}
    records[2] = {**records[2], "radius": "1,5"}
    sink = Memory()
    place = {"transport": "inline", "location": {"records": [*records, {**records[0], "extra": 1}]}}
    counts = Pipeline(source_of(place), scorer, {"memory": Outlet(sink)}, letters).run(threading.Event())
    assert counts["scored", ""] == 2
    assert (counts["rejected", "constraint"], counts["rejected", "schema"]) == (1, 2)
    assert {name: n for (how, name), n in counts.items() if how == FAULT} == {
        fault_of("constraint", "minimum", "texture"): 1,
        fault_of("schema", "type", "radius"): 1,
        fault_of("schema", "unknown_field", ""): 1,  # a name that only the record knows
    }
    assert [key for key, _ in sink.got] == ["inline/0", "inline/3"]
    told = {(one["record_key"], one["cause"], one["rule"], one["field"]) for one in kept()}
    assert told == {
        ("inline/1", "constraint", "minimum", "texture"),
        ("inline/2", "schema", "type", "radius"),
        ("inline/4", "schema", "unknown_field", "extra"),
    }
    assert json.loads(kept()[0]["record"])


def test_a_dead_sink_stops_no_other_and_loses_nothing(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters, kept: Callable[[], list[dict[str, Any]]]
) -> None:
    place = {"transport": "inline", "location": {"records": classifier.records(60)}, "batch": {"records": 5}}
    dead, alive = Memory(failures=float("inf")), Memory()
    outlets = {"dead": Outlet(dead), "alive": Outlet(alive)}
    started = time.monotonic()
    pipeline = Pipeline(source_of(place), scorer, outlets, letters, patience=Patience(batches=4, seconds=0.3))
    counts = pipeline.run(threading.Event())
    assert time.monotonic() - started < 5
    assert (counts["dead", "dead"], counts["delivered", "alive"]) == (60, 60)
    assert sum(counts[FAULT, fault_of("delivery", rule, "dead")] for rule in ("unreachable", "buffer_full")) == 60
    assert Counter(one["record_key"] for one in kept()) == Counter(f"inline/{at}#dead" for at in range(60))
    assert {(one["sink"], one["cause"], one["rule"]) for one in kept()} == {("dead", "delivery", "unreachable")}
    assert dead.closed
    assert alive.closed


def test_two_dead_sinks_have_a_letter_each_for_every_record(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters, kept: Callable[[], list[dict[str, Any]]]
) -> None:
    place = {"transport": "inline", "location": {"records": classifier.records(6)}, "batch": {"records": 3}}
    outlets = {name: Outlet(Memory(failures=float("inf"))) for name in ("first", "second")}
    patience = Patience(batches=4, seconds=0.1)
    Pipeline(source_of(place), scorer, outlets, letters, patience=patience).run(threading.Event())
    told = sorted((one["record_key"], one["sink"]) for one in kept())
    assert told == [(f"inline/{at}#{sink}", sink) for at in range(6) for sink in ("first", "second")]


def test_a_sink_that_comes_back_in_time_gets_everything(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters, kept: Callable[[], list[dict[str, Any]]]
) -> None:
    place = {"transport": "inline", "location": {"records": classifier.records(20)}, "batch": {"records": 5}}
    sink = Memory(failures=3)
    counts = Pipeline(source_of(place), scorer, {"s": Outlet(sink)}, letters).run(threading.Event())
    assert (counts["delivered", "s"], counts["dead", "s"]) == (20, 0)
    assert [key for key, _ in sink.got] == [f"inline/{at}" for at in range(20)]
    assert not kept()


def test_a_slow_sink_holds_up_an_endless_stream_no_further_than_its_buffer(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters, kept: Callable[[], list[dict[str, Any]]]
) -> None:
    place = {"transport": "inline", "location": {"records": classifier.records(60)}, "batch": {"records": 1}}
    source = source_of(place)
    source.endless = True
    slow, quick = Memory(pause=0.05), Memory()
    outlets = {"slow": Outlet(slow), "quick": Outlet(quick)}
    counts = Pipeline(source, scorer, outlets, letters, patience=Patience(batches=4)).run(threading.Event())
    assert counts["delivered", "quick"] == 60
    assert counts["delivered", "slow"] + counts["dead", "slow"] == 60
    assert {one["rule"] for one in kept()} == {"buffer_full"}
    assert len(kept()) == counts["dead", "slow"]


def test_nothing_is_acknowledged_before_every_sink_has_it(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters
) -> None:
    place = {"transport": "inline", "location": {"records": classifier.records(20)}, "batch": {"records": 5}}
    saved: list[Any] = []
    slow = Memory(pause=0.02)
    seen: list[tuple[int, int]] = []

    def save(position: Any, _: Counts) -> None:
        seen.append((position, len(slow.got)))
        saved.append(position)

    Pipeline(source_of(place), scorer, {"slow": Outlet(slow), "quick": Outlet(Memory())}, letters, saved=save).run(
        threading.Event()
    )
    assert saved == [5, 10, 15, 20]
    assert all(position <= delivered for position, delivered in seen)


def test_without_a_place_for_letters_the_run_fails_and_acknowledges_nothing(
    classifier: Trained, scorer: BatchScorer
) -> None:
    place = {"transport": "inline", "location": {"records": [{}, *classifier.records(1)]}}
    saved: list[Any] = []
    bad: Sink = Memory(failures=float("inf"))
    sink = Memory()
    pipeline = Pipeline(
        source_of(place),
        scorer,
        {"s": Outlet(sink)},
        DeadLetters(bad),
        saved=lambda position, _: saved.append(position),
    )
    with pytest.raises(StreamError):
        pipeline.run(threading.Event())
    assert not saved
    assert not sink.got


def test_a_stream_is_scored_to_its_end_and_stopped(
    classifier: Trained, scorer: BatchScorer, letters: DeadLetters
) -> None:
    import redis

    from tests.streams.places import unique

    name = unique("arrivals")
    client = redis.Redis.from_url(valkey_url())
    for record in classifier.records(50):
        client.xadd(name, {"record": json.dumps(record)})
    location = {"url": valkey_url(), "stream": name, "group": "scoring"}
    place = {"transport": "valkey", "encoding": "json", "location": location, "batch": {"records": 7, "seconds": 0.05}}
    sink, stop = Memory(), threading.Event()
    pipeline = Pipeline(source_of(place), scorer, {"s": Outlet(sink)}, letters)
    thread = threading.Thread(target=pipeline.run, args=(stop,))
    thread.start()
    while len(sink.got) < 50:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert client.xpending(name, "scoring")["pending"] == 0
    assert len(sink.got) == 50
