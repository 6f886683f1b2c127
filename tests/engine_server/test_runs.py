"""Runs by order: a live version over a stream, started, told, stopped and taken up again by a real engine."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import Engine, Registry, Sample, Sealed
from tests.streams.clusters import Cluster

pytestmark = pytest.mark.processes


@pytest.fixture
def engine(tmp_path: Path, registry: Registry) -> Iterator[Engine]:
    """An engine whose streams may use a folder."""
    engine = Engine(tmp_path / "engine", registry.url, "--folders", str(tmp_path / "data"))
    yield engine
    if engine.process.poll() is None:
        engine.kill()


@pytest.fixture
def streams(tmp_path: Path, sample: Sample) -> dict[str, Any]:
    """Return a source of records in a file, and a sink, as an order has them."""
    (tmp_path / "data").mkdir()
    rows = [dict(zip(sample.names, map(float, row), strict=True)) for row in sample.records[:50]]
    (tmp_path / "data" / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = {"transport": "file", "encoding": "json_lines"}
    return {
        "source": {**place, "location": {"url": f"file://{tmp_path}/data/in.jsonl"}, "batch": {"records": 10}},
        "sinks": {"scores": {**place, "location": {"url": f"file://{tmp_path}/data/out"}}},
    }


def start(engine: Engine, sealed: Sealed, run: str = "1", order: int = 5, **streams: Any) -> tuple[int, Any]:
    return engine.order(
        sealed.model, f"runs/{run}/start", order=order, version=str(sealed.version), digest=sealed.digest, **streams
    )


def state(engine: Engine, sealed: Sealed, run: str = "1") -> dict[str, Any]:
    status, told = engine.order(sealed.model, f"runs/{run}")
    assert status == 200
    found: dict[str, Any] = told
    return found


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def scored(tmp_path: Path) -> list[dict[str, Any]]:
    files = sorted((tmp_path / "data" / "out").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_a_batch_runs_to_its_end(engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path) -> None:
    status, told = start(engine, live, **streams)
    assert (status, told["run"]) == (200, "1")
    until(lambda: state(engine, live)["state"] == "finished")
    assert state(engine, live)["counts"] == {
        "read": 50, "scored": 50, "rejected": {}, "delivered": {"scores": 50}, "dead": {},
    }  # fmt: skip
    assert len({one["record_key"] for one in scored(tmp_path)}) == 50
    assert [one["run"] for one in engine.order(live.model, "runs")[1]] == ["1"]
    assert engine.order(live.model, "runs/1/forget")[0] == 200
    assert engine.order(live.model, "runs/1")[0] == 404


def test_an_engine_with_a_scheduler_gives_a_batch_to_its_cluster(
    live: Sealed, streams: dict[str, Any], tmp_path: Path, registry: Registry, engine: Engine
) -> None:
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    engine.kill()
    options = ("--folders", str(tmp_path / "data"), "--scheduler", cluster.address)
    again = Engine(engine.home, registry.url, *options)
    try:
        assert start(again, live, **streams)[0] == 200  # the run waits for the first worker to come
        cluster.worker()
        until(lambda: state(again, live)["state"] == "finished", 60)
        assert state(again, live)["parts"] == {"all": 1, "done": 1, "failed": 0}
        assert state(again, live)["counts"]["delivered"] == {"scores": 50}
        assert len({one["record_key"] for one in scored(tmp_path)}) == 50
        looping = {**streams, "source": {**streams["source"], "loop": True}}
        assert start(again, live, run="2", order=6, **looping)[0] == 200
        until(lambda: state(again, live, "2")["counts"].get("read", 0) > 50)
        assert "parts" not in state(again, live, "2")
    finally:
        again.kill()
        cluster.stop()


def test_a_run_goes_on_after_the_engine_was_killed(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    streams["source"]["loop"] = True
    assert start(engine, live, **streams)[0] == 200
    until(lambda: len(scored(tmp_path)) == 50)
    engine.kill()
    before = state_on_disk(tmp_path)["counts"]["read"]
    again = Engine(engine.home, registry.url, "--folders", str(tmp_path / "data"))
    try:
        until(lambda: state(again, live)["counts"].get("read", 0) > before)
        status, told = again.order(live.model, "runs/1/stop", order=6)
        assert (status, told["state"]) == (200, "stopped")
        assert start(again, live, order=5, **streams)[1]["code"] == "stale_order"
    finally:
        assert again.stop() == 0


def state_on_disk(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "engine" / "runs" / "1" / "state.json").read_bytes())
    return found


def test_outputs_of_two_runs_over_one_source_are_told_apart(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path
) -> None:
    for run, order in (("1", 5), ("2", 6)):
        assert start(engine, live, run, order, keys=f"night-{run}", **streams)[0] == 200
        until(lambda run=run: state(engine, live, run)["state"] == "finished")  # type: ignore[misc]
    keys = [one["record_key"] for one in scored(tmp_path)]
    assert len(keys) == len(set(keys)) == 100
    assert {key.split("/")[0] for key in keys} == {"night-1", "night-2"}
    assert "night-1/in.jsonl/0" in keys


def test_a_run_that_gets_no_further_is_given_up_for_good(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    streams["source"]["location"]["url"] += ".missing"
    assert start(engine, live, tries=2, **streams)[0] == 200
    until(lambda: state(engine, live)["ended"])
    told = state(engine, live)
    assert (told["state"], told["error"]["code"]) == ("failed", "target_missing")
    assert engine.stop() == 0
    again = Engine(engine.home, registry.url, "--folders", str(tmp_path / "data"))
    try:
        assert (state(again, live)["state"], state(again, live)["ended"]) == ("failed", True)
        assert again.order(live.model, "runs/1/forget")[0] == 200
    finally:
        assert again.stop() == 0


def processes_of(engine: Engine, run: str) -> list[int]:
    """Return the processes that carry out a run."""
    folder = str(engine.home / "runs" / run).encode()
    found = []
    for told in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            if folder in told.read_bytes().split(b"\0"):
                found.append(int(told.parent.name))
    return found


def test_a_run_whose_process_is_killed_again_and_again_says_so(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path
) -> None:
    place = f"file://{tmp_path}/data"
    os.mkfifo(tmp_path / "data" / "pipe.jsonl")  # whoever opens it waits for ever
    streams["source"]["location"]["url"] = f"{place}/pipe.jsonl"
    assert start(engine, live, tries=1, **streams)[0] == 200
    until(lambda: processes_of(engine, "1"))
    for process in processes_of(engine, "1"):
        os.kill(process, signal.SIGKILL)
    until(lambda: state(engine, live)["ended"])
    assert state(engine, live)["error"]["code"] == "run_lost"


def test_a_stop_of_an_unknown_run_can_be_remembered(engine: Engine, live: Sealed, streams: dict[str, Any]) -> None:
    assert engine.order(live.model, "runs/1/stop", order=6)[0] == 404
    status, told = engine.order(live.model, "runs/1/stop", order=6, remember=True)
    assert (status, told["state"], told["ended"]) == (200, "stopped", True)
    assert start(engine, live, order=5, **streams)[1]["code"] == "stale_order"
    assert state(engine, live)["state"] == "stopped"


def test_what_an_engine_does_not_open_is_not_reached(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path
) -> None:
    streams["sinks"]["scores"]["location"]["url"] = f"file://{tmp_path}/elsewhere"
    assert start(engine, live, **streams)[0] == 200
    until(lambda: state(engine, live)["state"] == "failed")
    assert state(engine, live)["error"]["code"] == "path_forbidden"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"digest": "0" * 64}, 409, "digest_mismatch"),
        ({"version": "9"}, 404, "unknown_model"),
        ({"sinks": {}}, 400, "order_malformed"),
        ({"order": 0}, 400, "bad_request"),
        ({"tries": -1}, 400, "bad_request"),
        ({"keys": "a/b"}, 400, "order_malformed"),
    ],
)
def test_an_odd_order_starts_nothing(
    engine: Engine, live: Sealed, streams: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    wanted = {"order": 5, "version": str(live.version), "digest": live.digest, **streams, **change}
    answer = engine.order(live.model, "runs/1/start", **wanted)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert engine.order(live.model, "runs")[1] == []


def test_runs_need_the_token(engine: Engine, live: Sealed, streams: dict[str, Any]) -> None:
    for act in ("runs", "runs/1", "runs/1/start", "runs/1/stop", "runs/1/forget"):
        assert engine.order(live.model, act, token="wrong", **streams)[0] == 401


def test_a_newer_order_of_a_run_adds_a_sink_and_goes_on_where_it_was(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path
) -> None:
    streams["source"]["loop"] = True
    assert start(engine, live, **streams)[0] == 200
    until(lambda: state(engine, live)["state"] == "running" and len(scored(tmp_path)) >= 20)
    place = {"transport": "file", "encoding": "json_lines"}
    more = {**place, "location": {"url": f"file://{tmp_path}/data/more"}}
    assert start(engine, live, order=6, source=streams["source"], sinks={**streams["sinks"], "more": more})[0] == 200
    until(lambda: state(engine, live)["counts"].get("delivered", {}).get("more", 0) > 0)
    counts = engine.order(live.model, "runs/1/stop", order=7)[1]["counts"]
    assert counts["delivered"]["scores"] == counts["scored"] > counts["delivered"]["more"]
    assert engine.order(live.model, "runs")[1][0]["state"] == "stopped"


def test_a_run_whose_source_is_another_one_reads_it_from_its_start(
    engine: Engine, live: Sealed, streams: dict[str, Any], tmp_path: Path
) -> None:
    assert start(engine, live, **streams)[0] == 200
    until(lambda: state(engine, live)["state"] == "finished")
    lines = (tmp_path / "data" / "in.jsonl").read_text().splitlines()[:20]
    (tmp_path / "data" / "other.jsonl").write_text("\n".join(lines) + "\n")
    other = {**streams["source"], "location": {"url": f"file://{tmp_path}/data/other.jsonl"}}
    assert start(engine, live, order=6, source=other, sinks=streams["sinks"])[0] == 200
    until(lambda: state(engine, live)["state"] == "finished" and state(engine, live)["order"] == 6)
    assert state(engine, live)["counts"]["read"] == 70
