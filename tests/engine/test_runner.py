"""The runner: a model works in a process of its own, which may fail without harming or fooling the caller."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

from engine import runner as running
from engine.errors import EngineError, FormatError, RunnerError
from engine.runner import ROOT, Limits, Outcome, Process, Runner
from tests.engine.conftest import CLASSES, NAMES, NUMBER, Trained, input_schema
from tests.engine.test_formats_onnx import hands_through

Lay = Callable[..., dict[str, Path]]
Hostile = Callable[[str], None]


def gone(pid: int, within: float = 5) -> bool:
    """Tell whether a process ends within some seconds; one that only waits to be collected has ended."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


# What it is for.


@pytest.mark.parametrize("format", ["onnx", "skops"])
def test_it_scores_what_the_library_scores(classifier: Trained, elements: Lay, format: str) -> None:
    records = classifier.records(200)
    with Runner(elements(getattr(classifier, format)), format) as runner:
        assert runner.load() > 0
        outcomes = runner.score(records)
        assert 30 < runner.peak_memory_mb() < 2000
        assert len(runner.time(records[:3], repeats=2)) == 6
    labels = [outcome.output["label"] for outcome in outcomes if outcome.output]
    assert labels == classifier.estimator.predict(classifier.x[:200]).tolist()
    shares = [outcome.output["probabilities"] for outcome in outcomes if outcome.output]
    np.testing.assert_allclose(shares, classifier.estimator.predict_proba(classifier.x[:200]), atol=1e-5)


def test_records_that_break_the_schema_never_reach_the_model(classifier: Trained, elements: Lay) -> None:
    good = classifier.records(3)
    bad = [good[0] | {"radius": float("nan")}, good[1] | {"extra": 1}, {}, None, "x", good[2] | {"texture": None}]
    mixed = [good[0], *bad[:3], good[1], *bad[3:], good[2]]
    with Runner(elements(classifier.onnx), "onnx") as runner:
        runner.load()
        alone = runner.score(good)
        outcomes = runner.score(mixed)
        assert runner.score([]) == []
    assert [outcome for outcome in outcomes if outcome.output] == alone
    rules = [[one.rule for one in outcome.violations] for outcome in outcomes]
    assert rules == [[], ["not_finite"], ["unknown_field"], ["missing"] * 3, [], ["type"], ["type"], ["null"], []]


def test_an_output_that_breaks_the_schema_is_no_output(classifier: Trained, elements: Lay) -> None:
    outputs = json.loads(json.dumps(CLASSES))
    outputs["fields"][1]["maximum"] = 0.5
    with Runner(elements(classifier.onnx, outputs=outputs), "onnx") as runner:
        runner.load()
        (outcome,) = runner.score(classifier.records(1))
    assert outcome.output is None
    assert [(one.field, one.rule) for one in outcome.output_violations] == [("probabilities", "maximum")]


def test_a_value_beyond_the_models_numbers_is_told(classifier: Trained, elements: Lay) -> None:
    with Runner(elements(classifier.onnx), "onnx") as runner:
        runner.load()
        with pytest.raises(FormatError, match="own number type") as refusal:
            runner.score([classifier.records(1)[0] | {"radius": 1e300}])
        assert refusal.value.code == "value_out_of_range"
        assert runner.score(classifier.records(1))[0].output, "one bad record does not end the process"


def test_long_texts_go_both_ways_without_waiting_for_each_other(tmp_path: Path, elements: Lay) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(TensorProto.STRING, ["N"]))
    given, told = ({"type": "record", "name": "r", "fields": [{"name": n, "type": "string"}]} for n in ("x", "out_x"))
    records = [{"x": f"{at}" + "ä" * 9_000} for at in range(2500)]
    with Runner(elements(path, given, told), "onnx") as runner:
        runner.load()
        assert runner.score(records) == [Outcome({"out_x": record["x"]}) for record in records]


def test_a_model_that_prints_disturbs_nobody(
    classifier: Trained, tmp_path: Path, elements: Lay, capfd: pytest.CaptureFixture[str]
) -> None:
    labels = classifier.estimator.predict(classifier.x)
    forest = RandomForestClassifier(5, random_state=0).fit(classifier.x, labels).set_params(verbose=100)
    path = tmp_path / "loud.skops"
    skops.io.dump(forest, path)
    with Runner(elements(path), "skops") as runner:
        runner.load()
        outcomes = runner.score(classifier.records(50))
    forest.predict(classifier.x[:1])
    assert "Parallel" in capfd.readouterr().out, "the model prints"
    assert [one.output["label"] for one in outcomes if one.output] == labels[:50].tolist()


# A process that misbehaves: real ones, written by whoever would harm us.


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    """A function that puts a program in the place of the process that runs models."""

    def put(program: str) -> None:
        (tmp_path / "evil" / "engine").mkdir(parents=True)
        (tmp_path / "evil" / "engine" / "__init__.py").touch()
        head = "import os, sys, time, json\n"
        (tmp_path / "evil" / "engine" / "runner_child.py").write_text(head + textwrap.dedent(program))
        monkeypatch.setattr(running, "ROOT", tmp_path / "evil")

    return put


@contextlib.contextmanager
def process(seconds: int = 20) -> Any:
    """Start a process and make sure that nothing of it is left."""
    one = Process(Limits(seconds=seconds))
    try:
        yield one
    finally:
        one.close()
        assert gone(one.process.pid)


ANSWERS = {
    "no JSON": "hello",
    "a list": "[1, 2]",
    "a number": "1",
    "an empty object": "{}",
    "an odd key": '{"yes": {}}',
    "both": '{"ok": {}, "error": {"code": "a", "message": "b", "field": ""}}',
    "ok is no object": '{"ok": 1}',
    "an error of one word": '{"error": "x"}',
    "half an error": '{"error": {"code": "x"}}',
    "an error of numbers": '{"error": {"code": 1, "message": 2, "field": 3}}',
    "an error of too much": '{"error": {"code": "a", "message": "b", "field": "", "details": {}}}',
    "two lines": '{"ok": {}}\\n{"ok": {}}',
    "nested deep": "[" * 100_000,
    "an empty line": "",
    "no UTF-8": "\\udcff",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none_is_refused(hostile: Hostile, name: str) -> None:
    answer = ANSWERS[name].replace("\\udcff", "\\xff")
    hostile(f"sys.stdin.readline(); sys.stdout.buffer.write({answer!r}.encode('latin-1') + b'\\n')\n"
            "sys.stdout.flush(); sys.stdin.read()")  # fmt: skip
    with process() as one, pytest.raises(RunnerError) as refusal:
        one.ask("load")
    assert refusal.value.code == "answer_malformed"


@pytest.mark.parametrize(
    "outputs",
    [
        "{}", '{"outputs": null}', '{"outputs": []}', '{"outputs": [{}, {}]}', '{"outputs": {"a": 1}}',
    ],
)  # fmt: skip
def test_another_number_of_outputs_is_refused(hostile: Hostile, elements: Lay, outputs: str, tmp_path: Path) -> None:
    hostile(f"""
        for line in sys.stdin:
            print('{{"ok": {outputs}}}', flush=True)
    """)
    with Runner(elements(tmp_path / "none", outputs=NUMBER), "onnx") as runner:
        record = dict.fromkeys(NAMES, 1.0)
        with pytest.raises(RunnerError) as refusal:
            runner.score([record])
    assert refusal.value.code == "answer_malformed"


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ('{"prediction": NaN}', "not_finite"), ('{"prediction": Infinity}', "not_finite"),
        ('{"prediction": 1e999}', "not_finite"), ('{"prediction": "1"}', "type"), ('{"prediction": true}', "type"),
        ("{}", "missing"), ('{"prediction": 1, "more": 2}', "unknown_field"), ("null", "type"), ("[]", "type"),
    ],
)  # fmt: skip
def test_whatever_comes_out_is_judged_outside(hostile: Hostile, elements: Lay, output: str, rule: str) -> None:
    hostile(f"""
        for line in sys.stdin:
            print('{{"ok": {{"outputs": [{output}]}}}}', flush=True)
    """)
    with Runner(elements(Path(__file__), outputs=NUMBER), "onnx") as runner:
        (outcome,) = runner.score([dict.fromkeys(NAMES, 1.0)])
    assert outcome.output is None
    assert [one.rule for one in outcome.output_violations] == [rule]


def test_an_answer_given_before_the_question_is_refused(hostile: Hostile) -> None:
    hostile("""
        print('{"ok": {}}', flush=True)
        sys.stdin.read()
    """)
    with process() as one:
        assert select_read(one)
        with pytest.raises(RunnerError, match="without being asked") as refusal:
            one.ask("load")
        assert refusal.value.code == "answer_malformed"


def select_read(one: Process) -> bool:
    """Wait until the process has written something."""
    import select

    return bool(select.select([one.process.stdout], [], [], 10)[0])


def test_an_endless_answer_is_cut_off(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LARGEST_ANSWER", 1_000_000)
    hostile("while True: os.write(1, b'x' * 65536)")
    with process() as one:
        with pytest.raises(RunnerError) as refusal:
            one.ask("load")
        assert refusal.value.code in {"answer_too_large", "answer_malformed"}


def test_a_flood_of_complaints_blocks_nobody(hostile: Hostile) -> None:
    hostile("""
        os.write(2, b'complaint ' * 500_000)
        line = sys.stdin.readline()
        os.write(2, b'last words' * 100_000)
        print(json.dumps({"ok": {"got": len(line)}}), flush=True)
        sys.stdin.read()
    """)
    with process() as one:
        assert one.ask("load", text="x" * 3_000_000)["got"] > 3_000_000
        assert len(one._last_words) <= running.LAST_WORDS


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("sys.stdin.readline(); os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("sys.stdin.readline(); os.abort()", "SIGABRT"),
        ("os.close(0); os.close(1); time.sleep(60)", "closed its pipes"),
        ("raise RuntimeError('no such thing as ' + 'luck')", "Its last words: RuntimeError: no such thing as luck"),
    ],
)
def test_an_end_is_told_with_its_reason(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    monkeypatch.setattr(running, "LINGER_S", 0.2)
    hostile(program)
    with process() as one, pytest.raises(RunnerError) as refusal:
        one.ask("load", text="x" * 1_000_000)
    assert refusal.value.code == "runner_ended"
    assert words in refusal.value.message


def test_a_process_that_ended_is_told_apart_from_one_that_uses_no_memory(classifier: Trained, elements: Lay) -> None:
    with Runner(elements(classifier.onnx), "onnx") as runner:
        runner.load()
        os.kill(runner.process.process.pid, signal.SIGKILL)
        with pytest.raises(RunnerError, match="SIGKILL"):
            runner.score(classifier.records(1))
        with pytest.raises(RunnerError, match="SIGKILL"):
            runner.peak_memory_mb()


def test_children_of_the_process_end_with_it(hostile: Hostile) -> None:
    hostile("""
        child = os.fork()
        if not child:
            time.sleep(600)
        sys.stdin.readline()
        print(json.dumps({"ok": {"child": child}}), flush=True)
        time.sleep(600)
    """)
    with process() as one:
        child = one.ask("load")["child"]
        assert not gone(child, within=0.1)
    assert gone(child)


@pytest.mark.parametrize("record", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}])
def test_a_request_that_is_no_json_is_refused_here(record: Any) -> None:
    with process() as one, pytest.raises(RunnerError) as refusal:
        one.ask("predict", records=[record])
    assert refusal.value.code == "request_malformed"


def test_requests_of_another_kind_are_answered_with_an_error() -> None:
    with process() as one:
        for do, more in (("nothing", {}), ("predict", {"records": []}), ("load", {}), ("inspect", {"path": 1})):
            with pytest.raises(FormatError) as refusal:
                one.ask(do, **more)
            assert refusal.value.code in {"prediction_failed", "not_loaded"}


# Limits, on real models.


def endless(path: Path) -> Path:
    """Write a graph that loops for ever."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["was"], ["is"])],
        "body",
        [
            helper.make_tensor_value_info("at", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("was", TensorProto.FLOAT, ["N", 3]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("is", TensorProto.FLOAT, ["N", 3]),
        ],
    )
    true = numpy_helper.from_array(np.array(True), "true")
    return save(path, [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)], [true], ["N", 3])


def greedy(path: Path) -> Path:
    """Write a graph that asks for 40 GB."""
    times = numpy_helper.from_array(np.array([1, 3_000_000_000]), "times")
    sum_ = helper.make_node("ReduceMax", ["wide"], ["y"], axes=[1], keepdims=1)
    return save(path, [helper.make_node("Tile", ["x", "times"], ["wide"]), sum_], [times], ["N", 1])


def save(path: Path, nodes: list[Any], initializers: list[Any], shape: list[Any]) -> Path:
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])]
    told = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "g", given, told, initializers)
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    return path


LISTS = {
    "type": "record",
    "name": "o",
    "fields": [{"name": "y", "type": {"type": "array", "items": "float"}, "size": 3}],
}
ONE = {"type": "record", "name": "o", "fields": [{"name": "y", "type": "float"}]}


def test_a_model_that_never_ends_is_ended(tmp_path: Path, elements: Lay) -> None:
    paths = elements(endless(tmp_path / "m.onnx"), input_schema("float"), LISTS)
    began = time.monotonic()
    with Runner(paths, "onnx", Limits(seconds=4)) as runner:
        runner.load()
        with pytest.raises(RunnerError) as refusal:
            runner.score([dict.fromkeys(NAMES, 1.0)])
        pid = runner.process.process.pid
    # The kernel counts processor time, we count the clock's: whichever is first.
    assert refusal.value.code in {"time_exceeded", "runner_ended"}
    assert time.monotonic() - began < 10
    assert gone(pid)


def test_a_model_that_sleeps_is_ended_by_the_clock(hostile: Hostile) -> None:
    hostile("time.sleep(600)")
    began = time.monotonic()
    with process(seconds=1) as one, pytest.raises(RunnerError, match="within 1 seconds") as refusal:
        one.ask("load")
    assert refusal.value.code == "time_exceeded"
    assert time.monotonic() - began < 5


def test_a_model_that_wants_too_much_memory_gets_none(tmp_path: Path, elements: Lay) -> None:
    paths = elements(greedy(tmp_path / "m.onnx"), input_schema("float"), ONE)
    with Runner(paths, "onnx", Limits(memory_mb=1000)) as runner:
        runner.load()
        with pytest.raises(EngineError) as refusal:
            runner.score([dict.fromkeys(NAMES, 1.0)])
        assert refusal.value.code in {"prediction_failed", "memory_exceeded", "runner_ended"}
        assert runner.peak_memory_mb() < 1000


def test_the_process_inherits_nothing(classifier: Trained, elements: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    with socket.socket() as opened, Runner(elements(classifier.onnx), "onnx") as runner:
        opened.set_inheritable(True)
        runner.load()
        home = Path(f"/proc/{runner.process.process.pid}")
        environment = (home / "environ").read_bytes()
        files = {os.readlink(one) for one in (home / "fd").iterdir()}
        assert os.getsid(runner.process.process.pid) == runner.process.process.pid
    names = {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names == {b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS"}
    assert not [one for one in files if one.startswith("socket")]


def test_the_process_ends_with_whoever_started_it() -> None:
    program = """
        import time
        from engine.runner import Limits, Process
        one = Process(Limits(seconds=600))
        try:
            one.ask("nothing")
        except Exception:
            print(one.process.pid, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child, within=0.1)
        parent.kill()
    assert gone(child)


CONFINED = """
    import os, socket, sys
    from engine.limits import confine
    print(*confine(4000, 5, os.getppid()), sep=",")
    def tried(what):
        try:
            return repr(what())
        except (OSError, MemoryError) as error:
            return type(error).__name__
    def write():
        with open(sys.argv[1], "w") as stream:
            stream.write("x"); stream.flush()
    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    print(tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2)))
    print(tried(write))
    print(tried(lambda: len(bytearray(5_000_000_000))))
    print(tried(lambda: len([os.open("/dev/null", 0) for _ in range(300)])))
"""


def test_a_confined_process_reaches_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = [str(tmp_path / "written"), str(listener.getsockname()[1])]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CONFINED), *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    layers, network, file, memory, many = done.stdout.splitlines()
    told = layers.split(",")
    assert {"rlimits", "no new privileges", "ends with its parent"} <= set(told)
    if "no network" in told:
        assert network.endswith("Error")
    assert (file, memory, many) == ("OSError", "MemoryError", "OSError")
    assert not (tmp_path / "written").read_bytes()
