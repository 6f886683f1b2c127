"""A real scoring engine with a real model behind it: what the engine's benchmark and its tests start."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import rfc8785

ROOT = Path(__file__).parent.parent
TOKEN = "a token for tests and benchmarks"


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Sample:
    """The breast-cancer data of scikit-learn and a classifier trained on it, as ONNX."""

    names: list[str]
    records: np.ndarray
    onnx: bytes
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    @classmethod
    def train(cls, trees: int = 100) -> Sample:
        """Train boosted trees; takes about a second."""
        from skl2onnx import to_onnx  # heavy, and only the parent of a benchmark or test needs it
        from sklearn.datasets import load_breast_cancer
        from sklearn.ensemble import GradientBoostingClassifier

        data = load_breast_cancer()
        names = [str(name).replace(" ", "_") for name in data.feature_names]
        fitted = GradientBoostingClassifier(n_estimators=trees, random_state=0).fit(data.data, data.target)
        graph = to_onnx(fitted, data.data[:1].astype("f4"), options={"zipmap": False}, target_opset=17)
        tops = data.data.max(axis=0)
        fields = [
            {"name": name, "type": "float", "minimum": 0.0, "maximum": float(np.ceil(top * 2))}
            for name, top in zip(names, tops, strict=True)
        ]
        probabilities = {"type": "array", "items": "float"}
        outputs = [
            {"name": "label", "type": "long", "allowed": [0, 1]},
            {"name": "probabilities", "type": probabilities, "size": 2, "minimum": 0.0, "maximum": 1.0},
        ]
        return cls(
            names,
            np.ascontiguousarray(data.data),
            graph.SerializeToString(),
            {"type": "record", "name": "Input", "fields": fields},
            {"type": "record", "name": "Output", "fields": outputs},
        )

    def elements(self) -> dict[str, bytes]:
        """Return the elements that an engine needs, by name."""
        return {
            "model": self.onnx,
            "input_schema": orjson.dumps(self.input_schema),
            "output_schema": orjson.dumps(self.output_schema),
        }


@dataclass
class Sealed:
    """A version as the registry holds it."""

    model: str
    version: int
    blobs: dict[str, bytes]
    manifest: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Hash the manifest."""
        self.digest = hashlib.sha256(self.manifest.encode()).hexdigest()


def seal(model: str, version: int, elements: dict[str, bytes], fmt: str = "onnx") -> Sealed:
    """Return a version whose manifest lists the elements."""
    listed = [
        {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "filename": f"{name}.bin"}
        for name, content in sorted(elements.items())
    ]
    told: Any = {"manifest": 1, "model": model, "version": version, "format": fmt, "elements": listed}
    blobs = {hashlib.sha256(content).hexdigest(): content for content in elements.values()}
    return Sealed(model, version, blobs, rfc8785.dumps(told).decode())


class Registry:
    """A small real HTTP server that hands out blobs below /blobs/, and can be told to behave badly."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.blobs: dict[str, bytes] = {}
        self.delay = 0.0
        self.asked: list[str] = []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                registry.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/blobs/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Send a blob, or a redirect for names that ask for one."""
        time.sleep(self.delay)
        if handler.path.startswith("/blobs/redirect/"):
            handler.send_response(302)
            handler.send_header("Location", handler.path.replace("/redirect", ""))
            handler.end_headers()
            return
        content = self.blobs.get(handler.path.removeprefix("/blobs/"))
        handler.send_response(200 if content is not None else 404)
        handler.send_header("Content-Length", str(len(content or b"")))
        handler.end_headers()
        handler.wfile.write(content or b"")

    def hold(self, sealed: Sealed) -> dict[str, str]:
        """Keep a version's blobs, and return their URLs."""
        self.blobs |= sealed.blobs
        return {sha256: self.url + sha256 for sha256 in sealed.blobs}

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


class Engine:
    """A scoring engine in a process of its own."""

    def __init__(
        self,
        home: Path,
        registry: str,
        *more: str,
        token: str = TOKEN,
        ready_within: float = 60,
        secrets: Path | None = None,
    ) -> None:
        """Start it and return when it answers ready; `seconds` tells how long that took."""
        self.home, self.port = home, free_port()
        command = [
            sys.executable,
            "-m",
            "engine",
            "--port",
            str(self.port),
            "--home",
            str(home),
            "--registry",
            registry,
            *more,
        ]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "MDLC_ENGINE_TOKEN": token}
        env |= {"MDLC_SECRETS_DIR": str(secrets)} if secrets else {}
        started = time.perf_counter()
        self.log = home.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            wait_ready(self.port, self.process, seconds=ready_within)
        except RuntimeError:
            self.process.kill()
            self.process.wait()
            raise
        self.seconds = time.perf_counter() - started

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send one request and return its status and its JSON (or bytes when the answer is none)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = body if isinstance(body, (bytes, type(None))) else orjson.dumps(body)
            connection.request(method, path, sent, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, orjson.loads(content) if is_json else content
        finally:
            connection.close()

    def order(self, model: str, act: str, token: str = TOKEN, **parameters: Any) -> tuple[int, Any]:
        """Send an order of the repository extension."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.ask("POST", f"/v2/repository/models/{model}/{act}", {"parameters": parameters}, headers)

    def load(self, registry: Registry, sealed: Sealed, order: int, **other: Any) -> tuple[int, Any]:
        """Order a version to be staged."""
        wanted: dict[str, Any] = {
            "order": order,
            "version": str(sealed.version),
            "digest": sealed.digest,
            "manifest": sealed.manifest,
            "blobs": registry.hold(sealed),
        }
        return self.order(sealed.model, "load", **(wanted | other))

    def activate(self, sealed: Sealed, order: int) -> tuple[int, Any]:
        """Order a version to be made live."""
        return self.order(sealed.model, "activate", order=order, version=str(sealed.version), digest=sealed.digest)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it politely and return its exit code."""
        self.process.terminate()
        return self.process.wait(10)


def packed(rows: list[list[Any]], datatype: str = "FP64") -> dict[str, Any]:
    """Return a request with one packed tensor."""
    data = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    return {"inputs": [{"name": "records", "datatype": datatype, "shape": shape, "data": data}]}


def wait_ready(
    port: int, process: subprocess.Popen[bytes], path: str = "/v2/health/ready", seconds: float = 60
) -> None:
    """Return when a server answers 200. Raises when its process ends or takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise RuntimeError(f"the server was not ready within {seconds} s")
