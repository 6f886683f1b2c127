"""The Open Inference Protocol V2 on the wire: requests to tensors and tensors to answers, in JSON and in binary.

A tensor's values come as a flat list (JSON) or a flat array (binary), in row-major order. Nothing here knows schemas.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from engine.errors import RecordError

HEADER_LENGTH = "inference-header-content-length"
NUMPY_TYPES = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
V2_TYPES = {np.dtype(code): name for name, code in NUMPY_TYPES.items()}
LARGEST_BATCH = 1_000_000
EXACT = 1 << 53
FEW = 64
NULL = type(None)
PLAIN_TYPES: dict[str, set[type]] = {
    "BO": {bool, NULL}, "IN": {int, NULL}, "UI": {int, NULL}, "FP": {int, float, NULL}, "BY": {str, NULL},
}  # fmt: skip


@dataclass(slots=True)
class Tensor:
    """One input: its values flat, a list from JSON or an array from binary."""

    name: str
    datatype: str
    shape: list[int]
    values: Any


@dataclass(slots=True)
class Request:
    """A parsed inference request."""

    tensors: list[Tensor]
    id: str | None
    outputs: dict[str, bool] | None
    binary: bool
    booleans: bool


def parse(body: bytes, header_length: str | None) -> Request:
    """Return the request in a body; `header_length` is the header that marks binary tensors. Raises `bad_request`."""
    head, tail = _split(body, header_length)
    try:
        told = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise RecordError("bad_json", f"The request is not JSON: {error}.") from None
    if type(told) is not dict or type(told.get("inputs")) is not list or not told["inputs"]:
        raise RecordError("bad_request", 'The request has no "inputs" list.', field="inputs")
    ident = told.get("id")
    if ident is not None and (type(ident) is not str or len(ident) > 200):
        raise RecordError("bad_request", "The id is not a string of at most 200 characters.", field="id")
    taken = 0
    tensors = []
    for entry in told["inputs"]:
        tensor, taken = _tensor(entry, tail, taken)
        tensors.append(tensor)
    if taken != len(tail):
        raise RecordError("bad_request", f"{len(tail) - taken} bytes of binary data belong to no input.")
    if len(tensors) > 1 and len({tensor.name for tensor in tensors}) != len(tensors):
        raise RecordError("bad_request", "Two inputs have the same name.", field="inputs")
    parameters = told.get("parameters") or {}
    binary = type(parameters) is dict and parameters.get("binary_data_output") is True
    return Request(tensors, ident, _outputs(told.get("outputs"), binary), binary, b"true" in head or b"false" in head)


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """Return the JSON part and the binary part of a body."""
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isascii() or not header_length.isdigit() or int(header_length) > len(body):
        raise RecordError("bad_request", "Inference-Header-Content-Length is not a length inside the body.")
    return body[: int(header_length)], memoryview(body)[int(header_length) :]


def _tensor(entry: Any, tail: memoryview, taken: int) -> tuple[Tensor, int]:
    """Return one input as a tensor, and how much of the binary part is used up after it."""
    try:
        name, shape, datatype = entry["name"], entry["shape"], entry["datatype"]
    except (TypeError, KeyError):
        raise RecordError("bad_request", "An input lacks name, shape or datatype.", field="inputs") from None
    if type(name) is not str or type(datatype) is not str or (datatype not in NUMPY_TYPES and datatype != "BYTES"):
        raise RecordError("bad_request", f"Input {name!r} has the unknown datatype {datatype!r}.", field=str(name))
    count = 1
    for length in shape if type(shape) is list and shape else (None,):
        if type(length) is not int or not 1 <= length <= LARGEST_BATCH:
            raise RecordError("shape", f"Input {name!r} has the odd shape {shape!r}.", field=name)
        count *= length
    if "data" in entry:
        return Tensor(name, datatype, shape, _flat(name, entry["data"], count, shape)), taken
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if type(size) is not int or not 0 <= size <= len(tail) - taken:
        raise RecordError("bad_request", f"Input {name!r} has neither data nor a fitting binary_data_size.", field=name)
    return Tensor(name, datatype, shape, _from_bytes(name, datatype, tail[taken : taken + size], count)), taken + size


def _flat(name: str, data: Any, count: int, shape: list[int]) -> list[Any]:
    """Return JSON data as a flat list; it may come flat or nested as its shape says."""
    if type(data) is not list:
        raise RecordError("bad_request", f"The data of input {name!r} are not a list.", field=name)
    for width in shape[1:]:
        if not data or type(data[0]) is not list:
            break
        if not all(type(row) is list and len(row) == width for row in data):
            raise RecordError("shape", f"The nested data of input {name!r} do not fit the shape {shape}.", field=name)
        data = list(chain.from_iterable(data))
    if len(data) != count:
        raise RecordError(
            "shape", f"Input {name!r} has {len(data)} values; the shape {shape} needs {count}.", field=name
        )
    flat: list[Any] = data
    return flat


def _from_bytes(name: str, datatype: str, raw: memoryview, count: int) -> Any:
    """Return a binary tensor's values: an array, or a list of strings for BYTES (4-byte lengths before each)."""
    if datatype != "BYTES":
        dtype = np.dtype(NUMPY_TYPES[datatype])
        if len(raw) != count * dtype.itemsize:
            raise RecordError(
                "shape", f"Input {name!r} has {len(raw)} bytes, not {count * dtype.itemsize}.", field=name
            )
        if datatype == "BOOL" and bytes(raw).strip(b"\0\1"):
            raise RecordError("bad_request", f"Input {name!r} holds bytes that are neither 0 nor 1.", field=name)
        return np.frombuffer(raw, dtype)
    values, at = [], 0
    try:
        while at < len(raw):
            (length,) = struct.unpack_from("<I", raw, at)
            if at + 4 + length > len(raw):
                raise RecordError("shape", f"Input {name!r} ends in the middle of a string.", field=name)
            values.append(str(raw[at + 4 : at + 4 + length], "utf-8"))
            at += 4 + length
    except (struct.error, UnicodeDecodeError):
        raise RecordError(
            "bad_request", f"Input {name!r} is no list of UTF-8 strings with lengths.", field=name
        ) from None
    if len(values) != count:
        raise RecordError("shape", f"Input {name!r} has {len(values)} strings, not {count}.", field=name)
    return values


def _outputs(asked: Any, binary: bool) -> dict[str, bool] | None:
    """Return the asked outputs by name and whether each goes out in binary; None for all of them."""
    if asked is None or asked == []:
        return None
    try:
        return {str(one["name"]): (one.get("parameters") or {}).get("binary_data", binary) is True for one in asked}
    except (TypeError, KeyError, AttributeError):
        raise RecordError(
            "bad_request", "The outputs are not a list of objects with a name.", field="outputs"
        ) from None


def numbers(tensor: Tensor, booleans: bool) -> np.ndarray | None:
    """Return a tensor's values as flat doubles, or None when one is no number or does not fit its datatype.

    Booleans, nulls, strings, and fractions in an integer tensor do not fit: unlike in NumPy's own conversion nothing is
    guessed. Integers that a double cannot hold exactly do not fit either. `booleans` says that some may be among them.
    """
    values, kind = tensor.values, tensor.datatype[0]
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "f":
            return values.astype("f8")
        return _exact(values) if values.dtype.kind in "iu" else None
    if tensor.datatype not in NUMPY_TYPES or tensor.datatype == "BOOL" or (booleans and bool in set(map(type, values))):
        return None
    try:
        # twice as quick as array.array or NumPy on a list
        if kind == "F":
            return np.frombuffer(struct.pack(f"{len(values)}d", *values), "f8")
        return _exact(np.frombuffer(struct.pack(f"{len(values)}q", *values), "i8"))
    except (struct.error, OverflowError):
        return None


def _exact(values: np.ndarray) -> np.ndarray | None:
    """Return integers as doubles when all of them are below 2**53."""
    small = not values.size or (int(values.min()) >= -EXACT and int(values.max()) <= EXACT)
    return values.astype("f8") if small else None


def plain(tensor: Tensor) -> list[Any]:
    """Return a tensor's values as a flat list of plain Python values."""
    values: list[Any] = tensor.values.tolist() if isinstance(tensor.values, np.ndarray) else list(tensor.values)
    return values


def check_datatype(tensor: Tensor) -> None:
    """Raise `datatype` when a JSON value is not of the tensor's datatype, though the schema has nothing against it."""
    if isinstance(tensor.values, np.ndarray):
        return
    allowed = PLAIN_TYPES[tensor.datatype[:2]]
    for at, value in enumerate(tensor.values):
        if type(value) not in allowed:
            raise RecordError(
                "datatype", f"Value {at} of input {tensor.name!r} is not of type {tensor.datatype}.", field=tensor.name
            )


def flat_lists(columns: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return the columns with few values as flat lists, quicker to check and to write than arrays so small."""
    return {name: column.ravel().tolist() for name, column in columns.items() if column.size <= FEW}


def encode(
    head: dict[str, Any], columns: dict[str, np.ndarray], lists: dict[str, list[Any]], request: Request
) -> tuple[bytes, int | None]:
    """Return the answer's body, and the length of its JSON part when binary tensors follow it."""
    asked = request.outputs
    if asked is not None and (unknown := [name for name in asked if name not in columns]):
        raise RecordError("unknown_output", f"The model has no output {unknown[0]!r}.", field=unknown[0])
    outputs, tails = [], []
    for name in columns if asked is None else asked:
        binary = request.binary if asked is None else asked[name]
        told, tail = _output(name, columns[name], lists.get(name), binary)
        outputs.append(told)
        if tail is not None:
            tails.append(tail)
    if request.id is not None:
        head = {**head, "id": request.id}
    text = orjson.dumps({**head, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([text, *tails]), len(text)) if tails else (text, None)


def _output(
    name: str, column: np.ndarray, values: list[Any] | None, binary: bool
) -> tuple[dict[str, Any], bytes | None]:
    """Return one output's JSON object and, when asked for, its binary data."""
    datatype = V2_TYPES.get(column.dtype, "BYTES")
    told: dict[str, Any] = {"name": name, "datatype": datatype, "shape": column.shape}
    if not binary:
        if values is not None:
            told["data"] = values
        else:
            told["data"] = column.ravel().tolist() if datatype in ("BYTES", "FP16") else column.ravel()
        return told, None
    flat = column.ravel()
    raw = b"".join(_length_first(value) for value in flat.tolist()) if datatype == "BYTES" else flat.tobytes()
    told["parameters"] = {"binary_data_size": len(raw)}
    return told, raw


def _length_first(value: Any) -> bytes:
    text = str(value).encode()
    return struct.pack("<I", len(text)) + text
