"""The process manager and the demo around it, with real processes: restart, stop, and no process left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdlc_site.local import demo as demo_module
from mdlc_site.local import installation, processes
from mdlc_site.local.demo import Demo, Stopped
from mdlc_site.local.installation import TOKEN, Ports, environment, ports, secrets_of
from mdlc_site.local.processes import Processes
from mdlc_site.local.trouble import Trouble, check_port
from tests.processes import eventually, free_port

# Starts a child of its own, tells both process ids, and minds no polite request.
STUBBORN = "import signal, subprocess, os, time; signal.signal(15, signal.SIG_IGN); \
c = subprocess.Popen(['sleep', '90']); print(os.getpid(), c.pid, flush=True); time.sleep(90)"
POLITE = "import time; print('ready', flush=True); time.sleep(90)"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Processes]:
    """A manager whose processes are all stopped at the end."""
    one = Processes(tmp_path / "log", tmp_path)
    yield one
    one.stop()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


def test_what_a_process_says_goes_to_a_log_of_its_own(manager: Processes) -> None:
    manager.start("speaker", python("import sys; print('heard'); print('and this', file=sys.stderr)"), {})
    log = manager.log_of("speaker")
    eventually(lambda: "heard" in log.read_text() and "and this" in log.read_text(), "both are written")
    assert log.read_text().startswith("--- speaker starts at ")


def test_a_large_log_is_put_aside(manager: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LARGEST_LOG", 3)
    manager.logs.mkdir()
    manager.log_of("speaker").write_text("old words")
    manager.start("speaker", ["true"], {})
    assert (manager.logs / "speaker.log.1").read_text() == "old words"


def test_a_killed_process_is_started_again_and_told(manager: Processes, capfd: pytest.CaptureFixture[str]) -> None:
    child = manager.start("worker", python(POLITE), {})
    assert child.process is not None
    first = child.process.pid
    manager.watch()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: child.process is not None and child.process.pid != first, "it is started again", 10)
    assert child.process.poll() is None
    assert "worker was ended by signal SIGKILL; it starts again in 0.5 s" in capfd.readouterr().err


def test_one_that_dies_at_once_is_tried_ever_more_rarely(manager: Processes, capfd: pytest.CaptureFixture[str]) -> None:
    child = manager.start("broken", python("raise SystemExit(3)"), {})
    other = manager.start("other", python(POLITE), {})
    assert other.process is not None
    first = other.process.pid
    manager.watch()
    eventually(lambda: child.failures >= 2, "it died twice", 15)
    os.kill(first, signal.SIGKILL)  # the long pause of one does not hold up another
    eventually(lambda: other.process is not None and other.process.pid != first, "the other is started again", 5)
    said = capfd.readouterr().err
    assert "broken ended with code 3; it starts again in 0.5 s" in said
    assert "broken ended with code 3; it starts again in 1 s" in said


def test_stop_leaves_no_process_not_even_a_stubborn_ones_child(
    manager: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.5)
    manager.start("stubborn", python(STUBBORN), dict(os.environ))
    manager.start("polite", python(POLITE), {})
    log = manager.log_of("stubborn")
    eventually(lambda: len(log.read_text().splitlines()) == 2, "it told its numbers")
    pids = [int(word) for word in log.read_text().splitlines()[1].split()]
    pids += [child.process.pid for child in manager.children if child.process is not None]
    manager.watch()
    manager.stop()
    eventually(lambda: not any(map(lives, pids)), "all are gone", 5)


def test_stop_during_a_pause_starts_nothing_again(manager: Processes) -> None:
    child = manager.start("broken", ["false"], {})
    manager.watch()
    eventually(lambda: child.due is not None, "it waits to start again", 5)
    manager.stop()
    runs = manager.log_of("broken").read_text().count("starts at")
    time.sleep(0.7)
    assert manager.log_of("broken").read_text().count("starts at") == runs


def test_a_death_while_starting_is_told_with_its_last_words(manager: Processes) -> None:
    manager.start("web", python("raise SystemExit('the settings are odd')"), {})
    eventually(lambda: manager.children[0].process.poll() is not None, "it has ended")  # type: ignore[union-attr]
    with pytest.raises(Trouble, match="The process web has ended: the settings are odd"):
        manager.check()


def test_a_used_port_is_told_in_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Trouble, match=f"Port {port}, which the site needs, is used by another program.*MDLC_PORT="):
            check_port(port, "site", "MDLC_PORT")
    check_port(port, "site", "MDLC_PORT")


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1", "²"])
def test_an_odd_port_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MDLC_PORT", text)
    with pytest.raises(Trouble, match="MDLC_PORT must be a port number"):
        ports()


def test_secrets_are_drawn_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    drawn = secrets_of(tmp_path)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert len(drawn["SECRET_KEY"]) >= 50
    assert secrets_of(tmp_path) == drawn


def test_broken_secrets_are_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(Trouble, match="cannot be read"):
        secrets_of(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_only_the_engine_and_the_deployments_worker_hold_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "from-the-shell")
    at = Ports(8000, 8600)
    assert TOKEN not in environment(tmp_path, {}, at)
    trusted = {one.name for one in installation.processes(tmp_path, at) if one.trusted}
    assert trusted == {"engine", "worker-deployments"}


def test_the_procfile_lists_the_same_processes(tmp_path: Path) -> None:
    lines = (installation.ROOT / "Procfile").read_text().splitlines()
    listed = {line.split(":", 1)[0] for line in lines if line and not line.startswith("#")}
    assert listed == {one.name for one in installation.processes(tmp_path, Ports(8000, 8600))}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a demo over this test's folder, on ports of its own."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PG", "DJANGO", "MDLC"))},
        "MDLC_HOME": str(tmp_path / "var"),
        "MDLC_PORT": str(free_port()),
        "MDLC_ENGINE_PORT": str(free_port()),
    }


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_stop_leaves_no_process(small: dict[str, str], tmp_path: Path, number: int) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom mdlc_site.local import demo, __main__ as entry\n"
        "talk = 'import time; print(\"telling\", flush=True); time.sleep(60)'\n"
        "demo.BEFORE = demo.MEANWHILE = []\ndemo.Demo.wait_for = lambda self, url: None\n"
        "demo.AFTER = [['shell', '-c', talk]]\n"
        "demo.Demo.start_processes = lambda self: self.processes.start('idle', ['sleep', '60'], {})\n"
        "sys.exit(entry.main(['demo']))\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**small, "PYTHONPATH": str(installation.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        said = ""
        while "telling" not in said:
            line = run.stdout.readline()
            assert line, said
            said += line
        family = descendants(run.pid)
        assert len(family) >= 4  # PostgreSQL, Valkey, the idle one and the command, at the least
        run.send_signal(number)
        said = run.communicate(timeout=30)[0]
    assert run.returncode == 130
    assert "Stopping every process" in said
    assert "Traceback" not in said
    eventually(lambda: not any(map(lives, family)), "all are gone", 5)


def descendants(pid: int) -> list[int]:
    """Return the process ids of all that a process and its children have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.mark.processes
def test_a_demo_on_a_used_port_ends_with_one_sentence_and_starts_nothing(small: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(small["MDLC_ENGINE_PORT"])))
        other.listen()
        run = subprocess.run(
            [sys.executable, "-m", "mdlc_site.local", "demo"],
            cwd=installation.ROOT,
            env=small,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert f"Port {small['MDLC_ENGINE_PORT']}, which the engine needs, is used" in run.stderr
    assert not Path(small["MDLC_HOME"], "postgres").exists()


def test_a_step_that_fails_is_named(tmp_path: Path, manager: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "BEFORE", [["no_such_command"]])
    one = a_demo(tmp_path, manager)
    with pytest.raises(Trouble, match="`no_such_command` failed"):
        one.run()


def test_a_stop_is_heard_while_waiting_for_an_answer(tmp_path: Path, manager: Processes) -> None:
    one = a_demo(tmp_path, manager)
    one.stop.set()
    with pytest.raises(Stopped):
        one.wait_for(one.site)


def a_demo(home: Path, manager: Processes) -> Demo:
    """Return a demo that uses the suite's own servers."""

    class Running:
        def start(self) -> dict[str, str]:
            return {name: os.environ[name] for name in ("DATABASE_URL", "PGUSER", "PGPORT", "REDIS_URL")}

        def stop(self) -> None:
            pass

    return Demo(Ports(free_port(), free_port()), Running(), manager, threading.Event())  # type: ignore[arg-type]
