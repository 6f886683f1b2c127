"""Train the sample models on data that scikit-learn ships, and write everything a version is made of.

Nothing is made up: the better model is better and the worse one worse on records that neither has seen.
"""

import json
import math
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

GOLDEN = 25
SEED = 20261123
RIDGE: dict[str, Any] = {"alphas": [0.01, 0.1, 1.0, 10.0, 100.0]}


def train(folder: Path) -> None:
    """Write 'screening-1' and 'progression-1' to 'progression-3', a version and a folder each; what is there stays.

    Version 2 of the progression comes out of another pipeline, and is worse. Version 3 retrains version 1, and leaves
    out the oldest tenth of the records.
    """
    makers: dict[str, Callable[[Path], None]] = {
        "screening-1": _screening,
        "progression-1": lambda path: _progression(path, RidgeCV(**RIDGE)),
        "progression-2": lambda path: _progression(path, DecisionTreeRegressor(max_depth=3, random_state=SEED)),
        "progression-3": lambda path: _progression(path, RidgeCV(**RIDGE), left_out=0.1, retrained_from=1),
    }
    for name, make in makers.items():
        path = folder / name
        if not (path / "thresholds.json").exists():
            path.mkdir(parents=True, exist_ok=True)
            make(path)


def _screening(path: Path) -> None:
    """Tell benign from malignant tumours (Wisconsin diagnostic data): logistic regression, exported to ONNX."""
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    x, x_test, y, y_test = train_test_split(
        data.data, data.target, test_size=0.3, random_state=SEED, stratify=data.target
    )
    table = np.column_stack([x, y])
    np.savetxt(path / "measurements.csv", table, "%.6g", ",", header=",".join([*names, "benign"]), comments="")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=2000)).fit(x, y)
    graph = to_onnx(model, x[:1].astype(np.float32), options={"zipmap": False})
    (path / "model.onnx").write_bytes(graph.SerializeToString())
    labels, chances = model.predict(x_test), model.predict_proba(x_test)
    outputs = [{"label": int(a), "probabilities": [float(p) for p in b]} for a, b in zip(labels, chances, strict=True)]
    output_fields: list[dict[str, Any]] = [
        {"name": "label", "type": "long", "allowed": [0, 1], "doc": "0 malignant, 1 benign"},
        {
            "name": "probabilities",
            "type": {"type": "array", "items": "double"},
            "size": 2,
            "minimum": 0,
            "maximum": 1.0001,
        },
    ]
    thresholds = {
        "metrics": [
            {"name": "roc_auc", "output": "probabilities", "minimum": 0.98},
            {"name": "accuracy", "output": "label", "minimum": 0.95},
        ],
        "tolerance": {"absolute": 1e-4, "relative": 1e-4},
        "latency_p99_ms": 50,
        "peak_memory_mb": 400,
        "against_live": {"metric": "roc_auc", "margin": 0.005},
    }
    _write(path, names, x, x_test, y_test.tolist(), outputs, output_fields, thresholds, {"onnxruntime": ">=1.30,<2"})


def _progression(path: Path, estimator: Any, *, left_out: float = 0, retrained_from: int | None = None) -> None:
    """Foretell how far diabetes has gone a year on (Efron and others, 2004), saved by skops."""
    data = load_diabetes(scaled=False)
    names = list(data.feature_names)
    x, x_test, y, y_test = train_test_split(data.data, data.target, test_size=0.4, random_state=SEED)
    model = make_pipeline(StandardScaler(), estimator)
    origin = {"retrained_from": retrained_from} if retrained_from else {}
    _json(path / "training.json", {"pipeline": sha256(repr(model).encode()).hexdigest(), **origin})
    model.fit(x[int(left_out * len(x)) :], y[int(left_out * len(y)) :])
    skops.io.dump(model, path / "model.skops")
    outputs = [{"prediction": float(value)} for value in model.predict(x_test)]
    output_fields = [{"name": "prediction", "type": "double", "minimum": -200, "maximum": 600, "doc": "after one year"}]
    thresholds = {
        "metrics": [
            {"name": "rmse", "output": "prediction", "maximum": 70.0},
            {"name": "r2", "output": "prediction", "minimum": 0.2},
        ],
        "tolerance": {"absolute": 1e-6, "relative": 1e-6},
        "latency_p99_ms": 50,
        "peak_memory_mb": 600,
        "against_live": {"metric": "rmse", "margin": 0.5},
    }
    packages = {"scikit-learn": ">=1.9,<2", "numpy": ">=2,<3"}
    _write(path, names, x, x_test, y_test.tolist(), outputs, output_fields, thresholds, packages)


def _write(
    path: Path,
    names: list[str],
    seen: Any,
    tested: Any,
    labels: list[Any],
    outputs: list[dict[str, Any]],
    output_fields: list[dict[str, Any]],
    thresholds: dict[str, Any],
    packages: dict[str, str],
) -> None:
    rows = [dict(zip(names, map(float, row), strict=True)) for row in tested]
    every = np.vstack([seen, tested])
    fields = [
        {"name": name, "type": "double", "minimum": 0, "maximum": _roomy(every[:, at].max())}
        for at, name in enumerate(names)
    ]
    _json(path / "input_schema.avsc", {"type": "record", "name": "measurements", "fields": fields})
    _json(path / "output_schema.avsc", {"type": "record", "name": "answer", "fields": output_fields})
    _json(path / "runtime.json", {"python": ">=3.11,<3.15", "packages": packages})
    _lines(
        path / "golden.jsonl",
        [{"input": r, "output": o} for r, o in zip(rows[:GOLDEN], outputs[:GOLDEN], strict=True)],
    )
    _lines(path / "validation.jsonl", [{"input": r, "label": y} for r, y in zip(rows, labels, strict=True)])
    _json(path / "thresholds.json", thresholds)  # last: it marks the folder as complete


def _roomy(value: float) -> float:
    """Return a round limit well above what was seen."""
    step = 10.0 ** math.floor(math.log10(value))
    return float(math.ceil(2 * value / step) * step)


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
