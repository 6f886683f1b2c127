"""Capture: what this environment is made of, read and not typed; no secret and no data leaves it."""

import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import packaging
import pytest

from engine import client
from engine.capture import Answer, CaptureError, capture, main, report, send
from engine.runner import ROOT


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
            refusal = {"code": "hidden", "message": "There is no such environment.", "todo": "", "fields": {}}
            status, answer = (201, {"number": 3, "verdicts": verdicts}) if "lab" in self.path else (404, refusal)
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
    with pytest.raises(CaptureError, match=r"^There is no such environment\.$") as refusal:
        send(profile, site=address, environment="other", token="abc")
    assert refusal.value.code == "site_refuses"


def test_one_line_in_a_notebook_shows_what_it_answers(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLC_SITE", f"http://127.0.0.1:{site.server_port}")
    monkeypatch.setenv("MDLC_TOKEN", "abc")
    answer = report("lab")
    assert [one["library"] for one in answer.barred] == ["torch"]
    assert repr(answer).splitlines() == [
        "Recorded as profile 3; 1 libraries need a look.",
        "prohibit  torch 2: No. Nearest allowed: 1.",
    ]


def test_what_is_said_of_many_libraries_takes_one_line() -> None:
    said = {"answer": "warn", "reason": "It is not listed here.", "nearest": ""}
    barred = {"answer": "prohibit", "reason": "No.", "nearest": "", "version": "1"}
    many = [{**said, "library": f"l{n}", "version": "1", "environment": e} for n in range(9) for e in ("clinic", "lab")]
    asked = {**barred, "library": "b", "environment": "clinic", "asked_for": True}
    let_in = {**barred, "library": "c", "environment": "clinic", "let_in_until": "2027-01-01"}
    answer = Answer("http://x", 4, ({**barred, "library": "a", "environment": "clinic"}, asked, let_in, *many))
    assert str(answer).splitlines() == [
        "Recorded as profile 4; 12 libraries need a look.",
        "prohibit  a 1 in clinic: No.",
        "prohibit  b 1 in clinic: No. An exception is asked for.",
        "prohibit  c 1 in clinic: No. Let in until 2027-01-01.",
        "warn      9 libraries in clinic, lab: It is not listed here. l0 1, l1 1, l2 1, l3 1, l4 1, l5 1, and 3 more.",
        "Ask IT for an exception: "
        "POST http://x/api/v1/environments/clinic/exceptions/ with library, version and reason.",
    ]
    assert [one["library"] for one in answer.barred] == ["a", "b"]


@pytest.mark.parametrize("site", ["http://127.0.0.1:9", "file:///etc/passwd", "nowhere", ""], indirect=False)
def test_a_site_that_is_not_there_is_told(
    site: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MDLC_TOKEN", "abc")
    assert main(["--site", site, "--environment", "lab"]) == 2
    assert capsys.readouterr().err


def test_without_a_token_nothing_is_sent(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MDLC_TOKEN", raising=False)
    with pytest.raises(CaptureError, match=r"MDLC_TOKEN.*/api/v1/tokens/") as refusal:
        report("lab", site=f"http://127.0.0.1:{site.server_port}")
    assert refusal.value.code == "token_missing"
    assert not site.got


def test_without_an_environment_the_profile_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert client.main(["capture"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == 1
    assert client.main(["capture-all"]) == client.main([]) == 2
    assert "mdlc capture --help" in capsys.readouterr().err


def test_the_client_is_installed_by_itself_and_needs_nothing_else(tmp_path: Path) -> None:
    """Build what `pip install` of this folder builds, and run it with nothing but Python and `packaging` beside it."""
    uv = Path(sys.executable).with_name("uv")
    build = [str(uv), "build", "--offline", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=60)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"engine", "mdlc_handoff"}
    [scripts] = [name for name in names if name.endswith("entry_points.txt")]
    assert "mdlc = engine.client:main" in zipfile.ZipFile(wheel).read(scripts).decode()
    (tmp_path / "beside").mkdir()
    os.symlink(Path(packaging.__path__[0]), tmp_path / "beside" / "packaging")
    program = "import sys; sys.path[:0] = sys.argv[1:]; from engine.client import main; sys.exit(main(['capture']))"
    command = [sys.executable, "-S", "-I", "-c", program, str(wheel), str(tmp_path / "beside")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["packages"]["mdlc-handoff"]
