"""The Open Inference Protocol V2, endpoint by endpoint, with the types that it gives to each answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.serving import ROOT, Engine, Registry, Sample, Sealed, free_port, packed, wait_ready
from tests.engine_server.test_server import samples

URL = "/v2/models/sample/infer"
DATATYPES = {
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64", "BYTES",
}  # fmt: skip
TEXTS = list[str]


def has(answer: Any, **kinds: Any) -> None:
    """Assert that an object has members of these types; more are allowed."""
    assert isinstance(answer, dict)
    for name, kind in kinds.items():
        if kind is TEXTS:
            assert isinstance(answer[name], list)
            assert all(isinstance(one, str) for one in answer[name])
        else:
            assert type(answer[name]) is kind, name


def asked(engine: Engine, path: str) -> dict[str, Any]:
    """Return the answer to a GET, which must be good."""
    status, answer = engine.ask("GET", path)
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def test_health(engine: Engine, live: Sealed) -> None:
    assert asked(engine, "/v2/health/live") == {"live": True}
    assert asked(engine, "/v2/health/ready") == {"ready": True}
    for path in ("/v2/models/sample/ready", "/v2/models/sample/versions/1/ready"):
        assert asked(engine, path) == {"name": "sample", "ready": True}
    assert engine.ask("GET", "/v2/models/sample/versions/2/ready")[0] == 404


def test_server_metadata(engine: Engine) -> None:
    answer = asked(engine, "/v2")
    has(answer, name=str, version=str, extensions=TEXTS)
    assert {"binary_tensor_data", "model_repository"} <= set(answer["extensions"])


@pytest.mark.parametrize("path", ["/v2/models/sample", "/v2/models/sample/versions/1"])
def test_model_metadata(engine: Engine, live: Sealed, sample: Sample, path: str) -> None:
    answer = asked(engine, path)
    has(answer, name=str, versions=TEXTS, platform=str, inputs=list, outputs=list)
    assert (answer["name"], answer["versions"], answer["platform"]) == ("sample", ["1"], "onnx")
    for tensor in answer["inputs"] + answer["outputs"]:
        has(tensor, name=str, datatype=str, shape=list)
        assert tensor["datatype"] in DATATYPES
        assert all(type(axis) is int and (axis == -1 or axis > 0) for axis in tensor["shape"])
    assert [one["name"] for one in answer["inputs"]] == sample.names


def test_inference(engine: Engine, live: Sealed, sample: Sample) -> None:
    request = packed(sample.records[:3].tolist())
    assert "id" not in engine.ask("POST", URL, request)[1]
    for path in (URL, "/v2/models/sample/versions/1/infer"):
        status, answer = engine.ask("POST", path, request | {"id": "ä-7", "parameters": {"unknown": 1}})
        assert status == 200
        has(answer, model_name=str, model_version=str, id=str, outputs=list)
        assert (answer["model_name"], answer["model_version"], answer["id"]) == ("sample", "1", "ä-7")
        for tensor in answer["outputs"]:
            has(tensor, name=str, datatype=str, shape=list, data=list)
            count = 1
            for axis in tensor["shape"]:
                count *= axis
            assert len(tensor["data"]) == count
            assert tensor["datatype"] in DATATYPES
    chosen = request | {"outputs": [{"name": "probabilities"}, {"name": "label"}]}
    assert [one["name"] for one in engine.ask("POST", URL, chosen)[1]["outputs"]] == ["probabilities", "label"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v2/models/none", None), ("GET", "/nowhere", None), ("POST", URL, b"{"), ("POST", URL, b""),
        ("POST", "/v2/repository/models/none/load", b"{}"), ("PUT", URL, b"{}"), ("POST", "/v2/repository/index", b"["),
        ("POST", "/v2/repository/index", b"[]"), ("POST", "/v2/repository/nothing", b"{}"),
    ],
)  # fmt: skip
def test_an_error_is_an_object_with_a_sentence(
    engine: Engine, live: Sealed, method: str, path: str, body: bytes | None
) -> None:
    status, answer = engine.ask(method, path, body)
    assert 400 <= status < 500
    has(answer, error=str, code=str)
    assert answer["error"].endswith(".")


def test_the_repository(engine: Engine, registry: Registry, version: Callable[..., Sealed], live: Sealed) -> None:
    two = version(2)
    assert engine.load(registry, two, 2)[0] == 200
    for body in (None, {}, {"ready": True}, {"ready": False}):
        status, index = engine.ask("POST", "/v2/repository/index", body)
        assert status == 200
        for one in index:
            has(one, name=str, version=str, state=str, reason=str)
        assert [(one["version"], one["state"]) for one in index] == [("1", "READY"), ("2", "READY")]
    assert engine.order("sample", "unload", order=3, version="2")[0] == 200
    assert engine.ask("GET", "/v2/models/sample/versions/2/ready")[0] == 404
    assert asked(engine, "/v2/models/sample")["versions"] == ["1"]
    assert engine.order("never", "unload", order=3, version="1")[0] == 404


def test_rejects_are_counted_by_cause(engine: Engine, live: Sealed, sample: Sample) -> None:
    row = sample.records[0].tolist()
    wide = {"inputs": [{"name": "records", "datatype": "FP64", "shape": [1, 29], "data": row[:29]}]}
    for cause, body, times in (
        ("null", packed([[None, *row[1:]]]), 1),
        ("maximum", packed([[1e9, 1e9, *row[2:]]]), 2),
        ("type", packed([["x", *row[1:]]]), 1),
        ("shape", wide, 1),
        ("unknown_output", packed([row]) | {"outputs": [{"name": "x"}]}, 1),
        ("datatype", packed([row], "INT32"), 1),
        ("bad_request", {"inputs": []}, 1),
    ):
        before = samples(engine.ask("GET", "/metrics")[1].decode())
        assert engine.ask("POST", URL, body)[0] == 400
        after = samples(engine.ask("GET", "/metrics")[1].decode())
        of = 'model="sample",version="1"'
        key = f'mdlc_engine_rejects_total{{{of},cause="{cause}"}}'
        assert after[key] - before.get(key, 0) == times, cause
        status = f'mdlc_engine_requests_total{{{of},status="400"}}'
        assert after[status] - before.get(status, 0) == 1
        records = f"mdlc_engine_records_total{{{of}}}"
        assert after.get(records, 0) == before.get(records, 0), "a refused record is not scored"


@contextmanager
def impatient(home: Path, registry: str, seconds: float) -> Iterator[int]:
    """Run an engine that waits for a body only so long, and give its port."""
    port = free_port()
    program = (
        f"import engine.server as s, engine.command as c; s.BODY_TIMEOUT_S = {seconds}; raise SystemExit(c.main())"
    )
    command = [sys.executable, "-c", program, "--port", str(port), "--home", str(home), "--registry", registry]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_ready(port, process)
            yield port
        finally:
            process.kill()


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path, registry: Registry) -> None:
    with impatient(tmp_path / "engine", registry.url, 0.9) as port:
        for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n4\r\n")
                began = time.monotonic()
                answer = connection.recv(4000)
                assert answer.startswith(b"HTTP/1.1 408"), answer
                assert b"body_slow" in answer
                assert 0.5 < time.monotonic() - began < 10


def test_orders_at_the_same_time_end_with_the_highest(
    engine: Engine, registry: Registry, version: Callable[..., Sealed], sample: Sample
) -> None:
    """Whatever comes first, the highest order decides what is live, and an older one that comes later is refused."""
    versions = {number: version(number) for number in (1, 2, 3)}
    answers: dict[int, tuple[int, Any]] = {}

    def deploy(number: int) -> None:
        loaded = engine.load(registry, versions[number], number)
        answers[number] = engine.activate(versions[number], number) if loaded[0] == 200 else loaded

    threads = [threading.Thread(target=deploy, args=[number]) for number in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers[3][0] == 200
    refused = [answer["code"] for status, answer in answers.values() if status != 200]
    assert set(refused) <= {"stale_order"}
    assert engine.ask("POST", URL, packed([sample.records[0].tolist()]))[1]["model_version"] == "3"
    assert orjson.loads((engine.home / "models" / "sample.json").read_bytes())["order"] == 3
