"""From a request's bytes to an answer's bytes for one version: every record in and every record out meets its schema.

Whole columns are checked at once, which accepts good requests quickly. Only what that does not accept is checked record
by record with `Schema.check`, whose word is final and whose violations are told.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from engine import inference
from engine.columns import FLOAT_LIMITS, Columns
from engine.errors import EngineError, RecordError
from engine.inference import Request, Tensor
from engine.schemas import Schema, Violation

log = logging.getLogger("engine")

PACKED = "records"
MOST_VIOLATIONS = 100
JSON = [("content-type", "application/json")]


class Model(Protocol):
    """What a loaded model can do; see `engine.formats`."""

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return output columns for input columns."""

    def predict_packed(self, matrix: np.ndarray) -> dict[str, np.ndarray]:
        """Return output columns for a matrix of records by fields."""


@dataclass(slots=True)
class Answer:
    """A scored request: the body and headers to send, and how many records it holds."""

    body: bytes
    records: int
    headers: list[tuple[str, str]] = field(default_factory=lambda: JSON)


class Scorer:
    """Scores requests with one version of a model."""

    def __init__(self, model: str, version: str, opened: Model, inputs: Schema, outputs: Schema) -> None:
        """Take an opened model and its schemas."""
        self.head = {"model_name": model, "model_version": version}
        self.opened = opened
        self.inputs = Columns(inputs)
        self.outputs = Columns(outputs)
        self.pace = 1e-7  # seconds per byte of a request's body, measured as it goes

    def answer(self, body: bytes, header_length: str | None) -> Answer:
        """Return the answer to a request. Raises `RecordError` with the violations when a record breaks the schema."""
        request = inference.parse(body, header_length)
        count = self._count(request.tensors)
        matrix = self._row(request) if count == 1 else None
        if matrix is None:
            matrix = self._matrix(request, count)
            if matrix is not None and not self.inputs.accept_matrix(matrix):
                matrix = None
        if matrix is not None:
            predicted = self._predict(matrix)
        else:
            records = self._records(request, count)
            _refuse(self.inputs.schema, records)
            for tensor in request.tensors:
                inference.check_datatype(tensor)
            predicted = self._predict(self.inputs.from_records(records))
        lists = inference.flat_lists(predicted)
        self._check(predicted, lists, count)
        text, length = inference.encode(self.head, predicted, lists, request)
        if length is None:
            return Answer(text, count)
        binary = [("content-type", "application/octet-stream"), (inference.HEADER_LENGTH, str(length))]
        return Answer(text, count, binary)

    def warm_up(self, records: list[dict[str, Any]]) -> None:
        """Score a few records once, so that the first request finds everything in place."""
        if not records:
            return
        _refuse(self.inputs.schema, records)
        columns = self.inputs.from_records(records)
        self._check(self._predict(columns), {}, len(records))
        if self.inputs.packable:
            self._predict(np.column_stack([columns[name] for name in self.inputs.names]).astype("f8"))

    def _count(self, tensors: list[Tensor]) -> int:
        """Return the number of records, the same in every tensor. Raises `shape` otherwise."""
        count = tensors[0].shape[0]
        for tensor in tensors[1:]:
            if tensor.shape[0] != count:
                raise RecordError("shape", "The inputs have different numbers of records.", field=tensor.name)
        return count

    def _is_packed(self, tensors: list[Tensor]) -> bool:
        """Say whether the request is one tensor of records by fields, and check its width."""
        first = tensors[0]
        if len(tensors) != 1 or first.name != PACKED or PACKED in self.inputs.places:
            return False
        width = len(self.inputs.names)
        if not self.inputs.packable:
            raise RecordError("not_packable", "Not every field is a number: send one tensor per field.", field=PACKED)
        if len(first.shape) != 2 or first.shape[1] != width:
            raise RecordError("shape", f"{PACKED!r} has the shape {first.shape}, not [N, {width}].", field=PACKED)
        return True

    def _matrix(self, request: Request, count: int) -> np.ndarray | None:
        """Return the records as doubles, a row each, or None when they are not all plain numbers in their places."""
        tensors, places = request.tensors, self.inputs.places
        if self._is_packed(tensors):
            flat = inference.numbers(tensors[0], request.booleans)
            return None if flat is None else flat.reshape(count, len(places))
        if not self.inputs.packable or len(tensors) != len(places):
            return None
        matrix = np.empty((count, len(places)))
        for tensor in tensors:
            place = places.get(tensor.name)
            flat = inference.numbers(tensor, request.booleans)
            if place is None or flat is None or len(flat) != count or not self.inputs.takes(tensor):
                return None
            matrix[:, place] = flat
        return matrix

    def _row(self, request: Request) -> np.ndarray | None:
        """Return a single packed record, checked, or None for the long way: most requests are just this."""
        tensor = request.tensors[0]
        if request.booleans or type(tensor.values) is not list or tensor.datatype[0] != "F":
            return None
        if not self._is_packed(request.tensors) or not self.inputs.accept_row(tensor.values):
            return None
        return np.array([tensor.values], "f8")

    def _records(self, request: Request, count: int) -> list[dict[str, Any]]:
        """Return the request as records of plain values, as odd as they came."""
        if self._is_packed(request.tensors):
            return self.inputs.unpacked(inference.plain(request.tensors[0]), count)
        records: list[dict[str, Any]] = [{} for _ in range(count)]
        for tensor in request.tensors:
            values = inference.plain(tensor)
            width = math.prod(tensor.shape[1:])
            if self.inputs.is_array(tensor.name):
                values = [values[at : at + width] for at in range(0, len(values), width)] if width else [[]] * count
            elif width != 1:
                raise RecordError("shape", f"{tensor.name!r} has the shape {tensor.shape}, not [N].", field=tensor.name)
            for record, value in zip(records, values, strict=True):
                record[tensor.name] = value
        return records

    def _predict(self, given: Any) -> dict[str, np.ndarray]:
        """Run the model; whatever goes wrong inside it is logged, and told without its inner words."""
        try:
            with np.errstate(over="raise"):  # a double beyond the model's own numbers would become infinity in silence
                return (
                    self.opened.predict_packed(given) if isinstance(given, np.ndarray) else self.opened.predict(given)
                )
        except EngineError:
            raise
        except FloatingPointError:
            raise self._overflow(given) from None
        except Exception as error:
            log.exception("%s: prediction failed", self.head)
            raise RecordError(
                "prediction_failed", "The model failed on this request; the engine's log tells more."
            ) from error

    def _overflow(self, given: Any) -> RecordError:
        """Return the refusal of a value that fits the schema but not the model's 32-bit numbers, by name."""
        columns = dict(zip(self.inputs.names, given.T, strict=True)) if isinstance(given, np.ndarray) else given
        for name, column in columns.items():
            large = np.argwhere(np.abs(column) > FLOAT_LIMITS["float"] if column.dtype.kind == "f" else [])
            if len(large):
                at, value = int(large[0][0]), float(column[tuple(large[0])])
                message = f"{name} does not fit into the 32-bit numbers of the model"
                return _refusal([_told(at, Violation(name, "type", value, message))])
        return RecordError("prediction_failed", "The model computed a number beyond its range.")

    def _check(self, predicted: dict[str, np.ndarray], lists: dict[str, list[Any]], count: int) -> None:
        """Raise `output_breach` when a prediction breaks the output schema."""
        if self.outputs.accept(predicted, lists, count):
            return
        records = self.outputs.to_records(predicted, count)
        if violations := _violations(self.outputs.schema, records):
            raise RecordError(
                "output_breach",
                f"The model's output breaks its schema: {violations[0]['message']}; no prediction is given.",
                details={"violations": violations},
            )


def _violations(schema: Schema, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first violations, each with its record's index."""
    found: list[dict[str, Any]] = []
    for at, record in enumerate(records):
        found += [_told(at, violation) for violation in schema.check(record)]
        if len(found) >= MOST_VIOLATIONS:
            return found[:MOST_VIOLATIONS]
    return found


def _refuse(schema: Schema, records: list[dict[str, Any]]) -> None:
    """Raise `schema_violation` when a record breaks the schema: the whole request is refused."""
    if violations := _violations(schema, records):
        raise _refusal(violations)


def _refusal(violations: list[dict[str, Any]]) -> RecordError:
    """Return the refusal that tells the first violation in its sentence and all of them in its details."""
    first, more = violations[0], len(violations) - 1
    rest = f" ({more} more)" if 0 < more < MOST_VIOLATIONS - 1 else " (and many more)" if more else ""
    return RecordError(
        "schema_violation",
        f"Record {first['record']}: {first['message']}{rest}",
        field=first["field"],
        details={"violations": violations},
    )


def _told(at: int, violation: Violation) -> dict[str, Any]:
    """Return a violation as JSON; what JSON cannot hold (NaN, infinity) or what is long is told as text."""
    value: Any = violation.value
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    elif not isinstance(value, (bool, int, float, str, type(None))) or (isinstance(value, str) and len(value) > 200):
        value = str(value)[:200]
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        value = str(value)
    return {
        "record": at,
        "field": violation.field,
        "rule": violation.rule,
        "value": value,
        "message": violation.message,
    }
