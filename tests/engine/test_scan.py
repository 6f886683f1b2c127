"""The scan: real models are clean, everything hostile is found, and what cannot be scanned has failed."""

import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skl2onnx import to_onnx

from engine.errors import FormatError
from engine.formats import open_model
from engine.formats.onnx_wire import refuse_reaching_out
from engine.scan import pickle_code, scan
from engine.schemas import Schema
from tests.engine import hostile
from tests.engine.conftest import CLASSES, Trained, input_schema

ONNX_FILES = hostile.onnx_files()


def codes(path: Path, format: str) -> set[str]:
    """Return the codes of what was found; the report must say that it is not clean."""
    report = scan(path, format)
    assert report.ok == (not report.findings)
    return {one.code for one in report.findings}


def test_real_models_are_clean_by_two_scanners(classifier: Trained, regressor: Trained) -> None:
    for trained in (classifier, regressor):
        assert scan(trained.onnx, "onnx").scanned_by == ("onnx", "wire")
        assert scan(trained.skops, "skops").scanned_by == ("skops", "picklescan")
        assert scan(trained.onnx, "onnx").ok
        assert scan(trained.skops, "skops").ok


def test_trees_in_either_encoding_of_their_numbers_are_clean(classifier: Trained) -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(20, random_state=0).fit(classifier.x, classifier.estimator.predict(classifier.x))
    refuse_reaching_out(to_onnx(forest, classifier.x[:1].astype("f4")).SerializeToString())


@pytest.mark.parametrize("name", ONNX_FILES)
def test_a_graph_that_reaches_out_is_found_and_never_loaded(name: str, tmp_path: Path) -> None:
    model, code = ONNX_FILES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    report = scan(path, "onnx")
    assert not report.ok
    assert {one.code for one in report.findings} >= {code}
    with pytest.raises(FormatError) as refusal:
        refuse_reaching_out(path.read_bytes())
    assert refusal.value.code == code
    with pytest.raises(FormatError) as refusal:
        open_model(path, "onnx", Schema.parse(input_schema()), Schema.parse(CLASSES))
    assert refusal.value.code == code


def test_an_unknown_operator_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile.graph(operator="RunShell").SerializeToString())
    assert codes(path, "onnx") == {"operator_unknown"}


def test_a_second_message_cannot_hide_the_first(tmp_path: Path) -> None:
    # Protobuf merges two graphs into one; a reader that looked at the last one only would miss the weights outside.
    path = tmp_path / "model.onnx"
    bad, good = (hostile.graph(initializers=some).SerializeToString() for some in ((hostile.outside(),), ()))
    path.write_bytes(bad + good)
    assert codes(path, "onnx") == {"external_data"}


CODES = (
    "model_not_loadable",
    "domain_not_allowed",
    "external_data",
    "functions_not_allowed",
    "training_not_allowed",
)


def refusal_of(content: bytes) -> str | None:
    """Return the code that our reader refuses the bytes with, if it does."""
    try:
        refuse_reaching_out(content)
    except FormatError as refusal:
        return refusal.code
    return None


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_graphs_never_break_the_reader(classifier: Trained, at: int, byte: int, cut: bool) -> None:
    content = bytearray(classifier.onnx.read_bytes())
    at %= len(content)
    damaged = bytes(content[:at]) if cut else bytes(content[:at] + bytes([byte]) + content[at + 1 :])
    assert refusal_of(damaged) in {None, *CODES}


def test_a_truncated_graph_fails_the_scan(classifier: Trained, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier.onnx.read_bytes()[:-10])
    assert "scan_failed" in codes(path, "onnx")


@pytest.mark.parametrize(
    ("name", "mode", "code"),
    [
        ("../outside.npy", 0o644, "archive_path"),
        ("a/../../outside.npy", 0o644, "archive_path"),
        ("/etc/outside.npy", 0o644, "archive_path"),
        ("..\\outside.npy", 0o644, "archive_path"),
        ("C:outside.npy", 0o644, "archive_path"),
        ("a\x00.npy", 0o644, "archive_path"),
        ("a\n.npy", 0o644, "archive_path"),
        ("./a.npy", 0o644, "archive_path"),
        ("a//b.npy", 0o644, "archive_path"),
        ("folder/", 0o644, "archive_path"),
        ("n" * 300 + ".npy", 0o644, "archive_path"),
        ("link.npy", stat.S_IFLNK | 0o777, "archive_link"),
        ("device.npy", stat.S_IFCHR | 0o644, "archive_link"),
        ("Schema.JSON", 0o644, "archive_twins"),
        ("notes.txt", 0o644, "member_not_allowed"),
        ("model.pkl", 0o644, "member_not_allowed"),
        ("inner.zip", 0o644, "member_not_allowed"),
        ("plain.npy", 0o644, "member_not_allowed"),
    ],
)
def test_a_member_that_does_not_belong_is_found(
    classifier: Trained, tmp_path: Path, name: str, mode: int, code: str
) -> None:
    path = hostile.with_member(classifier.skops, tmp_path / "m.skops", name, b"x", mode)
    assert codes(path, "skops") >= {code}
    with pytest.raises(FormatError) as refusal:
        open_model(path, "skops", Schema.parse(input_schema()), Schema.parse(CLASSES))
    assert refusal.value.code in {code, "model_not_loadable"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_found(classifier: Trained, tmp_path: Path) -> None:
    path = hostile.with_member(classifier.skops, tmp_path / "m.skops", "schema.json", b"{}")
    assert codes(path, "skops") >= {"archive_twins"}


def test_bombs_and_odd_packing_are_found(classifier: Trained, tmp_path: Path) -> None:
    import zipfile

    bomb = bytes(200 * 1024 * 1024)
    path = hostile.with_member(
        classifier.skops, tmp_path / "m.skops", "b.npy", bomb, compress_type=zipfile.ZIP_DEFLATED
    )
    assert codes(path, "skops") >= {"archive_bomb"}
    path = hostile.with_member(classifier.skops, tmp_path / "l.skops", "b.npy", b"", compress_type=zipfile.ZIP_LZMA)
    assert codes(path, "skops") >= {"scan_failed"}
    path = tmp_path / "many.skops"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}.npy", b"")
        archive.writestr("schema.json", b"{}")
    assert codes(path, "skops") >= {"archive_bomb"}


def test_pickled_arrays_and_arrays_that_lie_are_found(classifier: Trained, tmp_path: Path) -> None:
    path = hostile.with_array(classifier.skops, tmp_path / "m.skops", hostile.object_array())
    assert codes(path, "skops") >= {"pickle_inside"}
    import io

    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    honest = stream.getvalue()
    for content, code in (
        (honest + pickle.dumps(hostile.Harm()), "pickle_inside"),
        (honest[:-1], "member_damaged"),
        (honest.replace(b"(3,)", b"(9,)"), "member_damaged"),
        (honest.replace(b"'<f8'", b"'|O' "), "pickle_inside"),
        (honest.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "scan_failed"),
        (pickle.dumps(hostile.Harm()), "member_not_allowed"),
        (b"", "member_not_allowed"),
    ):
        path = hostile.with_array(classifier.skops, tmp_path / "n.skops", content)
        assert codes(path, "skops") >= {code}, content[:20]


def node(loader: str, module: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a node of a skops tree."""
    return {"__loader__": loader, "__module__": module, "__class__": name, "content": {}, **more}


@pytest.mark.parametrize(
    ("added", "code"),
    [
        (node("ObjectNode", "subprocess", "Popen"), "type_not_allowed"),
        (node("ObjectNode", "sklearn.linear_model._logistic", "Evil"), "type_not_allowed"),
        (node("TypeNode", "os", "system"), "type_not_allowed"),
        (node("FunctionNode", "builtins", "eval"), "node_not_allowed"),
        (node("MethodNode", "builtins", "dict"), "node_not_allowed"),
        (node("OperatorFuncNode", "operator", "methodcaller"), "node_not_allowed"),
        (node("PartialNode", "functools", "partial"), "node_not_allowed"),
        (node("ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer"), "type_not_allowed"),
        ({"__module__": "os", "__class__": "system"}, "node_not_allowed"),
        ({"__loader__": ["ObjectNode"], "__module__": "builtins", "__class__": "dict"}, "scan_failed"),
    ],
)
def test_a_type_or_node_off_the_list_is_found_wherever_it_hides(
    classifier: Trained, tmp_path: Path, added: dict[str, Any], code: str
) -> None:
    path = hostile.with_schema(
        classifier.skops, tmp_path / "m.skops", lambda tree: tree["content"].update(deep=[{"deeper": added}])
    )
    assert codes(path, "skops") >= {code}
    with pytest.raises(FormatError) as refusal:
        open_model(path, "skops", Schema.parse(input_schema()), Schema.parse(CLASSES))
    assert refusal.value.code in {code, "model_not_loadable"}


def test_whatever_cannot_be_scanned_has_failed(classifier: Trained, tmp_path: Path) -> None:
    assert codes(classifier.onnx, "pickle") == {"scan_failed"}
    assert codes(classifier.onnx, "skops") == {"format_mismatch"}
    assert codes(tmp_path / "nothing", "onnx") == {"scan_failed"}
    path = tmp_path / "m.skops"
    path.write_bytes(classifier.skops.read_bytes()[:-30])
    assert codes(path, "skops") == {"archive_damaged"}
    content = bytearray(classifier.skops.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    report = scan(path, "skops")
    assert not report.ok


@pytest.mark.parametrize("name", hostile.pickles())
def test_pickles_under_any_name_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile.pickles()[name])
    for format in ("onnx", "skops"):
        assert codes(path, format) <= {"format_unsafe", "format_unknown"}


def test_two_formats_in_one_file_are_read_as_the_one_that_it_begins_with(classifier: Trained, tmp_path: Path) -> None:
    graph, archive = classifier.onnx.read_bytes(), classifier.skops.read_bytes()
    path = tmp_path / "model.skops"
    for protocol in range(6):
        harm = pickle.dumps(hostile.Harm(), protocol)
        path.write_bytes(harm + archive)  # a zip may begin anywhere, and a pickle ends where it says so
        assert codes(path, "skops") == {"format_unsafe"}
        path.write_bytes(b"\x08\x09" + harm)
        assert not scan(path, "onnx").ok
    path.write_bytes(graph + archive)
    assert not scan(path, "onnx").ok
    assert codes(path, "skops") == {"format_mismatch"}


def test_opcodes_that_run_code_are_told_from_those_that_do_not() -> None:
    assert "system" in pickle_code(pickle.dumps(hostile.Harm(), 2))
    assert pickle_code(pickle.dumps({"a": [1, 2.5, "x"]})) == ""
    assert pickle_code(b"\x00\x01") == ""
