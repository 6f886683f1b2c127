"""Runs as processes: killed at any time, they lose no record; the same order goes on where it was."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.errors import StreamError
from engine.streams.addresses import Reach
from engine.streams.orders import RunOrder
from engine.streams.supervisor import Supervisor
from tests.engine.conftest import NAMES, Trained
from tests.processes import ROOT, eventually
from tests.streams.places import EVERYWHERE, unique, valkey_url

pytestmark = pytest.mark.processes
COUNT = 3000


class Started:
    """A run's process, and its folder."""

    def __init__(self, folder: Path, blobs: Path) -> None:
        self.folder, self.began = folder, time.time()
        command = [sys.executable, "-m", "engine.streams", str(folder), str(blobs)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "LOG_LEVEL": "ERROR"})

    @property
    def state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        return json.loads(path.read_bytes()) if path.exists() else {"state": "none"}

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


def ordered(tmp_path: Path, digest: str, source: dict[str, Any], reach: Reach = EVERYWHERE) -> Path:
    """Lay out a run into a table, and return its folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    with sqlite3.connect(tmp_path / "scores.db") as connection:
        connection.execute("pragma journal_mode = wal")  # whoever counts the rows does not hold up who writes them
        connection.execute("create table scores (record_key text primary key, label bigint)")
    location = {"url": f"sqlite://{tmp_path}/scores.db", "table": "scores"}
    sinks = {"scores": {"transport": "sql", "location": location, "fields": ["label"]}}
    RunOrder("1", digest, source, sinks, reach=reach).write(folder / "order.json")
    return folder


def keys(tmp_path: Path) -> list[str]:
    with sqlite3.connect(tmp_path / "scores.db") as connection:
        return [key for (key,) in connection.execute("select record_key from scores")]


def a_csv(path: Path, classifier: Trained) -> dict[str, Any]:
    rows = [",".join(map(str, row)) for row in classifier.x.tolist()]
    path.write_text("\n".join([",".join(NAMES), *(rows[at % len(rows)] for at in range(COUNT))]) + "\n")
    return {"transport": "file", "encoding": "csv", "location": {"url": f"file://{path}"}, "batch": {"records": 50}}


def test_a_batch_run_that_is_killed_again_and_again_loses_nothing(
    tmp_path: Path, classifier: Trained, blobs: tuple[Path, str]
) -> None:
    folder = ordered(tmp_path, blobs[1], a_csv(tmp_path / "in.csv", classifier))
    chance = random.Random(7)
    kills = 0
    while True:
        run = Started(folder, blobs[0])
        before = len(keys(tmp_path))
        goal = before + chance.randint(200, 900)
        while run.process.poll() is None and len(keys(tmp_path)) < goal:
            time.sleep(0.002)
        if run.process.poll() is not None:
            break
        run.end(signal.SIGKILL)
        kills += 1
    assert kills >= 2
    assert run.process.communicate()[1] == b""
    assert run.process.returncode == 0
    assert sorted(keys(tmp_path)) == sorted(f"in.csv/{at}" for at in range(COUNT))
    assert run.state["state"] == "finished"
    assert run.state["counts"]["read"] == COUNT


def test_a_stream_run_that_is_killed_loses_nothing(
    tmp_path: Path, classifier: Trained, blobs: tuple[Path, str]
) -> None:
    name = unique("arrivals")
    client = redis.Redis.from_url(valkey_url())
    sent = _sent(client, name, classifier)
    location = {"url": valkey_url(), "stream": name, "group": "scoring"}
    batch = {"records": 50, "seconds": 0.05}
    source = {"transport": "valkey", "encoding": "json", "location": location, "batch": batch}
    folder = ordered(tmp_path, blobs[1], source)
    for goal in (500, 1500):
        run = Started(folder, blobs[0])
        eventually(lambda goal=goal: len(keys(tmp_path)) >= goal, "some are scored", 20)  # type: ignore[misc]
        run.end(signal.SIGKILL)
    consumer = client.xinfo_consumers(name, "scoring")
    assert consumer
    client.xclaim(name, "scoring", "nobody", 0, _pending(client, name), idle=60_000) if _pending(client, name) else None
    run = Started(folder, blobs[0])
    eventually(lambda: len(keys(tmp_path)) >= COUNT, "all are scored", 60)
    eventually(lambda: client.xpending(name, "scoring")["pending"] == 0, "all are acknowledged", 20)
    eventually(lambda: run.state["began"] > run.began, "the run tells how it goes", 20)
    assert run.end(signal.SIGTERM) == 0
    assert set(keys(tmp_path)) == sent
    assert run.state["state"] == "stopped"


def test_two_engines_share_a_stream_and_one_that_is_killed_loses_and_doubles_nothing(
    tmp_path: Path, classifier: Trained, blobs: tuple[Path, str]
) -> None:
    name = unique("arrivals")
    client = redis.Redis.from_url(valkey_url())
    location = {"url": valkey_url(), "stream": name, "group": "scoring"}
    source = {"transport": "valkey", "encoding": "json", "location": location, "batch": {"records": 50}}
    order = RunOrder.read(ordered(tmp_path, blobs[1], source) / "order.json")
    engines = [Supervisor(tmp_path / engine, blobs[0], EVERYWHERE) for engine in ("first", "second")]
    try:
        for one in engines:
            one.start("tumours", 1, order)
        eventually(lambda: _consumers(client, name) == 2, "both have joined", 60)
        with closing(sqlite3.connect(tmp_path / "scores.db", isolation_level=None)) as database:
            database.execute("begin exclusive")  # so both have to keep what they read
            sent = _sent(client, name, classifier)
            eventually(lambda: len(_pending_of(client, name)) == 2, "both have read", 60)
            [process] = engines[0]._processes.values()
            process.kill()
            process.wait()
            database.execute("rollback")
        dead = f"{socket.gethostname()}-{process.pid}"
        left = [one["message_id"] for one in client.xpending_range(name, "scoring", "-", "+", COUNT, dead)]
        assert left
        eventually(lambda: len(keys(tmp_path)) == COUNT - len(left), "the other one scores all others", 60)
        client.xclaim(name, "scoring", "nobody", 0, left, idle=60_000)  # so that nobody has to wait for it
        eventually(lambda: len(keys(tmp_path)) == COUNT, "and those of the dead one", 60)
        eventually(lambda: client.xpending(name, "scoring")["pending"] == 0, "all are acknowledged", 20)
        assert set(keys(tmp_path)) == sent
        eventually(lambda: engines[1].state("1")["counts"].get("read") == COUNT, "the other one read all", 20)
    finally:
        for one in engines:
            one.close()
        client.close()


def _consumers(client: redis.Redis, name: str) -> int:
    return len(client.xinfo_consumers(name, "scoring")) if client.exists(name) else 0


def _pending_of(client: redis.Redis, name: str) -> set[bytes]:
    """Return the consumers that have read what they did not acknowledge."""
    return {one["consumer"] for one in client.xpending_range(name, "scoring", "-", "+", COUNT)}


def _sent(client: redis.Redis, name: str, classifier: Trained) -> set[str]:
    """Append all records, and return their keys."""
    pipe = client.pipeline(transaction=False)
    for at in range(COUNT):
        pipe.xadd(name, {"record": json.dumps(classifier.records(50)[at % 50])})
    return {f"{name}/{one.decode()}" for one in pipe.execute()}


def _pending(client: redis.Redis, name: str) -> list[bytes]:
    """Return the entries that a dead run had read; their idle time is set back, so that nobody has to wait for it."""
    return [one["message_id"] for one in client.xpending_range(name, "scoring", "-", "+", 5000)]


def test_what_is_wrong_is_told_before_anything_is_scored(
    tmp_path: Path, blobs: tuple[Path, str], classifier: Trained
) -> None:
    folder = ordered(tmp_path, blobs[1], a_csv(tmp_path / "in.csv", classifier), reach=Reach())
    run = Started(folder, blobs[0])
    assert run.process.wait(20) == 1
    run.process.communicate()
    assert run.state["state"] == "failed"
    assert run.state["error"]["code"] == "path_forbidden"
    assert not keys(tmp_path)


def test_a_run_goes_on_in_a_folder_that_is_named_from_where_the_engine_stands(
    tmp_path: Path, blobs: tuple[Path, str], classifier: Trained
) -> None:
    ordered(tmp_path, blobs[1], a_csv(tmp_path / "in.csv", classifier))
    command = [sys.executable, "-m", "engine.streams", "run", "blobs"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert len(keys(tmp_path)) == COUNT


def test_a_version_that_is_not_here_is_told(tmp_path: Path, blobs: tuple[Path, str], classifier: Trained) -> None:
    folder = ordered(tmp_path, "0" * 64, a_csv(tmp_path / "in.csv", classifier))
    run = Started(folder, blobs[0])
    assert run.process.wait(20) == 1
    run.process.communicate()
    assert run.state["error"]["code"] == "version_missing"


def arrived(runs: Supervisor) -> int:
    """Return how many arriving scores a run tells."""
    return sum(one["count"] for one in runs.state("1").get("scores", {"intervals": []})["intervals"])


def test_a_supervisor_starts_again_what_crashed_and_stops_what_it_is_told(
    tmp_path: Path, classifier: Trained, blobs: tuple[Path, str]
) -> None:
    name = unique("arrivals")
    client = redis.Redis.from_url(valkey_url())
    location = {"url": valkey_url(), "stream": name, "group": "scoring"}
    source = {"transport": "valkey", "encoding": "json", "location": location, "batch": {"seconds": 0.05}}
    order = RunOrder.read(ordered(tmp_path, blobs[1], source) / "order.json")
    runs, again = (Supervisor(tmp_path / "runs", blobs[0], EVERYWHERE) for _ in range(2))
    try:
        assert runs.start("tumours", 5, order)["state"] == "starting"
        client.xadd(name, {"record": json.dumps(classifier.records(1)[0])})
        eventually(lambda: len(keys(tmp_path)) == 1, "the first is scored", 20)
        eventually(lambda: arrived(runs) == 1, "its score is told", 20)
        [process] = runs._processes.values()
        process.kill()
        process.wait()
        runs.look()
        client.xadd(name, {"record": json.dumps(classifier.records(1)[0])})
        eventually(lambda: runs.look() or len(keys(tmp_path)) == 2, "the second is scored", 20)
        assert runs.start("tumours", 5, order)["state"] == "running"
        assert len(runs._processes) == 1
        with pytest.raises(StreamError) as refusal:
            runs.start("tumours", 4, order)
        assert refusal.value.code == "stale_order"
        runs.close()  # as when the engine ends
        again.restore()
        client.xadd(name, {"record": json.dumps(classifier.records(1)[0])})
        eventually(lambda: len(keys(tmp_path)) == 3, "the third is scored", 20)
        assert again.stop("1", 6)["state"] == "stopped"
        assert arrived(again) == 3  # what a killed process and an ended one told is taken up
        assert [one["model"] for one in again.states("tumours")] == ["tumours"]
        again.look()
        assert not again._processes
        third = Supervisor(tmp_path / "runs", blobs[0], EVERYWHERE)
        third.restore()
        assert not third._processes
        third.forget("1")
        with pytest.raises(StreamError) as refusal:
            third.state("1")
        assert refusal.value.code == "run_unknown"
    finally:
        runs.close()
        again.close()


def test_a_finished_run_is_not_started_again(tmp_path: Path, classifier: Trained, blobs: tuple[Path, str]) -> None:
    order = RunOrder.read(ordered(tmp_path, blobs[1], a_csv(tmp_path / "in.csv", classifier)) / "order.json")
    runs = Supervisor(tmp_path / "runs", blobs[0], EVERYWHERE)
    runs.start("tumours", 1, order)
    eventually(lambda: runs.state("1")["state"] == "finished", "the run ends", 30)
    runs.look()
    again = Supervisor(tmp_path / "runs", blobs[0], EVERYWHERE)
    again.restore()
    assert not again._processes
    assert again.state("1")["counts"]["delivered"] == {"scores": COUNT}
    assert arrived(again) == COUNT
    runs.close()


@pytest.mark.parametrize(
    ("run", "change", "code", "where"),
    [
        ("", {}, "run_name", "run"),
        ("../x", {}, "run_name", "run"),
        ("x" * 65, {}, "run_name", "run"),
        ("1", {"digest": "abc"}, "order_malformed", "digest"),
        ("1", {"source": "here"}, "order_malformed", "source"),
        ("1", {"sinks": {}}, "order_malformed", "sinks"),
        ("1", {"sinks": {"a b": {}}}, "order_malformed", "sinks.a b"),
        ("1", {"sinks": {"a": "there"}}, "order_malformed", "sinks.a"),
        ("1", {"letters": "there"}, "order_malformed", "letters"),
    ],
)
def test_odd_orders_are_refused(run: str, change: dict[str, Any], code: str, where: str) -> None:
    parameters = {"digest": "0" * 64, "source": {}, "sinks": {"a": {}}, **change}
    with pytest.raises(StreamError) as refusal:
        RunOrder.of(run, parameters, EVERYWHERE)
    assert (refusal.value.code, refusal.value.field) == (code, where)


def test_an_order_reaches_no_further_than_the_engine_lets_it() -> None:
    parameters = {"digest": "0" * 64, "source": {}, "sinks": {"a": {}}, "private": True}
    assert RunOrder.of("1", parameters, Reach()).reach == Reach()
    assert RunOrder.of("1", parameters, Reach(True, ("/data",))).reach == Reach(True, ("/data",))
    assert not RunOrder.of("1", {**parameters, "private": False}, Reach(True)).reach.private
