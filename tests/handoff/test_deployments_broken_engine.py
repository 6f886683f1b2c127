"""Engines that misbehave. A small HTTP server stands in for the broken engine, for ours does not do these things."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from handoff.executors import engine as executor
from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.executors.replay import records_of, tensors_of
from handoff.plans import DeployPlan, PreviousVersion, RestorePlan

OLD, NEW = "0" * 64, "1" * 64
GOLDEN = tuple({"input": {"x": float(i)}, "output": {"y": 2.0 * i}} for i in range(70))
Answer = Callable[["Broken", str, dict[str, Any]], tuple[int, Any] | None]


class Broken:
    """An engine that serves y = 2x, unless a test makes it do something else first."""

    def __init__(self) -> None:
        self.live = OLD
        self.acts: list[str] = []
        self.meddle: Answer = lambda engine, path, body: None
        self.url = ""

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer as an engine does that was told nothing else."""
        told = self.meddle(self, path, body)
        if told is not None:
            return told
        parameters = body.get("parameters", {})
        act = path.rsplit("/", 1)[1]
        if act in ("load", "activate", "unload"):
            self.acts.append(f"{act} {parameters['version']}")
            if act == "activate":
                self.live = parameters["digest"]
            return 200, {"digest": parameters.get("digest"), "state": {"load": "staged", "activate": "live"}.get(act)}
        if act == "infer":
            values = body["inputs"][0]["data"]
            return 200, {"outputs": [{"name": "y", "shape": [len(values)], "data": [2.0 * v for v in values]}]}
        fields = [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}]
        return 200, {"live": True, "ready": True, "inputs": fields, "parameters": {"digest": self.live}}


@pytest.fixture
def broken() -> Iterator[Broken]:
    with serving(Broken()) as engine:
        yield engine


@contextmanager
def serving(engine: Broken) -> Iterator[Broken]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, told = engine.answer(self.path, body)
            raw = told if isinstance(told, bytes) else json.dumps(told).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except OSError:
                return  # the client gave up, as it should

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    engine.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def plan(engine: Broken, *, previous: bool = True) -> DeployPlan:
    before = PreviousVersion("1", OLD) if previous else None
    return DeployPlan("j", 7, engine.url, "m", "2", NEW, "{}", {}, GOLDEN, {"absolute": 1e-6, "relative": 0}, before)


def deploy(engine: Broken, **more: Any) -> Any:
    return executor.deploy(plan(engine, **more), token="t")


def test_the_stand_in_itself_is_sound(broken: Broken) -> None:
    report = deploy(broken)
    assert report.live, report.summary
    assert broken.live == NEW
    assert broken.acts == ["load 2", "activate 2"]


def wrong_when_live(engine: Broken, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
    if path == "/v2/models/m/infer":
        count = len(body["inputs"][0]["data"])
        return 200, {"outputs": [{"name": "y", "shape": [count], "data": [1.0] * count}]}
    return None


def test_wrong_answers_through_the_live_endpoint_swap_back(broken: Broken) -> None:
    broken.meddle = wrong_when_live
    report = deploy(broken)
    assert (report.live, report.reason_code) == (False, "contract_breach")
    assert broken.live == OLD
    assert broken.acts == ["load 2", "activate 2", "activate 1"]
    assert "version 1 is served again" in report.summary
    assert [s["step"] for s in report.steps][-2:] == ["golden_live", "swap_back"]


def test_without_a_version_before_it_is_taken_out(broken: Broken) -> None:
    broken.meddle = wrong_when_live
    report = deploy(broken, previous=False)
    assert broken.acts == ["load 2", "activate 2", "unload 2"]
    assert "nothing is served" in report.summary


def test_wrong_answers_beside_the_live_version_swap_nothing(broken: Broken) -> None:
    broken.meddle = lambda e, path, b: (200, {"outputs": []}) if "versions/2/infer" in path else None
    report = deploy(broken)
    assert report.reason_code == "contract_breach"
    assert broken.acts == ["load 2", "unload 2"]
    assert broken.live == OLD


def test_when_going_back_fails_too_nobody_claims_to_know(broken: Broken) -> None:
    def meddle(engine: Broken, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if body.get("parameters", {}).get("version") == "1":
            return 500, {"code": "internal_error", "error": "no"}
        return wrong_when_live(engine, path, body)

    broken.meddle = meddle
    report = deploy(broken)
    assert (report.live, report.reason_code) == (False, "unknown")
    assert "not known" in report.summary


def test_an_order_that_timed_out_though_it_was_carried_out_is_undone(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(engine: Broken, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        if path.endswith("/activate") and body["parameters"]["version"] == "2":
            engine.live = NEW
            time.sleep(1.5)
        return None

    broken.meddle = meddle
    monkeypatch.setattr("handoff.executors.engine.Engine", lambda url, token: Engine(url, token, seconds=0.5))
    report = deploy(broken)
    assert (report.live, report.reason_code) == (False, "unreachable")
    assert "did not answer in time" in report.summary
    assert "version 1 is served again" in report.summary


@pytest.mark.parametrize(
    ("status", "code", "means"),
    [
        (409, "stale_order", "stale_order"),
        (401, "unauthorised", "unreachable"),
        (502, "registry_unreachable", "unreachable"),
        (503, "not_ready", "unreachable"),
        (507, "disk_full", "unreachable"),
        (409, "digest_mismatch", "security"),
        (422, "blob_mismatch", "security"),
        (422, "format_unsafe", "security"),
        (400, "schema_mismatch", "contract_breach"),
        (500, "internal_error", "operability"),
    ],
)
def test_what_a_refusal_means(broken: Broken, status: int, code: str, means: str) -> None:
    broken.meddle = lambda e, path, b: (status, {"code": code, "error": "no"}) if path.endswith("/load") else None
    report = deploy(broken)
    assert (report.live, report.reason_code) == (False, means)
    assert broken.live == OLD


def test_an_engine_that_drips_is_given_up(broken: Broken) -> None:
    def meddle(engine: Broken, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        time.sleep(3)
        return 200, {}

    broken.meddle = meddle
    begun = time.monotonic()
    with pytest.raises(ExecutorError, match="did not answer in time") as caught:
        Engine(broken.url, "t", seconds=0.3).get("/v2")
    assert time.monotonic() - begun < 2
    assert not caught.value.permanent


def test_an_answer_that_is_no_json_is_refused(broken: Broken) -> None:
    broken.meddle = lambda e, path, b: (200, b"<html>")
    with pytest.raises(ExecutorError, match="no JSON"):
        Engine(broken.url, "t").get("/v2")


def test_an_engine_that_serves_another_digest_is_not_believed(broken: Broken) -> None:
    def meddle(engine: Broken, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        engine.live = OLD
        return None

    broken.meddle = meddle
    report = deploy(broken)
    assert not report.live
    assert "serves the digest" in report.summary


def test_restoring_nothing_takes_the_version_out(broken: Broken) -> None:
    report = executor.restore(RestorePlan("j", 8, broken.url, "m", "2", None), token="t")
    assert report.live
    assert broken.acts == ["unload 2"]


def test_the_token_goes_out_and_stays_out_of_words(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handoff.executors.engine.PATIENCE_SECONDS", 0.1)
    broken.meddle = lambda e, path, b: (401, {"error": "who are you"})
    report = executor.deploy(plan(broken), token="very-secret")
    assert "very-secret" not in str(report)


def test_records_go_out_as_columns_and_come_back_as_records() -> None:
    fields = [{"name": "a", "datatype": "FP64"}, {"name": "b", "datatype": "FP64"}]
    rows = [{"a": 1.0, "b": [1.0, 2.0]}, {"a": None, "b": [3.0, 4.0]}]
    told = tensors_of(fields, rows)
    assert told[0] == {"name": "a", "datatype": "FP64", "shape": [2], "data": [1.0, None]}
    assert told[1]["shape"] == [2, 2]
    answer = {
        "outputs": [{"name": "y", "shape": [2], "data": [1, 2]}, {"name": "z", "shape": [2, 2], "data": [1, 2, 3, 4]}]
    }
    assert records_of(answer, 2) == [{"y": 1, "z": [1, 2]}, {"y": 2, "z": [3, 4]}]


@pytest.mark.parametrize("answer", [{}, {"outputs": [{"name": "y", "shape": [1], "data": [1]}]}, {"outputs": 3}])
def test_an_answer_of_another_shape_breaks_the_contract(answer: dict[str, Any]) -> None:
    with pytest.raises(ExecutorError) as caught:
        records_of(answer, 2)
    assert caught.value.code == "contract_breach"
