"""Score batches: each record in and out meets its schema, and what does not is rejected with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.columns import Columns
from engine.errors import EngineError
from engine.schemas import Schema, Violation
from engine.streams.rows import Reject, Rows
from engine.streams.transports import Batch

if TYPE_CHECKING:
    from engine.scoring import Model

# Rules about which fields there are and their types; all others are about a value.
STRUCTURE = frozenset({"missing", "unknown_field", "type", "null"})


class BatchScorer:
    """Scores batches with one version of a model."""

    def __init__(self, opened: Model, inputs: Schema, outputs: Schema) -> None:
        """Take an opened model, what may come in and what may go out."""
        self._opened = opened
        self._inputs, self._outputs = Columns(inputs), Columns(outputs)

    def score(self, batch: Batch) -> tuple[Rows, list[Reject]]:
        """Return the outputs of the records that were scored, in their order, and the rejects of all others."""
        keys, columns, rejects = self._checked(batch)
        rows, failed = self._predicted(keys, columns)
        return rows, [*batch.rejects, *rejects, *failed]

    def _checked(self, batch: Batch) -> tuple[list[str], dict[str, np.ndarray], list[Reject]]:
        """Return keys and columns of the records that meet the input schema, and the rejects."""
        records = batch.records if batch.records is not None else batch.table.to_pylist() if batch.table else []
        check = self._inputs.schema.check
        keys, good, rejects = [], [], []
        for key, record in zip(batch.keys, records, strict=True):
            violations = check(record)
            if violations:
                rejects.append(_reject(key, violations[0], record))
            else:
                keys.append(key)
                good.append(record)
        return keys, self._inputs.from_records(good), rejects

    def _predicted(self, keys: list[str], columns: dict[str, np.ndarray]) -> tuple[Rows, list[Reject]]:
        """Return rows of predictions that meet the output schema; when the model fails on all, try each alone."""
        if not keys:
            return Rows(self._outputs.schema, [], records=[]), []
        try:
            found = self._predict(columns)
        except Exception as error:
            if len(keys) == 1:
                words = error.message if isinstance(error, EngineError) else f"{type(error).__name__}: {error!s:.200}"
                record = self._inputs.to_records(columns, 1)[0]
                return Rows(self._outputs.schema, [], records=[]), [
                    Reject(keys[0], "prediction", "prediction_failed", "", words, record)
                ]
            return self._singly(keys, columns)
        records = self._outputs.to_records(found, len(keys))
        if self._outputs.accept(found, {}, len(keys)):
            return Rows(self._outputs.schema, keys, records=records), []
        return self._sorted_out(keys, records)

    def _predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with np.errstate(over="raise"):  # a double beyond the model's own numbers would become infinity in silence
            if self._inputs.packable:
                matrix = np.column_stack([columns[name] for name in self._inputs.names]).astype("f8", copy=False)
                return self._opened.predict_packed(matrix)
            return self._opened.predict(columns)

    def _singly(self, keys: list[str], columns: dict[str, np.ndarray]) -> tuple[Rows, list[Reject]]:
        records: list[dict[str, Any]] = []
        kept: list[str] = []
        rejects: list[Reject] = []
        for at in range(len(keys)):
            rows, failed = self._predicted([keys[at]], {name: one[at : at + 1] for name, one in columns.items()})
            kept += rows.keys
            records += rows.records
            rejects += failed
        return Rows(self._outputs.schema, kept, records=records), rejects

    def _sorted_out(self, keys: list[str], records: list[dict[str, Any]]) -> tuple[Rows, list[Reject]]:
        kept, good, rejects = [], [], []
        for key, record in zip(keys, records, strict=True):
            violations = self._outputs.schema.check(record)
            if violations:
                one = violations[0]
                rejects.append(Reject(key, "output", one.rule, one.field, one.message, record))
            else:
                kept.append(key)
                good.append(record)
        return Rows(self._outputs.schema, kept, records=good), rejects


def _reject(key: str, violation: Violation, record: Any) -> Reject:
    cause = "schema" if violation.rule in STRUCTURE else "constraint"
    return Reject(key, cause, violation.rule, violation.field, violation.message, record)
