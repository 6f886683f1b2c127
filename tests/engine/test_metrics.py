"""Metrics agree with scikit-learn's, and refuse what they are not made for."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from engine.errors import EngineError
from engine.metrics import evaluate

RNG = np.random.default_rng(5)
TRUTH = RNG.integers(0, 2, 200).tolist()
SCORES = np.round(RNG.random(200), 1).tolist()  # rounded, so that there are ties
LABELS = [int(score > 0.4) for score in SCORES]
NUMBERS, GUESSES = RNG.normal(50, 20, 200).tolist(), RNG.normal(50, 20, 200).tolist()


@pytest.mark.parametrize(
    ("name", "predictions", "labels", "theirs"),
    [
        ("accuracy", LABELS, TRUTH, metrics.accuracy_score),
        ("f1", LABELS, TRUTH, metrics.f1_score),
        ("roc_auc", SCORES, TRUTH, metrics.roc_auc_score),
        ("log_loss", SCORES, TRUTH, metrics.log_loss),
        ("rmse", GUESSES, NUMBERS, metrics.root_mean_squared_error),
        ("mae", GUESSES, NUMBERS, metrics.mean_absolute_error),
        ("r2", GUESSES, NUMBERS, metrics.r2_score),
    ],
)
def test_each_metric_is_scikit_learns(name: str, predictions: list[Any], labels: list[Any], theirs: Any) -> None:
    assert evaluate(name, predictions, labels) == pytest.approx(theirs(labels, predictions), rel=1e-9)


def test_two_probabilities_count_as_the_one_of_class_1() -> None:
    pairs = [[1 - score, score] for score in SCORES]
    for name in ("roc_auc", "log_loss"):
        assert evaluate(name, pairs, TRUTH) == pytest.approx(evaluate(name, SCORES, TRUTH))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_roc_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    ups = [score for score, truth in pairs if truth]
    downs = [score for score, truth in pairs if not truth]
    if not ups or not downs:
        return
    wins = sum((up > down) + (up == down) / 2 for up in ups for down in downs)
    found = evaluate("roc_auc", [score for score, _ in pairs], [truth for _, truth in pairs])
    assert found == pytest.approx(wins / len(ups) / len(downs))


@pytest.mark.parametrize(
    ("name", "predictions", "labels"),
    [
        ("accuracy", [], []),
        ("accuracy", [1], [1, 0]),
        ("f1", [0, 0], [0, 0]),
        ("f1", [1, 2], [1, 2]),
        ("f1", ["a"], ["a"]),
        ("roc_auc", [0.1, 0.2], [1, 1]),
        ("roc_auc", [0.1, 0.2], [1, 2]),
        ("roc_auc", [0.1, 0.2], ["malignant", "benign"]),
        ("roc_auc", [math.nan, 0.2], [1, 0]),
        ("roc_auc", [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], [1, 0]),
        ("roc_auc", [None, 0.2], [1, 0]),
        ("log_loss", [1.5, 0.2], [1, 0]),
        ("log_loss", [[], [0.5, 0.5]], [1, 0]),
        ("rmse", ["1"], [1]),
        ("rmse", [None], [1]),
        ("rmse", [math.inf], [1]),
        ("rmse", [1e300], [-1e300]),
        ("rmse", [10**400], [1]),
        ("mae", [True], [1]),
        ("r2", [1, 2], [3, 3]),
    ],
)
def test_what_has_no_value_is_refused(name: str, predictions: list[Any], labels: list[Any]) -> None:
    with pytest.raises(EngineError) as refusal:
        evaluate(name, predictions, labels)
    assert (refusal.value.code, refusal.value.field) == ("metric_undefined", name)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(EngineError) as refusal:
        evaluate("gini", [1], [1])
    assert refusal.value.code == "metric_unknown"
