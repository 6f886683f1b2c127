"""Score batches: each record in and out meets its schema, and what does not is rejected with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.columns import Columns
from engine.errors import EngineError, RecordError
from engine.schemas import Schema, Violation
from engine.streams.bulk import BulkCheck, Given
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
        self._bulk = BulkCheck(self._inputs)

    def score(self, batch: Batch) -> tuple[Rows, list[Reject]]:
        """Return the outputs of the records that were scored, in their order, and the rejects of all others."""
        rows = self._at_once(batch)
        if rows is not None:
            return rows, list(batch.rejects)
        keys, good, rejects = self._checked(batch)
        rows, failed = self._scored(keys, good)
        return rows, [*batch.rejects, *rejects, *failed]

    def _at_once(self, batch: Batch) -> Rows | None:
        """Return the outputs if nothing is wrong with any record; None if each has to be looked at."""
        try:
            given = self._bulk.records(batch.records or []) if batch.table is None else self._bulk.table(batch.table)
            found = None if given is None else self._predict(given)
        except Exception:  # whatever it is: the second look tells which record is to blame
            return None
        count = len(batch.keys)
        if found is None or not self._outputs.accept(found, {}, count):
            return None
        return Rows(self._outputs.schema, batch.keys, records=self._outputs.to_records(found, count))

    def _checked(self, batch: Batch) -> tuple[list[str], list[dict[str, Any]], list[Reject]]:
        """Return keys and records that meet the input schema, and the rejects."""
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
        return keys, good, rejects

    def _scored(self, keys: list[str], records: list[dict[str, Any]]) -> tuple[Rows, list[Reject]]:
        """Return rows of predictions for records that meet the schema; lists of odd lengths go apart."""
        try:
            columns = self._inputs.from_records(records)
        except RecordError:
            parts = [self._scored([key], [record]) for key, record in zip(keys, records, strict=True)]
            kept = [key for rows, _ in parts for key in rows.keys]
            found = [record for rows, _ in parts for record in rows.records]
            return Rows(self._outputs.schema, kept, records=found), [one for _, rejects in parts for one in rejects]
        return self._predicted(keys, columns)

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

    def _predict(self, given: Given) -> dict[str, np.ndarray]:
        with np.errstate(over="raise"):  # a double beyond the model's own numbers would become infinity in silence
            if isinstance(given, dict) and self._inputs.packable:
                given = np.column_stack([given[name] for name in self._inputs.names]).astype("f8", copy=False)
            return self._opened.predict(given) if isinstance(given, dict) else self._opened.predict_packed(given)

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
