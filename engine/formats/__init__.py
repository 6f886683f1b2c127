"""Model formats, one file each. What a file is, is read from its content, never from its name."""

import importlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from engine.errors import FormatError
from engine.schemas import Field, Schema

FORMATS = ("onnx", "skops")
UNSAFE = (
    (b"\x80", "a Python pickle"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "gzip-compressed, as joblib writes pickles"),
    (b"\x78\x01", "zlib-compressed, as joblib writes pickles"),
    (b"\x78\x5e", "zlib-compressed, as joblib writes pickles"),
    (b"\x78\x9c", "zlib-compressed, as joblib writes pickles"),
    (b"\x78\xda", "zlib-compressed, as joblib writes pickles"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
)
OLD_PICKLE = re.compile(rb"\(|c[\w.]+\n")  # a tuple or an import, as protocol 0 writes them
ONNX = re.compile(rb"\x08[\x01-\x7f][^\0]")  # ModelProto.ir_version, the first field of every ONNX file, and a second
ADVICE = "Export the model to ONNX, or save a scikit-learn model with skops.io.dump."


class Model(Protocol):
    """A loaded model. Columns are NumPy arrays by schema field: N values, or N × size for lists."""

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return N outputs for N records, as columns by output field."""

    def predict_packed(self, matrix: Any) -> dict[str, Any]:
        """Return N outputs for a matrix of N records × k numeric fields in schema order."""


def detect(path: Path) -> str:
    """Return 'onnx' or 'skops'. Raises FormatError `format_unsafe`, `format_unknown` or `archive_damaged`."""
    with path.open("rb") as stream:
        head = stream.read(64)
    if head.startswith(b"PK"):
        return _detect_zip(path)
    for magic, words in UNSAFE:
        if head.startswith(magic):
            raise FormatError("format_unsafe", f"The file is {words}, which can run code when loaded. {ADVICE}")
    if OLD_PICKLE.match(head):
        raise FormatError("format_unsafe", f"The file is an old Python pickle, which runs code when loaded. {ADVICE}")
    if ONNX.match(head):
        return "onnx"
    raise FormatError("format_unknown", f"The file is neither ONNX nor skops. {ADVICE}")


def _detect_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FormatError("archive_damaged", f"The archive cannot be read ({error}); upload it again.") from error
    if "schema.json" in names:
        return "skops"
    if any(name.endswith(".pkl") for name in names):
        raise FormatError("format_unsafe", f"The archive holds pickles, as PyTorch saves them. {ADVICE}")
    raise FormatError("format_unknown", f"The archive is not a skops file. {ADVICE}")


def open_model(path: Path, format: str, input_schema: Schema, output_schema: Schema) -> Model:
    """Load a model and bind it to its schemas.

    Raises FormatError `format_unknown`, `model_not_loadable`, `schema_mismatch` (with the field) or
    `output_unsupported`. Loads libraries of the format only, for a scoring process is to stay small.
    """
    model: Model = module_for(format).open_model(path, input_schema, output_schema)
    return model


def plain(name: str) -> str:
    """Return a model's own name as a field's: float_input:0 becomes float_input_0."""
    return re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)


def pair(names: Sequence[str], schema: Schema) -> list[Field]:
    """Return the field for each of a model's own names: by name where all names agree, else in order.

    Raises FormatError `schema_mismatch` when there are more of one than of the other, or when a name stands in another
    place, so that the order is in doubt.
    """
    if len(names) != len(schema.fields):
        raise FormatError(
            "schema_mismatch", f"The model has {len(names)} values a record, the schema {len(schema.fields)} fields."
        )
    fields = {one.name: one for one in schema.fields}
    told = [plain(name) for name in names]
    if fields.keys() == set(told):
        return [fields[name] for name in told]
    for at, name in enumerate(told):
        if name in fields and schema.names[at] != name:
            raise FormatError(
                "schema_mismatch", f"{name} is number {at + 1} in the model; give the fields its order.", field=name
            )
    return list(schema.fields)


def module_for(format: str) -> ModuleType:
    """Return the module of a format. Raises FormatError `format_unknown`."""
    if format not in FORMATS:
        raise FormatError("format_unknown", f"{format!r} is not a format; known are " + ", ".join(FORMATS) + ".")
    return importlib.import_module(f"engine.formats.{format}")
