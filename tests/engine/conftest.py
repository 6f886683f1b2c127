"""Tiny real models, trained once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAMES = ("radius", "texture", "perimeter")


def input_schema(kind: str = "double", names: tuple[str, ...] = NAMES, **limits: Any) -> dict[str, Any]:
    """Return a schema of plain numbers."""
    return {"type": "record", "name": "inputs", "fields": [{"name": name, "type": kind, **limits} for name in names]}


CLASSES: dict[str, Any] = {
    "type": "record",
    "name": "outputs",
    "fields": [
        {"name": "label", "type": "long", "allowed": [0, 1]},
        {
            "name": "probabilities",
            "type": {"type": "array", "items": "double"},
            "size": 2,
            "minimum": -1e-6,
            "maximum": 1.000001,
        },
    ],
}
NUMBER: dict[str, Any] = {"type": "record", "name": "outputs", "fields": [{"name": "prediction", "type": "double"}]}


class Trained:
    """A model in both formats, with the data it was trained on."""

    def __init__(self, estimator: Any, x: np.ndarray, y: np.ndarray, folder: Path, options: Any = None) -> None:
        """Fit and write it."""
        self.x = x
        self.estimator = make_pipeline(StandardScaler(), estimator).fit(x, y)
        self.onnx = folder / "model.onnx"
        self.onnx.write_bytes(to_onnx(self.estimator, x[:1].astype("f4"), options=options).SerializeToString())
        self.skops = folder / "model.skops"
        skops.io.dump(self.estimator, self.skops)

    def records(self, count: int) -> list[dict[str, float]]:
        """Return the first records."""
        return [dict(zip(NAMES, map(float, row), strict=True)) for row in self.x[:count]]


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Tell malignant from benign by three measurements."""
    x, y = load_breast_cancer(return_X_y=True)
    return Trained(LogisticRegression(), x[:, :3], y, tmp_path_factory.mktemp("classifier"), {"zipmap": False})


@pytest.fixture(scope="session")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Predict the course of diabetes from three measurements."""
    x, y = load_diabetes(return_X_y=True)
    return Trained(Ridge(), x[:, :3], y, tmp_path_factory.mktemp("regressor"))


@pytest.fixture
def elements(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """A function that lays out the files which a runner needs."""

    def lay(
        model: Path, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None
    ) -> dict[str, Path]:
        paths = {"model": model}
        for name, content in (("input_schema", inputs or input_schema()), ("output_schema", outputs or CLASSES)):
            paths[name] = tmp_path / f"{name}.json"
            paths[name].write_text(json.dumps(content))
        return paths

    return lay
