"""Thresholds: strict, so that none is without effect."""

import json
import math
from typing import Any

import pytest

from engine.errors import ThresholdError
from engine.thresholds import Thresholds

AUC = {"name": "roc_auc", "output": "probabilities", "minimum": 0.97}
WHOLE = {
    "metrics": [AUC, {"name": "rmse", "output": "prediction", "maximum": 60.0}],
    "tolerance": {"absolute": 1e-5, "relative": 1e-4},
    "latency_p99_ms": 50,
    "peak_memory_mb": 400,
    "against_live": {"metric": "roc_auc", "margin": 0.0},
}


def test_all_of_them_are_read_and_written_back() -> None:
    read = Thresholds.parse(json.dumps(WHOLE))
    assert Thresholds.parse(read.canonical()) == read
    assert (read.latency_p99_ms, read.peak_memory_mb, read.absolute) == (50.0, 400.0, 1e-5)
    assert read.metric("roc_auc").passes(0.97)
    assert not read.metric("roc_auc").passes(0.9699)
    assert not read.metric("rmse").passes(60.1)
    assert not read.metric("rmse").passes(math.nan)


def test_metrics_and_tolerance_are_enough() -> None:
    read = Thresholds.parse({"metrics": [AUC], "tolerance": {"absolute": 0, "relative": 0}})
    assert (read.latency_p99_ms, read.peak_memory_mb, read.against_live) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"latency": 1}, "latency"),
        ({"metrics": []}, "metrics"),
        ({"metrics": {}}, "metrics"),
        ({"metrics": [AUC, AUC]}, "metrics"),
        ({"metrics": [{**AUC, "name": "auc"}]}, "metrics[0].name"),
        ({"metrics": [{**AUC, "name": []}]}, "metrics[0].name"),
        ({"metrics": [{**AUC, "output": ""}]}, "metrics[0].output"),
        ({"metrics": [{**AUC, "output": 1}]}, "metrics[0].output"),
        ({"metrics": [{**AUC, "minimum": None}]}, "metrics[0]"),
        ({"metrics": [{**AUC, "minimum": "0.9"}]}, "metrics[0].minimum"),
        ({"metrics": [{**AUC, "minimum": True}]}, "metrics[0].minimum"),
        ({"metrics": [{**AUC, "minimum": 10**400}]}, "metrics[0].minimum"),
        ({"metrics": [{**AUC, "minimum": math.nan}]}, "metrics[0].minimum"),
        ({"metrics": [{**AUC, "maximum": 0.5}]}, "metrics[0]"),
        ({"metrics": [{**AUC, "weight": 1}]}, "metrics[0]"),
        ({"metrics": [{"name": "rmse", "output": "p", "minimum": 0}]}, "metrics[0]"),
        ({"metrics": [{"name": "r2", "output": "p", "maximum": 1}]}, "metrics[0]"),
        ({"tolerance": None}, "tolerance"),
        ({"tolerance": {"absolute": 1}}, "tolerance.relative"),
        ({"tolerance": {"absolute": -1, "relative": 0}}, "tolerance.absolute"),
        ({"tolerance": {"absolute": math.inf, "relative": 0}}, "tolerance.absolute"),
        ({"latency_p99_ms": 0}, "latency_p99_ms"),
        ({"peak_memory_mb": "400"}, "peak_memory_mb"),
        ({"against_live": {"metric": "f1", "margin": 0}}, "against_live.metric"),
        ({"against_live": {"metric": ["f1"], "margin": 0}}, "against_live.metric"),
        ({"against_live": {"metric": "rmse", "margin": -1}}, "against_live.margin"),
        ({"against_live": []}, "against_live"),
    ],
)
def test_what_is_odd_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ThresholdError) as refusal:
        Thresholds.parse(WHOLE | change)
    assert (refusal.value.code, refusal.value.field) == ("thresholds_invalid", field)


@pytest.mark.parametrize("source", [b"", b"[]", b"{", b'{"metrics": NaN}', b'{"a": 1, "a": 1}', b"\xff"])
def test_what_is_no_object_is_refused(source: bytes) -> None:
    with pytest.raises(ThresholdError):
        Thresholds.parse(source)
