"""Metrics of a model's quality, from predictions and labels. Computed outside the process that runs the model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import EngineError

Values = Sequence[Any]
FLOOR = 2.0**-52  # as scikit-learn clips probabilities: the smallest step above 1 of a double


def evaluate(name: str, predictions: Values, labels: Values) -> float:
    """Return a metric over N predictions and N labels.

    accuracy takes predicted labels; f1 takes predicted labels 0 and 1; roc_auc takes scores and log_loss probabilities
    of the class 1 (a number, or a list of two whose last value it is), all three with labels 0 and 1; rmse, mae and r2
    take numbers, and are in the label's unit, r2 without one. Raises EngineError `metric_unknown` or
    `metric_undefined` (no records, other lengths, values that the metric is not made for, one class only, no finite
    value).
    """
    if name not in METRICS:
        raise EngineError("metric_unknown", f"There is no metric {name!r}.", field=name)
    if not len(predictions) or len(predictions) != len(labels):
        raise EngineError("metric_undefined", f"{len(predictions)} predictions for {len(labels)} labels.", field=name)
    try:
        value = METRICS[name](predictions, labels)
    except (TypeError, ValueError, OverflowError) as error:
        raise EngineError("metric_undefined", f"{name} cannot be computed: {error}.", field=name) from error
    if not math.isfinite(value):
        raise EngineError("metric_undefined", f"{name} has no finite value on these records.", field=name)
    return value


def _accuracy(predictions: Values, labels: Values) -> float:
    """Share of labels that were predicted."""
    return sum(p == y for p, y in zip(predictions, labels, strict=True)) / len(labels)


def _f1(predictions: Values, labels: Values) -> float:
    """2·TP / (2·TP + FP + FN) for the class 1 (van Rijsbergen's F with equal weights)."""
    pairs = list(zip(_binary(predictions), _binary(labels), strict=True))
    hits = sum(bool(p == 1 and y == 1) for p, y in pairs)
    wrong = sum(bool((p == 1) != (y == 1)) for p, y in pairs)
    return 2 * hits / (2 * hits + wrong) if hits or wrong else math.nan


def _roc_auc(predictions: Values, labels: Values) -> float:
    """Mann and Whitney's U over all pairs of classes, ties counted half; equals the area under the ROC curve."""
    scores, truth = _scores(predictions), _binary(labels)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and scores[order[end + 1]] == scores[order[start]]:
            end += 1
        for position in range(start, end + 1):
            ranks[order[position]] = (start + end) / 2 + 1
        start = end + 1
    positive = [rank for rank, y in zip(ranks, truth, strict=True) if y == 1]
    others = len(labels) - len(positive)
    if not positive or not others:
        return math.nan
    return (sum(positive) - len(positive) * (len(positive) + 1) / 2) / (len(positive) * others)


def _log_loss(predictions: Values, labels: Values) -> float:
    """Mean negative logarithm of the probability given to what came true (cross-entropy, natural logarithm)."""
    scores = _scores(predictions)
    if not all(0 <= score <= 1 for score in scores):
        raise ValueError("a probability is not between 0 and 1")
    told = (p if y == 1 else 1 - p for p, y in zip(scores, _binary(labels), strict=True))
    return -math.fsum(math.log(min(max(p, FLOOR), 1 - FLOOR)) for p in told) / len(labels)


def _rmse(predictions: Values, labels: Values) -> float:
    """Square root of the mean squared error, in the label's unit."""
    return math.sqrt(math.fsum(error * error for error in _errors(predictions, labels)) / len(labels))


def _mae(predictions: Values, labels: Values) -> float:
    """Mean absolute error, in the label's unit."""
    return math.fsum(map(abs, _errors(predictions, labels))) / len(labels)


def _r2(predictions: Values, labels: Values) -> float:
    """1 − residual sum of squares / total sum of squares (coefficient of determination)."""
    mean = math.fsum(_numbers(labels)) / len(labels)
    total = math.fsum((y - mean) ** 2 for y in labels)
    residual = math.fsum(error * error for error in _errors(predictions, labels))
    return 1 - residual / total if total else math.nan


def _errors(predictions: Values, labels: Values) -> list[float]:
    return [p - y for p, y in zip(_numbers(predictions), _numbers(labels), strict=True)]


def _scores(predictions: Values) -> list[float]:
    """Return the score of the class 1, of numbers or of lists of two."""
    if any(isinstance(p, list | tuple) and len(p) != 2 for p in predictions):
        raise ValueError("it is for two classes, and a prediction has another number of them")
    return _numbers([p[1] if isinstance(p, list | tuple) else p for p in predictions])


def _numbers(values: Values) -> list[float]:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise ValueError("a value is not a number")
    found = [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError("a value is not finite")
    return found


def _binary(values: Values) -> Values:
    if not all(value in (0, 1) for value in values):
        raise ValueError("a label is neither 0 nor 1")
    return values


METRICS: dict[str, Callable[[Values, Values], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
