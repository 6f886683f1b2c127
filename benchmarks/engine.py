"""Measures the scoring engine beside mlserver 1.7.1 and beside onnxruntime alone: `python -m benchmarks.engine`.

Same model (boosted trees on scikit-learn's breast-cancer data, as ONNX), same records, one run; each figure is the
median of several rounds, in which the servers take turns. mlserver runs as it comes (one worker process: the peer that
the goals speak of) and, to be fair, also without the worker process, which suits a small model better. It checks no
record; our engine checks every record in and out. mlserver's binary door is gRPC with raw tensors: its HTTP has none.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.serving import ROOT, Engine, Registry, Sample, free_port, seal, wait_ready
from benchmarks.table import Row, printed

ROUNDS = 5
SECONDS = 1.5
CLIENTS = (1, 8, 32)
PEER = ROOT / "var" / "bench-mlserver"
PEER_PACKAGES = ["mlserver==1.7.1", "uvloop<0.22", "onnxruntime==1.32.0"]
FILES = Path(__file__).parent / "mlserver"
GOALS = {("1 row JSON", 8): 10.0, ("1,000 rows JSON", 8): 1.6, ("1,000 rows binary", 8): 2.5}


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request: its name and the files with the bytes for us and for mlserver."""

    name: str
    rows: int
    ours: Path
    peers: Path
    peers_kind: str = "http"


@dataclass(frozen=True, slots=True)
class Peer:
    """A running mlserver."""

    process: subprocess.Popen[bytes]
    http: int
    grpc: int
    seconds: float


def http_request(body: bytes, header_length: int | None = None) -> bytes:
    """Return an inference request as the bytes of HTTP/1.1."""
    kind = "application/json" if header_length is None else "application/octet-stream"
    extra = "" if header_length is None else f"Inference-Header-Content-Length: {header_length}\r\n"
    head = f"POST /v2/models/sample/infer HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def json_request(records: np.ndarray) -> bytes:
    """Return records as one packed JSON tensor."""
    tensor = {"name": "records", "datatype": "FP64", "shape": list(records.shape), "data": records.ravel().tolist()}
    return http_request(orjson.dumps({"inputs": [tensor]}))


def binary_request(records: np.ndarray) -> bytes:
    """Return records as one packed binary tensor, with the answer asked for in binary too."""
    raw = records.astype("<f4").tobytes()
    tensor = {"name": "records", "datatype": "FP32", "shape": list(records.shape)}
    head = orjson.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}],
            "parameters": {"binary_data_output": True},
        }
    )
    return http_request(head + raw, len(head))


def write_loads(records: np.ndarray, folder: Path) -> list[Load]:
    """Write the bytes of every kind of request."""
    many = np.vstack([records, records])[:1000]
    contents = {
        "one.json": json_request(records[:1]),
        "many.json": json_request(many),
        "many.bin": binary_request(many),
        "many.raw": many.astype("<f4").tobytes(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    shape = [str(size) for size in many.shape]
    python = PEER / "bin" / "python"
    files = [str(folder / "many.raw"), str(folder / "many.grpc")]
    subprocess.run([python, FILES / "grpc_request.py", *shape, *files], check=True)
    return [
        Load("1 row JSON", 1, folder / "one.json", folder / "one.json"),
        Load("1,000 rows JSON", 1000, folder / "many.json", folder / "many.json"),
        Load("1,000 rows binary", 1000, folder / "many.bin", folder / "many.grpc", "grpc"),
    ]


def install_peer() -> None:
    """Make mlserver's own virtual environment unless it is there."""
    if (PEER / "bin" / "mlserver").exists():
        return
    uv = [shutil.which("uv") or str(Path(sys.executable).parent / "uv")]
    subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, PEER], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", PEER / "bin" / "python", *PEER_PACKAGES], check=True)


@contextmanager
def peer(folder: Path, onnx: bytes, workers: int) -> Iterator[Peer]:
    """Run mlserver with the sample model."""
    home = folder / f"mlserver-{workers}"
    home.mkdir()
    (home / "model.onnx").write_bytes(onnx)
    http, grpc = free_port(), free_port()
    settings = {
        "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": free_port(),
        "parallel_workers": workers, "debug": False, "environments_dir": str(home / "environments"),
    }  # fmt: skip
    model = {"name": "sample", "implementation": "onnx_runtime.OnnxRuntime", "parameters": {"uri": "./model.onnx"}}
    (home / "settings.json").write_bytes(orjson.dumps(settings))
    (home / "model-settings.json").write_bytes(orjson.dumps(model))
    env = {"PATH": f"{PEER / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(FILES)}
    began = time.perf_counter()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [PEER / "bin" / "mlserver", "start", home], cwd=home, env=env, stdout=log, stderr=log
        )
    try:
        wait_ready(http, process, "/v2/models/sample/ready")
        yield Peer(process, http, grpc, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def engine(folder: Path, sample: Sample) -> Iterator[Engine]:
    """Run our engine with the sample model live, started a second time so that its start includes loading it."""
    registry = Registry()
    sealed = seal("sample", 1, sample.elements())
    first = Engine(folder / "engine", registry.url)
    for status, told in (first.load(registry, sealed, 1), first.activate(sealed, 1)):
        if status != 200:
            raise RuntimeError(f"the engine refused the sample: {told}")
    first.stop()
    running = Engine(folder / "engine", registry.url)
    try:
        yield running
    finally:
        running.stop()
        registry.close()


def measure(kind: str, port: int, file: Path, clients: int) -> float:
    """Return the answers a second that a load from a process of its own got."""
    python = PEER / "bin" / "python" if kind == "grpc" else sys.executable
    command = [python, Path(__file__).parent / "load.py", kind, str(port), str(clients), str(SECONDS), file]
    figures = orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return float(figures["rate"])


def floor(sample: Sample, rows: int, _clients: int) -> float:
    """Return how many times a second onnxruntime alone scores so many rows, on one thread."""
    import onnxruntime  # only here: the servers measured load their own

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(sample.onnx, options, providers=["CPUExecutionProvider"])
    matrix = np.vstack([sample.records, sample.records])[:rows].astype("f4")
    name, count, began = session.get_inputs()[0].name, 0, time.perf_counter()
    while (took := time.perf_counter() - began) < SECONDS / 2:
        session.run(None, {name: matrix})
        count += 1
    return count / took


def memory_mb(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process and all its descendants."""
    total, waiting = 0, [process.pid]
    while waiting:
        at = Path("/proc") / str(waiting.pop())
        status = dict(line.split(":\t", 1) for line in (at / "status").read_text().splitlines() if ":\t" in line)
        total += int(status["VmRSS"].split()[0])
        waiting += [int(pid) for pid in (at / "task" / at.name / "children").read_text().split()]
    return total / 1024


def rate_rows(sample: Sample, loads: list[Load], ours: Engine, usual: Peer, lean: Peer) -> Iterator[Row]:
    """Measure every kind of request at every number of clients."""
    for load in loads:
        runs: dict[str, Callable[[int], float]] = {
            "ours": partial(measure, "http", ours.port, load.ours),
            "usual": partial(measure, load.peers_kind, _port(usual, load), load.peers),
            "lean": partial(measure, load.peers_kind, _port(lean, load), load.peers),
            "floor": partial(floor, sample, load.rows),
        }
        for clients in CLIENTS:
            found = [{name: run(clients) for name, run in runs.items()} for _ in range(ROUNDS)]
            medians = {name: statistics.median(one[name] for one in found) for name in runs}
            yield from _compare(load, clients, medians)


def _port(one: Peer, load: Load) -> int:
    return one.grpc if load.peers_kind == "grpc" else one.http


def _compare(load: Load, clients: int, rate: dict[str, float]) -> Iterator[Row]:
    """Return the rows of one measurement: against mlserver twice, and against the floor."""
    name = f"{load.name}, {clients} client{'s' * (clients > 1)}"
    value = f"{rate['ours']:,.0f}/s"
    goal = GOALS.get((load.name, clients))
    ratio = rate["ours"] / rate["usual"]
    yield Row(
        name,
        value,
        f"mlserver {rate['usual']:,.0f}/s",
        ratio,
        f">= {goal:g}" if goal else "",
        ratio >= goal if goal else None,
    )
    yield Row(name, value, f"mlserver, no worker process {rate['lean']:,.0f}/s", rate["ours"] / rate["lean"])
    yield Row(name, value, f"onnxruntime in process {rate['floor']:,.0f}/s", rate["ours"] / rate["floor"])


def process_rows(ours: Engine, usual: Peer, lean: Peer) -> Iterator[Row]:
    """Compare memory after all the load, and time from start to ready."""
    mine = memory_mb(ours.process)
    for title, one, goal in (("mlserver", usual, 1 / 3), ("mlserver, no worker process", lean, None)):
        theirs = memory_mb(one.process)
        met = mine / theirs <= goal if goal else None
        yield Row(
            "memory after the load",
            f"{mine:.0f} MB",
            f"{title} {theirs:.0f} MB",
            mine / theirs,
            "<= 0.33" if goal else "",
            met,
        )
    ratio = ours.seconds / usual.seconds
    yield Row(
        "start to ready",
        f"{ours.seconds:.2f} s",
        f"mlserver {usual.seconds:.2f} s",
        ratio,
        "under 1 s",
        ours.seconds < 1,
    )


def rows() -> list[Row]:
    """Run the whole benchmark."""
    install_peer()
    sample = Sample.train()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loads = write_loads(sample.records, folder)
        with (
            engine(folder, sample) as ours,
            peer(folder, sample.onnx, 1) as usual,
            peer(folder, sample.onnx, 0) as lean,
        ):
            return [*rate_rows(sample, loads, ours, usual, lean), *process_rows(ours, usual, lean)]


def main(*_: Any) -> None:
    """Print the table."""
    print(printed(rows(), "Scoring engine (medians of several rounds; the schema is checked on our side only)"))


if __name__ == "__main__":
    main()
