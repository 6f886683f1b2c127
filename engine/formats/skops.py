"""scikit-learn models saved by skops: no pickle, and only types of an exact list are built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # scikit-learn imports it as well
import skops.io
from sklearn.base import is_regressor

from engine.errors import FormatError
from engine.formats import pair
from engine.formats.skops_types import TYPES
from engine.scan import refuse_unsafe_skops
from engine.schemas import INTEGERS, Field, Schema

KINDS = {"boolean": "?", "int": "i4", "long": "i8", "float": "f4", "double": "f8"}  # as NumPy names them
FRACTIONS = ("f4", "f8")


class SkopsModel:
    """An estimator with its inputs and predictions bound to schema fields."""

    def __init__(self, estimator: Any, inputs: Schema, outputs: Schema) -> None:
        odd = next((one.name for one in inputs.fields if one.type == "array"), "")
        if odd:
            raise FormatError("schema_mismatch", f"{odd} is a list; scikit-learn takes single values.", field=odd)
        self._names = inputs.names
        self._fields = inputs.fields
        self._features = _bind_inputs(estimator, inputs)
        self._steps = _bind_outputs(estimator, outputs)

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return N outputs for N records, as columns by output field."""
        if self._features:
            return self._called(_frame(self._features, columns))
        return self._called(np.column_stack([_values(columns[one.name], one) for one in self._fields]))

    def predict_packed(self, matrix: Any) -> dict[str, Any]:
        """Return N outputs for a matrix of N records × k fields in schema order."""
        if self._features:
            return self.predict({name: matrix[:, at] for at, name in enumerate(self._names)})
        return self._called(matrix)

    def _called(self, given: Any) -> dict[str, Any]:
        found = {}
        for name, call, kind in self._steps:
            values = np.asarray(call(given))
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


def _bind_inputs(estimator: Any, schema: Schema) -> list[tuple[str, Field]]:
    """Return the field of each feature if the estimator was trained on a table with names; nothing if it was not.

    Raises FormatError `schema_mismatch`.
    """
    told = getattr(estimator, "feature_names_in_", None)
    if told is not None:
        names = [str(name) for name in told]
        return list(zip(names, pair(names, schema), strict=True))
    width = getattr(estimator, "n_features_in_", len(schema.fields))
    if width != len(schema.fields):
        raise FormatError(
            "schema_mismatch",
            f"The model takes {width} values a record, the schema has {len(schema.fields)} fields.",
        )
    return []


def _frame(features: list[tuple[str, Field]], columns: Mapping[str, Any]) -> Any:
    """Return columns as a DataFrame with the names that the estimator knows."""
    return pd.DataFrame({name: _values(columns[field.name], field) for name, field in features})


def _values(column: Any, field: Field) -> Any:
    """Return a column as scikit-learn wants it: plain numbers, texts as objects, and null as NaN."""
    if field.numeric:
        return np.asarray(column, np.int64 if field.kind in INTEGERS and not field.nullable else np.float64)
    values = np.asarray(column, bool if field.kind == "boolean" and not field.nullable else object)
    return np.where(values == None, np.nan, values) if field.nullable else values  # noqa: E711 - value by value


def _bind_outputs(estimator: Any, schema: Schema) -> list[tuple[str, Any, str]]:
    """Pair output fields with methods: a list takes probabilities, a single value the prediction.

    Raises FormatError `schema_mismatch` or `output_unsupported`.
    """
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, list):
        raise FormatError(
            "output_unsupported", "The model predicts several things at once; hand over one model for each."
        )
    steps = []
    for field in schema.fields:
        call = getattr(estimator, "predict_proba" if field.type == "array" else "predict", None)
        if call is None:
            raise FormatError(
                "schema_mismatch", f"The model gives no probabilities for {field.name}.", field=field.name
            )
        kind = KINDS.get(field.kind, "")
        if not _gives(estimator, classes, field, kind):
            raise FormatError(
                "schema_mismatch",
                f"{field.name} is {field.to_dict()['type']}, which is not what the model predicts.",
                field=field.name,
            )
        steps.append((field.name, call, kind))
    return steps


def _gives(estimator: Any, classes: Any, field: Field, kind: str) -> bool:
    """Tell whether a field can hold what is predicted: nothing may be cut off when it is turned into its type."""
    if field.type == "array":
        return kind in FRACTIONS and (classes is None or field.size in (None, len(classes)))
    if classes is None:
        return kind in FRACTIONS or (bool(kind) and not is_regressor(estimator))
    if not kind:
        return all(isinstance(one, str) for one in classes)
    return classes.dtype.kind in "biuf" and np.array_equal(classes, classes.astype(kind))
