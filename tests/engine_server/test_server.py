"""The server itself: tokens, sizes, health, metrics, and answers that never show a stack trace."""

from __future__ import annotations

import http.client
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from benchmarks.serving import TOKEN, Engine, Registry, Sample, Sealed, packed, seal

URL = "/v2/models/sample/infer"


@pytest.mark.parametrize("token", ["", "wrong", "é", "a token for tests and benchmark", "x" * 5000])
@pytest.mark.parametrize(
    "act", ["models/m/load", "models/m/activate", "models/m/unload", "models/m/runs", "streams/ask"]
)
def test_orders_need_the_token(engine: Engine, token: str, act: str) -> None:
    header = f"Bearer {token}".encode()
    body = orjson.dumps({"parameters": {"order": 1, "version": "1"}})
    with socket.create_connection(("127.0.0.1", engine.port)) as connection:
        head = f"POST /v2/repository/{act} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nAuthorization: "
        connection.sendall(head.encode() + header + b"\r\n\r\n" + body)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'"unauthorised"' in answer


def test_the_profile_needs_the_token_and_tells_no_secret(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "DB_PASSWORD").write_text("hunter2")
    engine = Engine(tmp_path / "engine", registry.url, secrets=tmp_path)
    try:
        assert engine.ask("GET", "/v2/profile")[0] == 401
        allowed = {"Authorization": f"Bearer {TOKEN}"}
        status, profile = engine.ask("GET", "/v2/profile?secret=DB_PASSWORD&secret=OTHER", None, allowed)
        assert status == 200
        assert profile["packages"]["onnxruntime"] == metadata.version("onnxruntime")
        assert profile["interpreter"]["version"] == platform.python_version()
        assert profile["secrets"] == {"DB_PASSWORD": True, "OTHER": False}
        assert "hunter2" not in str(profile)
        assert engine.ask("GET", "/v2/profile", None, allowed)[1]["secrets"] == {}
    finally:
        engine.kill()


def test_the_counts_need_the_token_and_tell_each_version_apart(engine: Engine, live: Sealed, sample: Sample) -> None:
    assert engine.ask("GET", "/v2/counts")[0] == engine.ask("GET", "/v2/counts", None, {"Authorization": "x"})[0] == 401
    assert engine.ask("POST", URL, packed(sample.records[:2].tolist()))[0] == 200
    assert engine.ask("POST", URL, b"{")[0] == 400
    status, told = engine.ask("GET", "/v2/counts", None, {"Authorization": f"Bearer {TOKEN}"})
    [counted] = told["versions"]
    assert (status, counted["model"], counted["version"]) == (200, "sample", "1")
    assert (counted["statuses"], counted["records"]) == ({"200": 1, "400": 1}, 2)
    assert counted["rejects"] == {"bad_json": 1}
    assert sum(counted["buckets"]) == 1
    assert len(counted["buckets"]) == len(told["bounds_s"]) + 1
    assert told["started"] <= counted["began"] <= time.time()


def test_without_a_token_every_order_is_refused(tmp_path: Path, registry: Registry) -> None:
    engine = Engine(tmp_path / "engine", registry.url, token="")
    try:
        assert engine.order("m", "unload", token="", order=1, version="1")[0] == 401
    finally:
        engine.kill()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200), ("GET", "/v2/health/live", 200), ("GET", "/v2/health/ready", 200),
        ("GET", "/metrics", 200), ("GET", "/v2/models/sample", 200), ("GET", "/v2/models/sample/versions/1", 200),
        ("GET", "/v2/models/sample/ready", 200), ("GET", "/v2/models/sample/versions/1/ready", 200),
        ("POST", "/v2/repository/index", 200), ("GET", "/v2/models/sample/versions/2", 404),
        ("GET", "/v2/models/other/ready", 404), ("GET", "/", 404), ("GET", "/v2/models/sample/versions/", 404),
        ("GET", "/etc/passwd", 404), ("GET", "/v2/models/../../x", 404), ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/sample/versions/9/infer", 404), ("POST", "/x/infer", 404),
        ("GET", "/v2/models/sample/infer", 405), ("DELETE", "/v2/models/sample", 405), ("POST", "/v2", 405),
    ],
)  # fmt: skip
def test_every_path(engine: Engine, live: Sealed, method: str, path: str, status: int) -> None:
    body: Any = {"inputs": [{}]} if method == "POST" and path.endswith("infer") else None
    assert engine.ask(method, path, body)[0] == status


def test_too_large_bodies_are_refused_before_they_are_read(tmp_path: Path, registry: Registry) -> None:
    engine = Engine(tmp_path / "engine", registry.url, "--largest-body", "1000")
    try:
        for head, tail in (
            (b"Content-Length: 9999999999", b""),
            (b"Content-Length: 1001", b"x" * 1001),
            (b"Transfer-Encoding: chunked", b"800\r\n" + b"x" * 2048 + b"\r\n0\r\n\r\n"),
        ):
            with socket.create_connection(("127.0.0.1", engine.port)) as connection:
                connection.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + tail)
                assert connection.recv(1000).startswith(b"HTTP/1.1 413")
        assert engine.ask("POST", URL, b"x" * 1000)[0] == 404
    finally:
        engine.kill()


def test_health_answers_while_batches_run(engine: Engine, live: Sealed, sample: Sample) -> None:
    body = orjson.dumps(packed((np.vstack([sample.records] * 20)[:10_000]).tolist()))
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            assert engine.ask("POST", URL, body)[0] == 200

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    took = []
    try:
        time.sleep(0.3)
        for _ in range(30):
            began = time.monotonic()
            assert engine.ask("GET", "/v2/health/live")[0] == 200
            took.append(time.monotonic() - began)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sorted(took)[len(took) // 2] < 0.25


def test_slow_clients_hold_up_nobody(engine: Engine, live: Sealed, sample: Sample) -> None:
    head = b"POST /v2/models/sample/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
    held = [socket.create_connection(("127.0.0.1", engine.port)) for _ in range(200)]
    for connection in held:
        connection.sendall(head)
    assert engine.ask("POST", URL, packed([sample.records[0].tolist()]))[0] == 200
    for connection in held:
        connection.close()


def samples(text: str) -> dict[str, float]:
    """Parse the Prometheus text format, strictly enough to notice a broken line."""
    found, kinds = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            kinds.add(line.split()[2])
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            base = name.split("{")[0]
            assert base in kinds or base.rsplit("_", 1)[0] in kinds
            assert name not in found
            found[name] = float(value)
    return found


def test_metrics_count_what_happened(engine: Engine, live: Sealed, sample: Sample) -> None:
    rows = sample.records[:5].tolist()
    for _ in range(3):
        engine.ask("POST", URL, packed(rows))
    engine.ask("POST", URL, packed([[-1.0, *rows[0][1:]]]))
    engine.ask("POST", URL, b"{")
    engine.ask("POST", "/v2/models/nobody-knows/infer", packed(rows))
    found = samples(engine.ask("GET", "/metrics")[1].decode())
    of = 'model="sample",version="1"'
    assert found[f'mdlc_engine_requests_total{{{of},status="200"}}'] == 3
    assert found[f'mdlc_engine_requests_total{{{of},status="400"}}'] == 2
    assert found[f"mdlc_engine_records_total{{{of}}}"] == 15
    assert found[f'mdlc_engine_rejects_total{{{of},cause="minimum"}}'] == 1
    assert found[f'mdlc_engine_rejects_total{{{of},cause="bad_json"}}'] == 1
    assert found['mdlc_engine_rejects_total{model="",version="",cause="unknown_model"}'] == 1
    assert found[f'mdlc_engine_request_seconds_bucket{{{of},le="+Inf"}}'] == 3
    assert found[f"mdlc_engine_request_seconds_count{{{of}}}"] == 3
    assert found[f'mdlc_engine_live_info{{{of},digest="{live.digest}"}}'] == 1
    assert 20e6 < found["process_resident_memory_bytes"] < 200e6
    assert found["mdlc_engine_ready"] == 1


def test_a_breach_of_the_output_schema_is_no_answer(engine: Engine, registry: Registry, sample: Sample) -> None:
    """Probabilities that are not what the output schema promises give a 500-class answer, counted by cause."""
    outputs: dict[str, Any] = orjson.loads(orjson.dumps(sample.output_schema))
    outputs["fields"][1]["maximum"] = 0.5
    sealed = seal("sample", 1, sample.elements() | {"output_schema": orjson.dumps(outputs)})
    engine.load(registry, sealed, 1)
    engine.activate(sealed, 1)
    for count in (1, 500):
        status, answer = engine.ask("POST", URL, packed(sample.records[:count].tolist()))
        assert (status, answer["code"]) == (500, "output_breach")
        assert answer["violations"][0]["field"] == "probabilities"
        assert "outputs" not in answer
    assert b'cause="maximum"' in engine.ask("GET", "/metrics")[1]


def test_what_was_begun_is_scored_before_it_ends(engine: Engine, live: Sealed, sample: Sample) -> None:
    body = orjson.dumps(packed(sample.records[:2].tolist()))
    line = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=20)
    line.putrequest("POST", URL)
    line.putheader("Content-Length", str(len(body)))
    line.endheaders(body[:20])
    time.sleep(0.2)
    engine.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    line.send(body[20:])
    answer = line.getresponse()
    assert (answer.status, len(orjson.loads(answer.read())["outputs"][0]["data"])) == (200, 2)
    assert engine.process.wait(20) == 0


def test_it_ends_when_told(engine: Engine, live: Sealed) -> None:
    assert engine.stop() == 0


def test_a_taken_port_is_told_in_a_sentence(engine: Engine, tmp_path: Path, registry: Registry) -> None:
    command = [sys.executable, "-m", "engine", "--port", str(engine.port), "--home", str(tmp_path / "other")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1].startswith("engine: cannot serve at 127.0.0.1")
    assert "Traceback" not in ended.stderr
