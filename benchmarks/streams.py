"""Measures scoring over Valkey Streams, end to end: `python -m benchmarks.streams`.

A stream of JSON records waits; a run, in a process of its own as an engine starts it, reads it as a consumer group in
batches, checks every record, scores it with a logistic regression in ONNX, checks every output, appends the outputs to
another stream, and acknowledges. Timed from the first output to the last, until nothing is left unacknowledged. Beside
it, copying from stream to stream as redis-py does it: the same batches, with nothing in between.

The shares are processor time by part of one such run: transport (the client, and both ends' JSON), check (in and out,
with the columns that it works on), and model.
"""

from __future__ import annotations

import hashlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import redis

from benchmarks.serving import ROOT
from benchmarks.table import Row, printed
from engine.formats import open_model
from engine.manifests import Element, Manifest
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.dead_letters import LETTER, DeadLetters
from engine.streams.descriptors import parse_stream
from engine.streams.opening import open_sink, open_source
from engine.streams.orders import RunOrder
from engine.streams.pipeline import Outlet, Pipeline
from engine.streams.scoring import BatchScorer

RECORDS = 200_000
BATCH = 2_000
ROUNDS = 3
GOAL = 50_000
WIDTHS = {5: GOAL, 30: None}  # fields of a record, and the goal
REACH = Reach(private=True, folders=("/",))


class Work:
    """A model over some fields, its schemas, and a folder with everything that a run needs."""

    def __init__(self, width: int, folder: Path) -> None:
        """Train and write."""
        from skl2onnx import to_onnx  # heavy, and only the parent of a benchmark needs it
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        data = load_breast_cancer()
        x = data.data[:, :width]
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, data.target)
        names = [str(name).replace(" ", "_") for name in data.feature_names[:width]]
        limits = {"minimum": 0, "maximum": 10_000}
        probabilities = {"type": {"type": "array", "items": "float"}, "size": 2, "minimum": 0.0, "maximum": 1.0}
        inputs = [{"name": name, "type": "double", **limits} for name in names]
        outputs = [{"name": "label", "type": "long", "allowed": [0, 1]}, {"name": "probabilities", **probabilities}]
        self.inputs = Schema.parse({"type": "record", "name": "inputs", "fields": inputs})
        self.outputs = Schema.parse({"type": "record", "name": "outputs", "fields": outputs})
        graph = to_onnx(fitted, x[:1].astype("f4"), options={"zipmap": False}).SerializeToString()
        self.messages = [orjson.dumps(dict(zip(names, map(float, row), strict=True))) for row in x]
        self.blobs = folder / "blobs"
        self.blobs.mkdir()
        self.digest = self._sealed(graph)

    def _sealed(self, graph: bytes) -> str:
        contents = {
            "model": graph,
            "input_schema": orjson.dumps(self.inputs.to_dict()),
            "output_schema": orjson.dumps(self.outputs.to_dict()),
        }
        elements = []
        for name, content in sorted(contents.items()):
            sha = hashlib.sha256(content).hexdigest()
            (self.blobs / sha).write_bytes(content)
            elements.append(Element(name, sha, len(content), f"{name}.bin"))
        manifest = Manifest("bench", 1, "onnx", tuple(elements))
        self.model = self.blobs / hashlib.sha256(graph).hexdigest()
        (self.blobs / manifest.digest).write_bytes(manifest.canonical())
        return manifest.digest


@contextmanager
def valkey(folder: Path) -> Iterator[redis.Redis]:
    """Start a Valkey that keeps everything in memory, on a socket."""
    from mdlc_site.local.programs import valkey_program

    address = folder / "valkey"
    options = ["--port", "0", "--unixsocket", str(address), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([valkey_program(), *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(address))
    try:
        until(lambda: _answers(client), 10)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def until(holds: Callable[[], Any], seconds: float) -> None:
    """Wait until something holds. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)


def fill(client: redis.Redis, messages: list[bytes]) -> None:
    """Put the records into a fresh stream with a group."""
    client.flushall()
    for start in range(0, RECORDS, 10_000):
        pipe = client.pipeline(transaction=False)
        for at in range(start, start + 10_000):
            pipe.xadd("in", {"record": messages[at % len(messages)]})
        pipe.execute()
    client.xgroup_create("in", "scoring", id="0")


def descriptors(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return source and sink."""
    url, batch = f"unix://{folder}/valkey", {"records": BATCH, "seconds": 0.2}
    source = {"location": {"url": url, "stream": "in", "group": "scoring"}, "batch": batch}
    both = {"transport": "valkey", "encoding": "json"}
    return {**both, **source}, {**both, "location": {"url": url, "stream": "out"}}


def is_done(client: redis.Redis) -> bool:
    """Tell whether every record has its output and is acknowledged."""
    return client.xlen("out") == RECORDS and client.xpending("in", "scoring")["pending"] == 0


def timed(client: redis.Redis, work: Work, folder: Path) -> float:
    """Return the records per second of one run."""
    fill(client, work.messages)
    run = Path(tempfile.mkdtemp(dir=folder))
    source, sink = descriptors(folder)
    RunOrder("1", work.digest, source, {"scores": sink}, reach=REACH).write(run / "order.json")
    command = [sys.executable, "-m", "engine.streams", str(run), str(work.blobs)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "LOG_LEVEL": "ERROR"})
    try:
        until(lambda: client.xlen("out"), 60)
        begun, first = time.perf_counter(), client.xlen("out")
        until(lambda: is_done(client), 120)
        return (RECORDS - first) / (time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def bare(client: redis.Redis, work: Work) -> float:
    """Return the records per second of the transport alone."""
    fill(client, work.messages)
    begun = time.perf_counter()
    while found := client.xreadgroup("scoring", "bare", {"in": ">"}, count=BATCH):
        entries = found[0][1]
        pipe = client.pipeline(transaction=True)
        for number, fields in entries:
            pipe.xadd("out", {"record_key": number, "record": fields[b"record"]})
        pipe.execute()
        client.xack("in", "scoring", *(number for number, _ in entries))
    return RECORDS / (time.perf_counter() - begun)


class Clock:
    """Adds up the processor time of parts, each on its own thread."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.spent: Counter[str] = Counter()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Count the time of a method of one object for a part; what the model takes within the check is the model's."""
        method = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            begun, model = time.thread_time(), self.spent["model"]
            try:
                return method(*args, **options)
            finally:
                within = self.spent["model"] - model if part == "check" else 0.0  # on this very thread
                self.spent[part] += time.thread_time() - begun - within

        setattr(owner, name, watched)


def shares(client: redis.Redis, work: Work, folder: Path) -> dict[str, float]:
    """Return the share of each part in the processor time of a run in this process."""
    fill(client, work.messages)
    given, sink = descriptors(folder)
    reach, clock, stop = REACH, Clock(), threading.Event()
    source = open_source(parse_stream(given, "in", work.inputs), work.inputs, reach=reach)
    outlet = Outlet(open_sink(parse_stream(sink, "out", work.outputs), work.outputs, reach=reach))
    opened = open_model(work.model, "onnx", work.inputs, work.outputs)
    scorer = BatchScorer(opened, work.inputs, work.outputs)
    place = {"transport": "discard", "location": {}}
    letters = DeadLetters(open_sink(parse_stream(place, "out", LETTER), LETTER, reach=reach))
    clock.watch(source, "read", "transport in")
    clock.watch(source, "acknowledge", "transport in")
    clock.watch(outlet.sink, "write", "transport out")
    clock.watch(opened, "predict_packed", "model")
    clock.watch(scorer, "score", "check")
    pipeline = Pipeline(source, scorer, {"scores": outlet}, letters)
    watcher = threading.Thread(target=lambda: (until(lambda: is_done(client), 120), stop.set()))
    watcher.start()
    pipeline.run(stop)
    watcher.join()
    parts: Counter[str] = Counter()
    for part, spent in clock.spent.items():
        parts[part.split()[0]] += spent / clock.spent.total()
    return parts


def rows() -> list[Row]:
    """Run the whole benchmark."""
    found = []
    with tempfile.TemporaryDirectory() as name, valkey(Path(name)) as client:
        for width, goal in WIDTHS.items():
            folder = Path(name) / str(width)
            folder.mkdir()
            work = Work(width, folder)
            rates, floors = [], []
            for _ in range(ROUNDS):
                rates.append(timed(client, work, Path(name)))
                floors.append(bare(client, work))
            rate, floor = statistics.median(rates), statistics.median(floors)
            wanted = f">= {goal:,}/s" if goal else ""
            title = f"stream scoring, {width} fields"
            found.append(
                Row(
                    title,
                    f"{rate:,.0f}/s",
                    f"redis-py, copying only {floor:,.0f}/s",
                    rate / floor,
                    wanted,
                    goal and rate >= goal,
                )
            )
            parts = shares(client, work, Path(name))
            told = ", ".join(f"{part} {parts[part]:.0%}" for part in ("transport", "check", "model"))
            found.append(Row("  of its processor time", told, "", None))
    return found


if __name__ == "__main__":
    print(printed(rows(), f"{RECORDS:,} records from one Valkey stream into another, in batches of {BATCH:,}"))
