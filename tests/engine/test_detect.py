"""What a file is, is read from its content: a name or a disguise changes nothing, and everything unsafe is refused."""

import io
import pickle
import zipfile
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from engine.errors import FormatError
from engine.formats import FORMATS, detect, module_for
from tests.engine import hostile
from tests.engine.conftest import Trained

MODEL = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])


def joblibs() -> dict[str, bytes]:
    """Return a model as joblib writes it."""
    found = {}
    for name in ("plain", "zlib", "gzip", "bz2", "lzma", "xz"):
        stream = io.BytesIO()
        joblib.dump(MODEL, stream, compress=0 if name == "plain" else (name, 3))
        found[f"joblib {name}"] = stream.getvalue()
    return found


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, np.zeros(3))
    return stream.getvalue()


UNSAFE = hostile.pickles() | joblibs() | {
    "model pickle": pickle.dumps(MODEL),
    "model pickle, protocol 0": pickle.dumps(MODEL, 0),
    "cloudpickle": cloudpickle.dumps(lambda x: x),
    "torch": zipped(archive__data_dot_pkl=b"", archive__data__0=b"", archive__version=b"3"),
    "keras 2": b"\x89HDF\r\n\x1a\n" + bytes(64),
}  # fmt: skip
UNKNOWN = {
    "empty": b"",
    "a byte": b"\x08",
    "almost nothing": b"\x08\x09",
    "text": b"weights: 1, 2, 3\n",
    "JSON": b'{"model": 1}',
    "XML": b"<PMML/>",
    "zeros": bytes(1000),
    "zip of text": zipped(readme_dot_txt=b"hello"),
    "npz": npz(),
    "safetensors": (8).to_bytes(8, "little") + b"{}      ",
    "program": b"\x7fELF" + bytes(100),
    "an old joblib": b"ZF" + bytes(100),
}
DAMAGED = {
    "zip cut off": zipped(schema_dot_json=b"{}")[:-10],
    "zip in name only": b"PK\x03\x04" + bytes(100),
    "two letters": b"PK",
}
GROUPS = {"format_unsafe": UNSAFE, "format_unknown": UNKNOWN, "archive_damaged": DAMAGED}
CASES = [(name, content, code) for code, group in GROUPS.items() for name, content in group.items()]


@pytest.mark.parametrize(("name", "content", "code"), CASES, ids=[name for name, _, _ in CASES])
@pytest.mark.parametrize("filename", ["model.onnx", "model.skops"])
def test_everything_else_is_refused_by_content(
    tmp_path: Path, name: str, content: bytes, code: str, filename: str
) -> None:
    path = tmp_path / filename
    path.write_bytes(content)
    with pytest.raises(FormatError) as refusal:
        detect(path)
    refused = {code, "format_unknown"} if name in {"joblib lzma"} else {code}  # an LZMA stream has no magic
    assert refusal.value.code in refused
    assert "upload it again" in refusal.value.message or "Export the model to ONNX" in refusal.value.message


def test_models_are_known_under_any_name(classifier: Trained, tmp_path: Path) -> None:
    for format in FORMATS:
        for filename in ("model.pkl", "x", "model.onnx", "model.skops"):
            path = tmp_path / filename
            path.write_bytes(getattr(classifier, format).read_bytes())
            assert detect(path) == format


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_get_a_verdict(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        found = detect(path)
    except FormatError as refusal:
        found = refusal.code
    assert found in {*FORMATS, *GROUPS}


@pytest.mark.parametrize("name", ["pickle", "", "../onnx", "onnx_wire", "os", "__init__"])
def test_only_formats_have_modules(name: str) -> None:
    with pytest.raises(FormatError) as refusal:
        module_for(name)
    assert refusal.value.code == "format_unknown"
