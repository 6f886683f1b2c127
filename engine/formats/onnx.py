"""ONNX models, run by onnxruntime. No external data, no code: a graph of known operators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from engine.errors import FormatError
from engine.formats import pair, plain
from engine.formats.onnx_wire import refuse_reaching_out
from engine.schemas import INTEGERS, Field, Schema

DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
AVRO = {
    "tensor(float)": "float",
    "tensor(double)": "double",
    "tensor(int64)": "long",
    "tensor(int32)": "int",
    "tensor(bool)": "boolean",
    "tensor(string)": "string",
}
INT32 = np.iinfo(np.int32)
KINDS = {AVRO[graph_type]: dtype for graph_type, dtype in DTYPES.items()}
FAMILY = {"boolean": "boolean", "string": "text", "enum": "text", "int": "number", "long": "number", "float": "number"}


class OnnxModel:
    """A session with its inputs and outputs bound to schema fields."""

    def __init__(self, session: ort.InferenceSession, inputs: Schema, outputs: Schema) -> None:
        self._run = session.run
        self._inputs = session.get_inputs()
        self._names = inputs.names
        self._outputs = _bind_outputs(session.get_outputs(), outputs)
        self._output_names = [name for name, _, _ in self._outputs]
        self._packed = _takes_matrix(self._inputs, inputs)
        if not self._packed:
            _check_named(self._inputs, inputs)
        self._dtypes = [DTYPES[one.type] for one in self._inputs]
        self._columns = [plain(one.name) for one in self._inputs]

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return N outputs for N records, as columns by output field."""
        if self._packed:
            return self.predict_packed(np.column_stack([columns[name] for name in self._names]))
        feed = {}
        for one, name, dtype in zip(self._inputs, self._columns, self._dtypes, strict=True):
            column = _cast(np.asarray(columns[name]), dtype)
            feed[one.name] = column.reshape(-1, 1) if len(one.shape) == 2 and column.ndim == 1 else column
        return self._named(self._run(self._output_names, feed))

    def predict_packed(self, matrix: Any) -> dict[str, Any]:
        """Return N outputs for a matrix of N records × k numeric fields in schema order."""
        if self._packed:
            feed = {self._inputs[0].name: _cast(matrix, self._dtypes[0])}
            return self._named(self._run(self._output_names, feed))
        return self.predict({name: matrix[:, at] for at, name in enumerate(self._names)})

    def _named(self, values: list[Any]) -> dict[str, Any]:
        found = {}
        for (_, field, dtype), value in zip(self._outputs, values, strict=True):
            column = np.asarray(value) if dtype is None else _cast(np.asarray(value), dtype)
            found[field.name] = column.reshape(len(column)) if field.type != "array" and column.ndim == 2 else column
        return found


def _cast(values: Any, dtype: Any) -> Any:
    """Return values in another type. Raises FloatingPointError where NumPy would wrap a whole number around."""
    if dtype is np.int32 and values.size and not INT32.min <= values.min() <= values.max() <= INT32.max:
        raise FloatingPointError("a whole number does not fit into 32 bits")
    return values.astype(dtype, copy=False)


def open_session(path: Path) -> ort.InferenceSession:
    """Return a session over a file.

    Raises FormatError `model_not_loadable`, or what `refuse_reaching_out` raises before onnxruntime sees the file.
    """
    content = path.read_bytes()
    refuse_reaching_out(content)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own for each way to fail
        words = str(error).splitlines()[0][-300:].rstrip(".")  # the reason comes last
        raise FormatError("model_not_loadable", f"onnxruntime cannot load the model: {words}.") from error
    if not session.get_inputs() or not session.get_outputs():
        raise FormatError("model_not_loadable", "The graph has no inputs or no outputs; it is no model.")
    for one in session.get_inputs():
        if one.shape and isinstance(one.shape[0], int):
            raise FormatError(
                "model_not_loadable",
                f"The graph takes exactly {one.shape[0]} records at once; export it with a free first axis.",
                field=one.name,
            )
    return session


def open_model(path: Path, input_schema: Schema, output_schema: Schema) -> OnnxModel:
    """Load a graph and bind it to its schemas. Raises FormatError."""
    return OnnxModel(open_session(path), input_schema, output_schema)


def infer_schemas(path: Path) -> tuple[Schema, Schema, list[str]]:
    """Return input and output schema as the graph shows them, and notes on what to correct. Raises FormatError."""
    session = open_session(path)
    inputs, notes = _input_fields(session.get_inputs())
    outputs = [_output_field(one) for one in session.get_outputs()]
    return Schema("inputs", inputs), Schema("outputs", outputs), notes


def _input_fields(inputs: list[Any]) -> tuple[list[Field], list[str]]:
    only = inputs[0]
    if len(inputs) == 1 and len(only.shape) == 2 and isinstance(only.shape[1], int) and only.type in AVRO:
        fields = [Field(f"feature_{at}", AVRO[only.type]) for at in range(only.shape[1])]
        return fields, [f"The graph takes {len(fields)} values without names; give each its name, unit and limits."]
    fields = [_input_field(one) for one in inputs]
    return fields, ["Types are the graph's; set limits and units, which a graph does not know."]


def _input_field(one: Any) -> Field:
    if one.type not in AVRO or len(one.shape) > 2:
        raise FormatError(
            "schema_mismatch", f"Input {one.name} is a {one.type} of {len(one.shape)} axes.", field=one.name
        )
    width = one.shape[1] if len(one.shape) == 2 else 1
    if width == 1:
        return Field(plain(one.name), AVRO[one.type])
    return Field(plain(one.name), "array", items=AVRO[one.type], size=width if isinstance(width, int) else None)


def _output_field(one: Any) -> Field:
    if one.type not in AVRO:
        raise FormatError(
            "output_unsupported",
            f"Output {one.name} is a {one.type}; export the model so that it gives tensors (zipmap off).",
            field=one.name,
        )
    if len(one.shape) < 2 or one.shape[1] == 1:
        return Field(plain(one.name), AVRO[one.type])
    return Field(
        plain(one.name), "array", items=AVRO[one.type], size=one.shape[1] if isinstance(one.shape[1], int) else None
    )


def _takes_matrix(inputs: list[Any], schema: Schema) -> bool:
    """Tell whether all fields together fill the graph's one input. Raises FormatError `schema_mismatch`."""
    only = inputs[0]
    name = plain(only.name)
    if len(inputs) != 1 or len(only.shape) != 2 or (schema.names == (name,) and schema.fields[0].type == "array"):
        return False
    if name in schema.names and only.shape[1] == 1:
        return False
    width = only.shape[1]
    odd = next((one.name for one in schema.fields if one.type == "array" or one.nullable), "")
    if odd or only.type not in DTYPES:
        raise FormatError(
            "schema_mismatch", f"The graph takes {only.type} values; {odd or only.name} is not one.", field=odd
        )
    if isinstance(width, int) and width != len(schema.fields):
        raise FormatError(
            "schema_mismatch", f"The graph takes {width} values a record, the schema has {len(schema.fields)} fields."
        )
    for one in schema.fields:
        if not _fits(one, only.type):
            raise FormatError(
                "schema_mismatch", f"{one.name} is {one.type}; the graph takes {only.type}.", field=one.name
            )
    return True


def _check_named(inputs: list[Any], schema: Schema) -> None:
    """Compare inputs and fields by name. Raises FormatError `schema_mismatch`."""
    fields = {one.name: one for one in schema.fields}
    names = {plain(one.name) for one in inputs}
    if len(names) != len(inputs):
        raise FormatError(
            "schema_mismatch", "Two inputs of the graph have names that differ in signs only; rename one."
        )
    for name in sorted(names ^ fields.keys()):
        where = "graph" if name in names else "schema"
        raise FormatError("schema_mismatch", f"{name} is only in the {where}.", field=name)
    for one in inputs:
        field = fields[plain(one.name)]
        if one.type not in AVRO or not _fits(field, one.type) or field.nullable or not _has_shape(field, one.shape):
            raise FormatError(
                "schema_mismatch",
                f"{one.name} is {field.kind}; the graph takes {one.type} of the shape {one.shape}.",
                field=one.name,
            )


def _has_shape(field: Field, shape: list[Any]) -> bool:
    """Tell whether N values of a field fill an input; an axis that is no number is free."""
    width = shape[1] if len(shape) > 1 else 1
    if field.type == "array":
        return len(shape) == 2 and (not isinstance(width, int) or width == field.size)
    return len(shape) <= 2 and (not isinstance(width, int) or width == 1)


def _bind_outputs(outputs: list[Any], schema: Schema) -> list[tuple[str, Field, Any]]:
    """Return name, field and NumPy type (None: as the graph gives it) of each output. Raises FormatError."""
    bound = []
    for one, field in zip(outputs, pair([one.name for one in outputs], schema), strict=True):
        seen = _output_field(one)
        if _family(seen.kind) != _family(field.kind) or (seen.type == "array") != (field.type == "array"):
            raise FormatError(
                "schema_mismatch", f"{field.name} is {field.type}; the graph gives {one.type}.", field=field.name
            )
        whole = field.kind in INTEGERS and seen.kind not in INTEGERS  # fractions are for the schema to refuse
        same = not field.numeric or KINDS[field.kind] is DTYPES[one.type]
        bound.append((one.name, field, None if whole or same else KINDS[field.kind]))
    return bound


def _fits(field: Field, graph_type: str) -> bool:
    """Tell whether a field's values may feed a graph's type: no text into numbers, no fraction into whole numbers."""
    wanted = AVRO[graph_type]
    return _family(wanted) == _family(field.kind) and not (wanted in INTEGERS and field.kind not in INTEGERS)


def _family(kind: str) -> str:
    return FAMILY.get(kind, "number")
