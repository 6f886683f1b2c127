"""Real models, trained here on scikit-learn's own breast-cancer data, with everything a version is made of."""

import json
from functools import cache
from typing import Any

import numpy as np

TOLERANCE = {"absolute": 1e-5, "relative": 1e-4}


@cache
def _data() -> tuple[Any, Any, Any, Any]:
    from sklearn.datasets import load_breast_cancer  # heavy, and only some tests need it
    from sklearn.model_selection import train_test_split

    x, y = load_breast_cancer(return_X_y=True)
    return tuple(train_test_split(x[:, :5].astype(np.float32), y, test_size=0.3, random_state=7))


NAMES = ("radius", "texture", "perimeter", "area", "smoothness")


@cache
def trained(quality: str) -> bytes:
    """Return the ONNX file of a classifier: 'good', 'other' (as good, other bytes) or 'worse' (from noisy labels)."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, _, y, _ = _data()
    if quality == "worse":
        y = np.where(np.random.default_rng(3).random(len(y)) < 0.45, 1 - y, y)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=2.0 if quality == "other" else 1.0)).fit(x, y)
    graph = to_onnx(model, x[:1], options={"zipmap": False})
    return bytes(graph.SerializeToString())


def scored(model: bytes, rows: Any) -> list[dict[str, Any]]:
    """Return the model's own outputs, as the creation environment would have recorded them."""
    import onnxruntime as ort

    labels, probabilities = ort.InferenceSession(model).run(None, {"X": np.asarray(rows, np.float32)})
    return [
        {"label": int(label), "probabilities": [float(p) for p in line]}
        for label, line in zip(labels, probabilities, strict=True)
    ]


def elements(
    quality: str = "good",
    *,
    wrong_golden: bool = False,
    packages: dict[str, str] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    training: dict[str, Any] | None = None,
    **thresholds: Any,
) -> dict[str, bytes]:
    """Return everything a version is made of, by element name; `outputs` are other fields that it says it returns."""
    _, x, _, y = _data()
    rows = [{name: float(v) for name, v in zip(NAMES, line, strict=True)} for line in x]
    model = trained(quality)
    golden = [{"input": r, "output": o} for r, o in zip(rows[:20], scored(model, x[:20]), strict=True)]
    if wrong_golden:
        golden[-1]["output"]["probabilities"].reverse()
    validation = [{"input": r, "label": int(label)} for r, label in zip(rows, y, strict=True)]
    limits = {
        "metrics": [{"name": "roc_auc", "output": "probabilities", "minimum": 0.6}],
        "tolerance": TOLERANCE,
        "latency_p99_ms": 200,
        "peak_memory_mb": 1000,
        "against_live": {"metric": "roc_auc", "margin": 0.005},
        **thresholds,
    }
    return {
        "model": model,
        "input_schema": _json(_input_schema()),
        "output_schema": _json(_output_schema() | ({"fields": outputs} if outputs else {})),
        "runtime": _json({"python": ">=3.11,<3.15", "packages": packages or {}}),
        "golden": _lines(golden),
        "validation": _lines(validation),
        "thresholds": _json(limits),
        **({"training": _json(training)} if training else {}),
    }


def _input_schema() -> dict[str, Any]:
    fields = [{"name": name, "type": "double", "minimum": 0, "maximum": 10_000} for name in NAMES]
    return {"type": "record", "name": "tumour", "fields": fields}


def _output_schema() -> dict[str, Any]:
    fields = [
        {"name": "label", "type": "long", "allowed": [0, 1]},
        {
            "name": "probabilities",
            "type": {"type": "array", "items": "double"},
            "size": 2,
            "minimum": 0,
            "maximum": 1,
        },
    ]
    return {"type": "record", "name": "diagnosis", "fields": fields}


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _lines(rows: list[Any]) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)
