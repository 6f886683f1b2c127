"""The first command on a bare machine: every obstacle is told in one sentence, and nothing is installed twice."""

import ast
import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = (ROOT / "bootstrap.py").read_text()
NEWER_SYNTAX = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Match, ast.Nonlocal, ast.Starred)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with bootstrap.py and what it reads, and no .venv."""
    shutil.copy(ROOT / "bootstrap.py", tmp_path)
    for name in ("requirements-uv.txt", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def bootstrap(copy: Path) -> ModuleType:
    """Return the copy as a module."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", copy / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bootstrap.py", *arguments],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_old_pythons_can_read_it() -> None:
    tree = ast.parse(SOURCE, feature_version=(3, 4))
    assert SOURCE.isascii()
    for node in ast.walk(tree):
        assert not isinstance(node, NEWER_SYNTAX), f"line {getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert not any(argument.annotation for argument in node.args.args)
            assert not node.args.kwonlyargs
        assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print")  # a statement in Python 2


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 0), (3, 10, 13), (3, 15, 0)])
def test_an_unsupported_python_is_told_in_one_sentence(version: tuple[int, ...]) -> None:
    code = (
        f"import sys; sys.version_info = {version}; exec(compile(open('bootstrap.py').read(), 'bootstrap.py', 'exec'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert f"this is Python {version[0]}.{version[1]}" in done.stderr


def test_without_a_network_one_sentence_says_so(copy: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    done = run(
        copy,
        "true",
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=nowhere,
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "No package index answers, which the first start needs: connect to the network, then start again."
    ]
    assert not (copy / ".venv" / "installed.json").exists()


def test_what_is_installed_is_not_installed_again(bootstrap: ModuleType, copy: Path) -> None:
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = {name: bootstrap.digest_of(name) for name in (bootstrap.RUNTIME, bootstrap.DEVELOPMENT)}
    (copy / ".venv" / "installed.json").write_text(json.dumps({**stamp, "place": str(copy / ".venv")}))
    done = run(copy, "--dev", "python", "-c", "import sys; print(sys.executable)")
    assert done.stdout == f"{copy}/.venv/bin/python\n"
    assert done.stderr == ""


def record_installs(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make installing only write down what would be installed."""
    done: list[str] = []

    def make() -> None:
        done.append("environment")
        Path(bootstrap.PYTHON).parent.mkdir(parents=True, exist_ok=True)
        Path(bootstrap.PYTHON).touch()

    monkeypatch.setattr(bootstrap, "make_environment", make)
    monkeypatch.setattr(bootstrap, "install", done.append)
    return done


def test_the_development_set_contains_the_runtime_set(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    done = record_installs(bootstrap, monkeypatch)
    bootstrap.prepare(False)
    bootstrap.prepare(False)
    bootstrap.prepare(True)
    bootstrap.prepare(False)
    bootstrap.prepare(True)
    assert done == ["environment", "requirements.txt", "requirements-dev.txt"]


def test_changed_requirements_are_installed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    done = record_installs(bootstrap, monkeypatch)
    bootstrap.prepare(True)
    (copy / "requirements.txt").write_text("other==1\n")
    bootstrap.prepare(False)
    bootstrap.prepare(True)  # the older set was laid over the newer one
    assert done == ["environment", "requirements-dev.txt", "requirements.txt", "requirements-dev.txt"]


def test_an_environment_that_was_moved_is_made_anew(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, copy: Path
) -> None:
    done = record_installs(bootstrap, monkeypatch)
    bootstrap.prepare(False)
    stamp = copy / ".venv" / "installed.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "place": "/elsewhere/.venv"}))
    (copy / "requirements.txt").write_text("other==1\n")
    bootstrap.prepare(False)
    assert done == ["environment", "requirements.txt"] * 2


def test_a_failed_install_leaves_no_stamp(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv" / "installed.json").write_text("{}")

    def fail(arguments: list[str]) -> NoReturn:
        raise bootstrap.Failed("hash mismatch")

    monkeypatch.setattr(bootstrap, "run", fail)
    with pytest.raises(bootstrap.Failed):
        bootstrap.install("requirements.txt")
    assert not (copy / ".venv" / "installed.json").exists()


def test_where_uv_reaches_no_index_pip_is_asked(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def only_pip(arguments: list[str]) -> None:
        asked.append(Path(arguments[0]).name)
        if asked[-1] == "uv":
            raise bootstrap.Failed("error: Failed to fetch: dns error")

    monkeypatch.setattr(bootstrap, "run", only_pip)
    bootstrap.install("requirements.txt")
    assert asked == ["python", "uv", "python"]


def test_without_venv_the_sentence_names_debians_package(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        bootstrap.main(["true"])
    assert ended.value.code == 2
    assert "sudo apt-get install python3-venv" in capsys.readouterr().err


def test_a_full_disk_is_told_before_and_during(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1}))
    with pytest.raises(SystemExit):
        bootstrap.main([])
    assert capsys.readouterr().err.startswith("The disk is full")

    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bootstrap, "make_environment", full)
    with pytest.raises(SystemExit):
        bootstrap.main([])
    assert capsys.readouterr().err.startswith("The disk is full")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("error: No space left on device (os error 28)", "The disk is full"),
        ("error sending request for url (...)", "No package index answers"),
        ("ERROR: ... Temporary failure in name resolution", "No package index answers"),
        (
            "a\nb\nERROR: hashes do not match",
            "The requirements cannot be installed; the installer's last words: a b ERROR",
        ),
    ],
)
def test_an_installers_words_become_a_sentence(bootstrap: ModuleType, words: str, sentence: str) -> None:
    assert bootstrap.sentence_for(words).startswith(sentence)


def test_a_command_that_does_not_exist_is_told(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ), Path.cwd()
    try:
        with pytest.raises(SystemExit):
            bootstrap.become(["no-such-command"])
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        os.chdir(before[1])
    assert "no-such-command cannot be run" in capsys.readouterr().err


LOCKED = ["requirements-uv", "requirements", "requirements-dev", "engine/requirements", "engine/requirements-dask"]


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        assert not line or line.startswith(("#", "-r ", "-c ")) or "==" in line, line
    blocks = (ROOT / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    pins = [line for line in blocks if line and not line.lstrip().startswith("#")]
    assert pins
    for pin in pins:
        assert "==" in pin, pin
        assert "--hash=sha256:" in pin, pin


def test_the_locks_hold_what_is_asked_for() -> None:
    locked = (ROOT / "requirements-dev.txt").read_text()
    for name in ("requirements.in", "requirements-dev.in", "engine/requirements.in", "engine/requirements-dask.in"):
        for line in (ROOT / name).read_text().splitlines():
            if "==" in line:
                package, version = line.partition("#")[0].strip().split("==")
                assert f"\n{package.split('[')[0]}==" in locked, line
                assert f"=={version} " in locked, line
