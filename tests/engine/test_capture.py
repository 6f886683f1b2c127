"""Capture: what this environment is made of, read and not typed; no secret and no data leaves it."""

import json
import platform
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from engine.capture import CaptureError, capture, main, send


def test_a_profile_tells_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLC_SECRET_DB_PASSWORD", "hunter2")
    path = tmp_path / "records.csv"
    path.write_text("a,b\n1,2\n")
    profile = capture([path], ["DB_PASSWORD", "OTHER"])
    assert profile["interpreter"]["version"] == platform.python_version()
    assert profile["packages"]["numpy"] == metadata.version("numpy")
    assert profile["packages"]["scikit-learn"] == metadata.version("scikit-learn")
    assert "BSD" in profile["licences"]["numpy"]
    assert profile["hardware"]["cpus"] >= 1
    assert profile["hardware"]["memory_mb"] > 100
    assert profile["secrets"] == {"DB_PASSWORD": True, "OTHER": False}
    [file] = profile["files"]
    assert (file["name"], file["size"]) == ("records.csv", 8)
    assert len(file["sha256"]) == 64
    text = json.dumps(profile)
    assert "hunter2" not in text
    assert str(tmp_path) not in text
    assert max(map(len, profile["licences"].values())) <= 80


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as refusal:
        capture([tmp_path / "none.csv"])
    assert refusal.value.code == "file_unreadable"
    with pytest.raises(CaptureError) as refusal:
        capture([tmp_path] * 1001)
    assert refusal.value.code == "too_many_files"


@pytest.fixture
def site() -> Any:
    """A site that takes profiles, over real HTTP."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Authorization"], body))
            verdicts = [{"answer": "prohibit", "library": "torch", "version": "2", "reason": "No.", "nearest": "1"}]
            status, answer = (201, {"number": 3, "verdicts": verdicts}) if "lab" in self.path else (404, {})
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got = got  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_profile_is_reported_and_the_policy_heard(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MDLC_TOKEN", "abc")
    address = f"http://127.0.0.1:{site.server_port}/"
    assert main(["--site", address, "--environment", "lab"]) == 1
    [(path, token, profile)] = site.got
    assert (path, token) == ("/api/v1/environments/lab/profiles/", "Bearer abc")
    assert profile["profile"] == 1
    assert "prohibit  torch 2: No. Nearest allowed: 1." in capsys.readouterr().out
    with pytest.raises(CaptureError) as refusal:
        send(profile, site=address, environment="other", token="abc")
    assert refusal.value.code == "site_refuses"


@pytest.mark.parametrize("site", ["http://127.0.0.1:9", "file:///etc/passwd", "nowhere"], indirect=False)
def test_a_site_that_is_not_there_is_told(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--site", site, "--environment", "lab"]) == 2
    assert capsys.readouterr().err


def test_without_a_site_the_profile_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == 1
