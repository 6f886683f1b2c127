"""What is suspended scores nothing: not live, not by its number, not over streams, not after a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import Engine, Registry, Sample, Sealed, packed

URL = "/v2/models/sample/infer"
BY_NUMBER = "/v2/models/sample/versions/{}/infer"
Make = Callable[..., Sealed]


def scores(engine: Engine, sample: Sample, path: str = URL) -> tuple[int, str]:
    """Return the status of one record, and the version that answered or the code of the refusal."""
    status, answer = engine.ask("POST", path, packed([sample.records[0].tolist()]))
    return status, answer.get("model_version") or answer["code"]


def suspend(engine: Engine, sealed: Sealed, order: int) -> tuple[int, Any]:
    named = {"version": str(sealed.version), "digest": sealed.digest}
    return engine.order(sealed.model, "suspend", order=order, **named)


def resume(engine: Engine, sealed: Sealed, order: int) -> tuple[int, Any]:
    return engine.order(sealed.model, "resume", order=order, version=str(sealed.version))


def test_what_is_suspended_answers_no_request_until_it_is_resumed(
    engine: Engine, registry: Registry, live: Sealed, sample: Sample
) -> None:
    status, told = suspend(engine, live, 10)
    assert (status, told["state"], told["runs"]) == (200, "suspended", {})
    for path in (URL, BY_NUMBER.format(1)):
        assert scores(engine, sample, path) == (503, "suspended")
    status, told = engine.ask("GET", "/v2/models/sample")
    assert (status, told["code"], told["details"]) == (503, "suspended", {"version": "1", "order": 10})
    assert engine.ask("GET", "/v2/health/ready")[0] == 200  # the engine is well; the model is stopped
    index = engine.ask("POST", "/v2/repository/index", {})[1]
    assert [(one["version"], one["state"], one["reason"]) for one in index] == [("1", "UNAVAILABLE", "suspended")]
    assert suspend(engine, live, 10)[0] == 200  # an order that is repeated is no error
    engine.kill()
    again = Engine(engine.home, registry.url)
    try:
        assert scores(again, sample) == (503, "suspended")
        assert resume(again, live, 11)[0] == 200
        assert scores(again, sample) == (200, "1")
    finally:
        again.kill()


def test_a_late_order_revives_nothing_and_stops_nothing(
    engine: Engine, registry: Registry, live: Sealed, sample: Sample
) -> None:
    assert suspend(engine, live, 10)[0] == 200
    assert engine.load(registry, live, 9)[0] == 200
    assert engine.activate(live, 9)[0] == 200
    assert resume(engine, live, 9)[1]["code"] == "stale_order"
    assert scores(engine, sample) == (503, "suspended")
    assert resume(engine, live, 12)[0] == 200
    assert suspend(engine, live, 11)[1]["code"] == "stale_order"
    assert scores(engine, sample) == (200, "1")


def test_a_version_is_suspended_before_it_is_here(
    engine: Engine, registry: Registry, version: Make, sample: Sample
) -> None:
    one = version(1)
    assert suspend(engine, one, 10)[0] == 200
    assert engine.load(registry, one, 9)[0] == 200
    assert engine.activate(one, 9)[0] == 200
    assert scores(engine, sample) == (503, "suspended")


def test_another_version_goes_on_and_takes_over(
    engine: Engine, registry: Registry, live: Sealed, version: Make, sample: Sample
) -> None:
    two = version(2)
    assert suspend(engine, live, 10)[0] == 200
    assert engine.load(registry, two, 5)[0] == 200  # ordered before: of another version, so not too late
    assert scores(engine, sample, BY_NUMBER.format(2)) == (200, "2")
    assert engine.activate(two, 5)[0] == 200
    assert scores(engine, sample) == (200, "2")
    assert scores(engine, sample, BY_NUMBER.format(1)) == (503, "suspended")
    assert engine.activate(live, 6)[0] == 200  # going back by an order that knew of no suspension
    assert scores(engine, sample) == (503, "suspended")


def test_a_version_that_is_put_back_as_suspended_stays_so_and_one_deployed_anew_does_not(
    engine: Engine, registry: Registry, live: Sealed, sample: Sample
) -> None:
    put_back = {"order": 20, "version": "1", "digest": live.digest, "suspended": True}
    assert engine.order("sample", "activate", **put_back)[0] == 200
    assert scores(engine, sample) == (503, "suspended")
    assert engine.load(registry, live, 21, suspended=True)[0] == 200
    assert scores(engine, sample) == (503, "suspended")
    assert engine.load(registry, live, 22)[0] == 200
    assert scores(engine, sample) == (200, "1")
    assert engine.load(registry, live, 23, suspended="yes")[1]["code"] == "bad_request"


@pytest.mark.parametrize(("model", "number"), [("..%2f..%2fx", "1"), ("sample", "../1"), ("sample", "")])
def test_an_odd_name_is_refused_and_nothing_is_written(engine: Engine, live: Sealed, model: str, number: str) -> None:
    before = sorted(engine.home.rglob("*.json"))
    status, told = engine.order(model, "suspend", order=30, version=number, digest=live.digest)
    assert status in (400, 404)
    assert told["code"] in ("bad_request", "not_found")
    assert sorted(engine.home.rglob("*.json")) == before


def test_stopping_needs_the_token(engine: Engine, live: Sealed, sample: Sample) -> None:
    named = {"order": 10, "version": "1", "digest": live.digest}
    assert engine.order("sample", "suspend", token="another", **named)[0] == 401
    assert scores(engine, sample) == (200, "1")


@pytest.mark.processes
def test_a_run_over_streams_stops_at_once_and_starts_by_a_newer_order(
    tmp_path: Path, registry: Registry, version: Make, sample: Sample
) -> None:
    (tmp_path / "data").mkdir()
    rows = [dict(zip(sample.names, map(float, row), strict=True)) for row in sample.records[:20]]
    (tmp_path / "data" / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = {"transport": "file", "encoding": "json_lines"}
    streams = {
        "source": {**place, "location": {"url": f"file://{tmp_path}/data/in.jsonl"}, "loop": True},
        "sinks": {"scores": {**place, "location": {"url": f"file://{tmp_path}/data/out"}}},
    }
    one, engine = version(1), Engine(tmp_path / "engine", registry.url, "--folders", str(tmp_path / "data"))
    try:
        assert engine.load(registry, one, 5)[0] == 200
        assert engine.activate(one, 5)[0] == 200
        named = {"version": "1", "digest": one.digest, **streams}
        assert engine.order("sample", "runs/r/start", order=6, **named)[0] == 200
        ends = time.monotonic() + 20
        while engine.order("sample", "runs/r")[1]["state"] != "running":
            assert time.monotonic() < ends
            time.sleep(0.05)
        began = time.monotonic()
        runs = suspend(engine, one, 10)[1]["runs"]
        assert time.monotonic() - began < 1
        assert (runs["r"]["state"], runs["r"]["ended"]) == ("stopped", True)
        assert engine.order("sample", "runs/r/start", order=11, **named)[1]["code"] == "suspended"
        time.sleep(1.5)  # nobody starts it again by itself
        assert engine.order("sample", "runs/r")[1]["state"] == "stopped"
        assert resume(engine, one, 12)[0] == 200
        assert engine.order("sample", "runs/r/start", order=13, **named)[0] == 200
        assert engine.order("sample", "runs/r/stop", order=14)[0] == 200  # or it would outlive its engine
    finally:
        engine.kill()
