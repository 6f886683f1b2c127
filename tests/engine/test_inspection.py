"""Inspection: an uploaded file is opened in a process of its own, and either described or refused with a code."""

import contextlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import skops.io
from sklearn.preprocessing import StandardScaler

from engine import runner as running
from engine.errors import EngineError, FormatError, RunnerError
from engine.inspection import Inspection, inspect
from engine.runner import Limits, Runner
from engine.schemas import Schema
from tests.engine import hostile
from tests.engine.conftest import CLASSES, Trained, input_schema

ONNX_FILES = hostile.onnx_files()


def refused(path: Path, declared: str = "") -> EngineError:
    """Return the refusal of a file; it must have a code and a sentence, and the file must be as it was."""
    before = path.read_bytes()
    with pytest.raises(EngineError) as refusal:
        inspect(path, declared)
    assert refusal.value.message.endswith((".", ")"))
    assert path.read_bytes() == before
    return refusal.value


def test_an_onnx_file_shows_its_schemas(classifier: Trained) -> None:
    seen = inspect(classifier.onnx)
    assert seen.format == "onnx"
    assert seen.input_schema
    assert seen.output_schema
    assert [(one.name, one.type) for one in seen.input_schema.fields] == [(f"feature_{n}", "float") for n in range(3)]
    assert [(one.name, one.kind, one.size) for one in seen.output_schema.fields] == [
        ("label", "long", None), ("probabilities", "float", 2),
    ]  # fmt: skip
    assert seen.notes


def test_a_skops_file_shows_that_it_loads(classifier: Trained) -> None:
    seen = inspect(classifier.skops, "skops")
    assert (seen.format, seen.input_schema, seen.output_schema) == ("skops", None, None)
    assert "golden records" in seen.notes[0]


def test_a_declaration_must_agree_with_the_content(classifier: Trained) -> None:
    assert inspect(classifier.onnx, "onnx").format == "onnx"
    for path, declared in ((classifier.onnx, "skops"), (classifier.skops, "onnx"), (classifier.onnx, "pickle")):
        assert refused(path, declared).code == "format_mismatch"


@pytest.mark.parametrize("name", hostile.pickles())
def test_pickles_are_refused_before_anything_is_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.subprocess, "Popen", None)
    path = tmp_path / "model.skops"
    path.write_bytes(hostile.pickles()[name])
    assert refused(path).code in {"format_unsafe", "format_unknown"}


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("format", ["onnx", "skops"])
def test_a_truncated_file_is_refused(classifier: Trained, tmp_path: Path, format: str, keep: float) -> None:
    content = getattr(classifier, format).read_bytes()
    path = tmp_path / "model"
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path).code in {"model_not_loadable", "archive_damaged", "schema_mismatch"}


@pytest.mark.parametrize("format", ["onnx", "skops"])
def test_an_altered_file_is_refused_or_described_but_never_harms(
    classifier: Trained, tmp_path: Path, format: str
) -> None:
    content = getattr(classifier, format).read_bytes()
    path = tmp_path / "model"
    for at in range(7, len(content), len(content) // 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        with contextlib.suppress(FormatError, RunnerError):
            assert isinstance(inspect(path), Inspection)


def test_an_onnx_file_that_does_not_load_is_refused(classifier: Trained, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    graph = onnx.load(classifier.onnx)
    graph.graph.node[0].input[0] = "nowhere"
    path.write_bytes(graph.SerializeToString())
    refusal = refused(path)
    assert refusal.code == "model_not_loadable"
    assert "onnxruntime" in refusal.message
    for content in (b"\x08\x09" + b"\xff" * 50, b"\x08\x09\x12\x04abcd\x3a\x00"):
        path.write_bytes(content)
        assert refused(path).code == "model_not_loadable"


@pytest.mark.parametrize("name", ONNX_FILES)
def test_a_graph_that_reaches_out_is_refused(name: str, tmp_path: Path) -> None:
    model, code = ONNX_FILES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert refused(path).code == code


@pytest.mark.parametrize(
    ("name", "mode", "code"),
    [
        ("../../outside.npy", 0o644, "archive_path"),
        ("/etc/outside.npy", 0o644, "archive_path"),
        ("link.npy", stat.S_IFLNK | 0o777, "archive_link"),
        ("plain.npy", 0o644, "member_not_allowed"),
    ],
)
def test_an_archive_that_leaves_its_place_is_refused(
    classifier: Trained, tmp_path: Path, name: str, mode: int, code: str
) -> None:
    (tmp_path / "deep").mkdir()
    path = hostile.with_member(classifier.skops, tmp_path / "deep" / "m.skops", name, b"../../../etc/passwd", mode)
    before = sorted(tmp_path.rglob("*"))
    assert refused(path).code == code
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_that_unpacks_to_far_more_is_refused(classifier: Trained, tmp_path: Path) -> None:
    zeros = bytes(20 << 20)
    path = hostile.with_member(
        classifier.skops, tmp_path / "m.skops", "zeros.npy", zeros, compress_type=zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 1 << 20
    assert refused(path).code == "archive_bomb"


def test_a_pickled_array_inside_is_refused(classifier: Trained, tmp_path: Path) -> None:
    path = hostile.with_array(classifier.skops, tmp_path / "m.skops", hostile.object_array())
    assert refused(path).code == "pickle_inside"


def test_what_is_no_estimator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    skops.io.dump(StandardScaler().fit([[1.0]]), path)
    assert refused(path).code == "model_not_loadable"


def test_a_file_that_takes_too_much_is_refused(classifier: Trained) -> None:
    with pytest.raises(EngineError) as refusal:
        inspect(classifier.skops, limits=Limits(memory_mb=100))
    assert refusal.value.code in {"runner_ended", "memory_exceeded", "prediction_failed"}
    with pytest.raises(RunnerError) as late:
        inspect(classifier.skops, limits=Limits(seconds=0))
    assert late.value.code == "time_exceeded"


@pytest.mark.parametrize(
    "told",
    [
        {}, {"notes": None}, {"notes": 5}, {"notes": "abc"}, {"notes": [{"a": 1}]},
        {"input_schema": 5}, {"input_schema": "x"}, {"output_schema": {"type": "record"}}, {"output_schema": [1]},
    ],
)  # fmt: skip
def test_whatever_the_process_tells_is_read_with_care(
    classifier: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, object]
) -> None:
    """A process that a file has taken over may tell anything: it is described by what is right, or refused."""
    (tmp_path / "engine").mkdir()
    program = f"import sys; sys.stdin.readline(); print({json.dumps({'ok': told})!r}, flush=True); sys.stdin.read()"
    (tmp_path / "engine" / "runner_child.py").write_text(program)
    monkeypatch.setattr(running, "ROOT", tmp_path)
    if any(key.endswith("schema") for key in told):
        with pytest.raises(EngineError):
            inspect(classifier.onnx)
        return
    seen = inspect(classifier.onnx)
    assert (seen.input_schema, seen.output_schema) == (None, None)
    assert all(isinstance(note, str) for note in seen.notes)


Opened = Callable[..., dict[str, Path]]


def test_what_was_inferred_opens_the_model(classifier: Trained, elements: Opened) -> None:
    seen = inspect(classifier.onnx)
    assert seen.input_schema
    assert seen.output_schema
    paths = elements(classifier.onnx, seen.input_schema.to_dict(), seen.output_schema.to_dict())
    with Runner(paths, "onnx") as runner:
        runner.load()
        (outcome,) = runner.score([dict.fromkeys(seen.input_schema.names, 1.0)])
    assert outcome.output
    assert Schema.parse(input_schema()).names != seen.input_schema.names
    assert outcome.output.keys() == {one["name"] for one in CLASSES["fields"]}
