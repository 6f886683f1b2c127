"""The ladder of sandboxes: what a hostile model tries is let through without a layer, and refused with it."""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engine import runner as running
from engine.errors import EngineError, RunnerError
from engine.limits import Limits
from engine.runner import ROOT, Process, Runner
from engine.sandbox import acts, bubblewrap, ladder, landlock, seccomp, starting
from engine.sandbox.acts import ACTS, Stage
from engine.sandbox.levels import ENCLOSED, FILTERED, LEVELS, NONE, Level
from engine.scanning import scan_apart
from tests.engine.conftest import Trained
from tests.engine.test_runner import Lay, gone

Put = Callable[..., None]
# What a kernel may forbid everybody without any sandbox.
MAY_BE_FORBIDDEN = {"make_a_namespace", "trace_another", "lift_a_limit"}


def level_of_the_machine() -> Level:
    """Return what this machine must be able to do, asked of its parts and not of the ladder."""
    if platform.system() != "Linux" or landlock.abi() < landlock.LEAST_ABI:
        return NONE
    program = bubblewrap.program()
    command = [program, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "--", "/bin/true"]
    return ENCLOSED if program and subprocess.run(command, capture_output=True).returncode == 0 else FILTERED


def must_have(level: Level) -> None:
    """Skip where the machine lacks a level; what it has, another test asserts."""
    if LEVELS.index(level_of_the_machine()) < LEVELS.index(level):
        pytest.skip(f"this machine has no {level}: {ladder.found().told()}")


@pytest.fixture(scope="module")
def place() -> Iterator[Stage]:
    """Where hostile acts are aimed at."""
    with ladder.stage() as one:
        yield one


def test_the_level_that_is_found_is_what_the_machine_can_do() -> None:
    found = ladder.found()
    assert found.level == level_of_the_machine(), found.told()
    assert set(found.lost) == set(LEVELS[LEVELS.index(found.level) + 1 : 3])
    assert ladder.found() is found, "it is tried once"


def test_without_a_sandbox_every_hostile_act_is_let_through(place: Stage) -> None:
    program = """
        import json, sys
        from engine.sandbox.acts import Stage, tried
        print(json.dumps(tried(Stage(**json.loads(sys.argv[1])))))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), json.dumps(asdict(place))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    refused = {name for name, why in json.loads(done.stdout).items() if why}
    assert refused <= MAY_BE_FORBIDDEN


@pytest.mark.parametrize("level", [FILTERED, ENCLOSED])
def test_with_a_sandbox_every_hostile_act_is_refused(place: Stage, level: Level) -> None:
    must_have(level)
    one = Process(Limits(20, ladder.LIMIT_MB, level))
    try:
        refused = one.ask("confined", **asdict(place))["refused"]
    finally:
        one.close()
    assert list(refused) == list(ACTS)
    assert all(refused.values()), refused
    assert ladder.trial(level, place) == ""


@pytest.mark.parametrize("answer", [None, [], {}, dict.fromkeys(ACTS, ""), dict.fromkeys(list(ACTS)[1:], "refused")])
def test_what_is_not_told_to_be_refused_was_let_through(answer: Any) -> None:
    assert "read a file" in acts.through(answer)


@pytest.mark.parametrize("level", [FILTERED, ENCLOSED])
def test_models_score_on_every_rung(classifier: Trained, elements: Lay, level: Level) -> None:
    must_have(level)
    labels = classifier.estimator.predict(classifier.x[:20]).tolist()
    for format in ("onnx", "skops"):
        with Runner(elements(getattr(classifier, format)), format, Limits(level=level)) as runner:
            runner.load()
            assert [one.output["label"] for one in runner.score(classifier.records(20)) if one.output] == labels
            assert 30 < runner.peak_memory_mb() < 2000, "of the model, not of what encloses it"
    assert scan_apart(classifier.onnx, "onnx", Limits(level=level)).ok


# Programs in the place of the process that runs models. They confine themselves as ours does, then do harm.

HEAD = """
import json, os, resource, sys, threading, time
from pathlib import Path
from engine.limits import confine
from engine.sandbox.acts import Stage, tried
order = json.loads(sys.argv[1])
confine(**order)
def answer(found): print(json.dumps({"ok": found}), flush=True)
if order["level"] != "L0":
    sys.stdin.readline(); answer({"refused": tried(Stage())})
sys.stdin.readline()
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """A function that puts a hostile program in the place of the process that runs models."""

    def put(program: str, head: str = HEAD) -> None:
        shutil.copytree(ROOT / "engine", tmp_path / "evil" / "engine", ignore=shutil.ignore_patterns("streams"))
        (tmp_path / "evil/engine/runner_child.py").write_text(head + textwrap.dedent(program))
        monkeypatch.setattr(running, "ROOT", tmp_path / "evil")

    return put


@contextlib.contextmanager
def process(level: Level, **limits: Any) -> Iterator[Process]:
    """Start a process on a rung, and make sure that nothing of it is left."""
    must_have(level)
    one = Process(Limits(level=level, **({"seconds": 20} | limits)))
    try:
        yield one
    finally:
        one.close()
        assert gone(one.pid)
        assert gone(one.process.pid)


FORKS = """
    made = 0
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                time.sleep(60); os._exit(0)
            made += 1
    except OSError:
        pass
    answer({"made": made})
    time.sleep(60)
"""


@pytest.mark.parametrize(("level", "made"), [(NONE, 20), (FILTERED, 0), (ENCLOSED, 0)])
def test_a_fork_bomb_does_not_go_off(hostile: Put, level: Level, made: int) -> None:
    hostile(FORKS)
    with process(level) as one:
        assert one.ask("load")["made"] == made


DAEMON = """
    told, tells = os.pipe()
    try:
        if not os.fork():
            os.setsid()
            child = os.fork()
            if child:
                os.write(tells, str(child).encode())
                os._exit(0)
            time.sleep(60); os._exit(0)
        answer({"daemon": int(os.read(told, 20))})
    except OSError as error:
        answer({"daemon": 0, "why": str(error)})
"""


@pytest.mark.parametrize("level", [NONE, FILTERED, ENCLOSED])
def test_a_daemon_that_outlives_the_test_is_not_born(hostile: Put, level: Level) -> None:
    hostile(DAEMON)
    with process(level) as one:
        daemon = one.ask("load")["daemon"]
    if level == NONE:  # what L1 is for: it has a session of its own, in which nobody looks
        assert not gone(daemon, within=0.1)
        os.kill(daemon, signal.SIGKILL)
    assert daemon == 0 or level == NONE


def test_whoever_leaves_the_group_is_hunted_by_the_session(hostile: Put, caplog: pytest.LogCaptureFixture) -> None:
    hostile("""
        child = os.fork()
        if not child:
            os.setpgid(0, 0); time.sleep(60)
        while os.getpgid(child) != child:
            time.sleep(0.01)
        answer({"stray": child})
        time.sleep(60)
    """)
    with process(NONE) as one:
        stray = one.ask("load")["stray"]
    assert gone(stray)
    assert f"left process {stray} behind" in caplog.text


@pytest.mark.parametrize("level", [NONE, FILTERED, ENCLOSED])
def test_a_memory_bomb_gets_what_it_was_given(hostile: Put, level: Level) -> None:
    hostile("""
        got = []
        try:
            while len(got) < 20:
                got.append(bytes(100_000_000))
        except MemoryError:
            pass
        answer({"got": len(got)})
    """)
    got = []
    for memory in (600, 1100):
        with process(level, memory_mb=memory) as one:
            got.append(one.ask("load")["got"])
    assert 0 < got[0] < 6 <= got[1] < 11


@pytest.mark.parametrize("level", [FILTERED, ENCLOSED])
def test_an_endless_loop_is_ended(hostile: Put, level: Level) -> None:
    hostile("while True: pass")
    began = time.monotonic()
    with process(level, seconds=2) as one, pytest.raises(RunnerError) as refusal:
        one.ask("load")
    assert refusal.value.code in {"time_exceeded", "runner_ended"}
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("level", [FILTERED, ENCLOSED])
def test_a_huge_output_is_cut_off(hostile: Put, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LARGEST_ANSWER", 1_000_000)
    hostile("while True: os.write(1, b'x' * 65536)")
    with process(level) as one, pytest.raises(RunnerError) as refusal:
        one.ask("load")
    assert refusal.value.code == "answer_too_large"


def test_a_crash_is_told_by_its_signal_through_what_encloses_it(hostile: Put) -> None:
    hostile("import ctypes; ctypes.string_at(0)")
    with process(ENCLOSED) as one, pytest.raises(RunnerError, match="SIGSEGV"):
        one.ask("load")


ENVIRONMENTS = """
    seen = b""
    for place in Path("/proc").glob("*/environ"):
        try:
            seen += place.read_bytes()
        except OSError:
            pass
    answer({"leaked": b"a-database-password" in seen})
"""


@pytest.mark.parametrize(("level", "leaked"), [(NONE, True), (FILTERED, False), (ENCLOSED, False)])
def test_no_environment_leaks_through_proc(hostile: Put, level: Level, leaked: bool) -> None:
    hostile(ENVIRONMENTS, HEAD.replace("confine(**order)", "if order['level'] != 'L0': confine(**order)"))
    secret = {"DATABASE_URL": "a-database-password"}
    with subprocess.Popen([sys.executable, "-S", "-c", ladder.WAITS], stdin=subprocess.PIPE, env=secret) as worker:
        try:
            with process(level) as one:
                assert one.ask("load")["leaked"] is leaked
        finally:
            worker.kill()


def test_what_bubblewrap_was_started_with_is_not_read_inside() -> None:
    must_have(ENCLOSED)
    told, tells = os.pipe()
    look = ["/bin/sh", "-c", "cat /proc/1/environ"]
    ours = bubblewrap.around(look, readable=("/bin", *starting.LIBRARIES), folder="/", tells=tells)
    theirs = [one for one in ours if one != "--as-pid-1"]
    theirs.insert(1, "--clearenv")
    seen = {}
    for name, command, environment in (
        ("--clearenv", theirs, {"SECRET": "worker"}),
        ("ours", ours, starting.ONE_THREAD),
    ):
        done = subprocess.run(command, env=environment, pass_fds=(tells,), capture_output=True, check=True)
        seen[name] = b"worker" in done.stdout
    os.close(told)
    os.close(tells)
    assert seen == {"--clearenv": True, "ours": False}


# Never silently lowered.


@pytest.mark.parametrize("level", [FILTERED, ENCLOSED])
def test_a_process_that_proves_less_than_its_level_holds_no_model(hostile: Put, level: Level) -> None:
    must_have(level)
    hostile("time.sleep(60)", HEAD.replace("confine(**order)", "confine(**(order | {'level': 'L0'}))"))
    with pytest.raises(RunnerError, match="does not hold") as refusal:
        Process(Limits(20, level=level))
    assert refusal.value.code == "sandbox_lost"


@pytest.mark.parametrize(
    ("level", "bwrap"), [(FILTERED, ""), (ENCLOSED, "/bin/false"), (ENCLOSED, "/nonexistent"), (ENCLOSED, "")]
)
def test_a_level_that_cannot_be_had_is_no_lower_one(
    monkeypatch: pytest.MonkeyPatch, level: Level, bwrap: str, place: Stage
) -> None:
    if level == ENCLOSED:
        monkeypatch.setattr(bubblewrap, "program", lambda: bwrap)
    else:
        monkeypatch.setattr(starting, "OWN", ("\0",))  # Landlock is asked for a path that cannot be
    with pytest.raises(RunnerError, match=f"{level} cannot be had") as refusal:
        Process(Limits(20, level=level))
    assert refusal.value.code == "sandbox_lost"
    assert f"{level} cannot be had" in ladder.trial(level, place)


def test_the_filter_is_known_for_two_architectures_and_refused_for_others() -> None:
    for machine in seccomp.ARCHITECTURES:
        code = seccomp.program(machine, 1)
        assert len(code) % 8 == 0
        assert len(code) // 8 < 4096, "which is the most that the kernel takes"
    with pytest.raises(OSError, match="riscv64 are not known"):
        seccomp.program("riscv64", 1)


def test_the_model_s_process_is_shown_no_file_but_the_model(classifier: Trained, elements: Lay) -> None:
    must_have(FILTERED)
    paths = elements(classifier.onnx)
    with Runner(paths, "onnx", Limits(level=FILTERED)) as runner:
        for name in ("input_schema", "output_schema"):
            with pytest.raises(EngineError, match="Permission denied"):
                runner.process.ask("inspect", path=str(paths[name]), format="onnx")
        runner.load()
