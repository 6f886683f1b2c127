"""scikit-learn models saved by skops: no pickle, and only types of an exact list are built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from engine.errors import FormatError
from engine.formats.skops_types import TYPES
from engine.scan import refuse_unsafe_skops
from engine.schemas import Schema


class SkopsModel:
    """An estimator with its predictions bound to schema fields."""

    def __init__(self, estimator: Any, inputs: Schema, outputs: Schema) -> None:
        self._estimator = estimator
        self._names = inputs.names
        self._numeric = all(one.numeric for one in inputs.fields)
        self._steps = _bind(estimator, outputs)
        width = getattr(estimator, "n_features_in_", None)
        if width is not None and width != len(inputs.fields):
            raise FormatError(
                "schema_mismatch",
                f"The model takes {width} values a record, the schema has {len(inputs.fields)} fields.",
            )
        odd = next((one.name for one in inputs.fields if one.type == "array"), "")
        if odd:
            raise FormatError("schema_mismatch", f"{odd} is a list; scikit-learn takes single values.", field=odd)

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return N outputs for N records, as columns by output field."""
        kind = np.float64 if self._numeric else np.object_
        return self.predict_packed(np.column_stack([np.asarray(columns[name], dtype=kind) for name in self._names]))

    def predict_packed(self, matrix: Any) -> dict[str, Any]:
        """Return N outputs for a matrix of N records × k fields in schema order."""
        found = {}
        for name, call, kind in self._steps:
            values = np.asarray(call(matrix))
            found[name] = values.astype(kind) if kind else values
        return found


def open_model(path: Path, input_schema: Schema, output_schema: Schema) -> SkopsModel:
    """Load an estimator and bind it to its schemas. Raises FormatError."""
    return SkopsModel(load(path), input_schema, output_schema)


def load(path: Path) -> Any:
    """Return the estimator in a file.

    Raises FormatError `model_not_loadable`, or the code of what our own scan finds before skops sees the file.
    """
    refuse_unsafe_skops(path)
    try:
        untrusted = sorted(set(skops.io.get_untrusted_types(file=path)) - TYPES)
        if untrusted:
            raise FormatError(
                "type_not_allowed",
                f"The file holds types that are not on the list: {', '.join(untrusted[:5])}. Export the model to ONNX.",
            )
        estimator = skops.io.load(path, trusted=sorted(TYPES))
    except FormatError:
        raise
    except Exception as error:  # skops raises whatever the damaged part of the file provokes
        raise FormatError("model_not_loadable", f"skops cannot load the model: {str(error)[:300]}") from error
    if not hasattr(estimator, "predict"):
        raise FormatError("model_not_loadable", "The file holds no estimator with a predict method.")
    return estimator


def infer_schemas(path: Path) -> tuple[None, None, list[str]]:
    """Load the model, which knows neither names nor types of its fields. Raises FormatError."""
    load(path)
    return None, None, ["A scikit-learn model does not tell its fields; they are inferred from the golden records."]


def _bind(estimator: Any, schema: Schema) -> list[tuple[str, Any, str]]:
    """Pair output fields with methods: a list takes probabilities, a single value the prediction."""
    steps = []
    for field in schema.fields:
        if field.type == "array":
            call = getattr(estimator, "predict_proba", None)
            if call is None:
                raise FormatError(
                    "schema_mismatch", f"The model gives no probabilities for {field.name}.", field=field.name
                )
            steps.append((field.name, call, "f8"))
        else:
            kind = {"long": "i8", "int": "i8", "boolean": "?", "double": "f8", "float": "f8"}.get(field.type, "")
            steps.append((field.name, estimator.predict, kind))
    return steps
