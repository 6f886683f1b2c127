"""What a policy demands of a version's own thresholds: read, told, and held against what the version has sealed."""

from typing import Any

import pytest

from handoff.rules.least_thresholds import MOST, LeastThresholds, read_thresholds
from handoff.rules.reading import Reader

ACCURACY = LeastThresholds({"accuracy": 0.8}), "accuracy", "a minimum of 0.8 or better"
ERROR = LeastThresholds({"rmse": 5}), "rmse", "a maximum of 5 or better"
LATENCY = LeastThresholds(latency_p99_ms=50), "latency_p99_ms", "at most 50"
MEMORY = LeastThresholds(peak_memory_mb=512.5), "peak_memory_mb", "at most 512.5"
ALL = LeastThresholds({"accuracy": 0.8, "rmse": 5}, 50, 512.5)
Demand = tuple[LeastThresholds, str, str]


def metric(name: str, **limits: float | None) -> dict[str, Any]:
    """Return a version's thresholds with a limit of one metric, beside one that nobody asks for."""
    return {"metrics": [{"name": "f1", "minimum": 0.1, "maximum": 99}, {"name": name, **limits}]}


@pytest.mark.parametrize(
    ("demand", "own", "has"),
    [
        (ACCURACY, metric("accuracy", minimum=0.8), ""),
        (ACCURACY, metric("accuracy", minimum=0.81), ""),
        (ACCURACY, metric("accuracy", minimum=0.79), "has 0.79"),
        (ACCURACY, metric("accuracy", minimum=0), "has 0"),
        (ACCURACY, metric("accuracy", minimum=None, maximum=0.9), "has none"),
        (ACCURACY, metric("accuracy", maximum=0.9), "has none"),
        (ACCURACY, metric("roc_auc", minimum=0.9), "has none"),
        (ACCURACY, {}, "has none"),
        (ERROR, metric("rmse", maximum=5), ""),
        (ERROR, metric("rmse", maximum=4.9), ""),
        (ERROR, metric("rmse", maximum=0), ""),
        (ERROR, metric("rmse", maximum=5.1), "has 5.1"),
        (ERROR, metric("rmse", minimum=4), "has none"),
        (ERROR, metric("mae", maximum=4), "has none"),
        (LATENCY, {"latency_p99_ms": 50}, ""),
        (LATENCY, {"latency_p99_ms": 50.5}, "has 50.5"),
        (LATENCY, {"latency_p99_ms": None}, "has none"),
        (LATENCY, {"peak_memory_mb": 1}, "has none"),
        (MEMORY, {"peak_memory_mb": 512.5}, ""),
        (MEMORY, {"peak_memory_mb": 513}, "has 513"),
        (MEMORY, {"latency_p99_ms": 1}, "has none"),
    ],
)
def test_a_version_demands_of_itself_what_the_policy_does_or_more(
    demand: Demand, own: dict[str, Any], has: str
) -> None:
    least, name, words = demand
    told = (
        f"The policy demands that the version's own threshold of {name} is {words}, and it {has}; "
        "data science seals another in a new version"
    )
    assert least.lax_in(own) == ({f"thresholds.{name}": told} if has else {})


def test_each_demand_counts_and_where_there_is_none_nothing_is_lax() -> None:
    assert LeastThresholds().lax_in({}) == {}
    assert list(ALL.lax_in({})) == [
        "thresholds.accuracy", "thresholds.rmse", "thresholds.latency_p99_ms", "thresholds.peak_memory_mb",
    ]  # fmt: skip
    own = {"metrics": [{"name": "rmse", "maximum": 4}], "latency_p99_ms": 60, "peak_memory_mb": 500}
    assert list(ALL.lax_in(own)) == ["thresholds.accuracy", "thresholds.latency_p99_ms"]


def test_each_demand_is_told() -> None:
    assert ALL.words() == {
        "accuracy": "accuracy of at least 0.8",
        "rmse": "rmse of at most 5",
        "latency_p99_ms": "a p99 latency of at most 50 ms",
        "peak_memory_mb": "a peak memory of at most 512.5 MB",
    }
    assert LeastThresholds().words() == {}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({}, LeastThresholds()),
        ({"metrics": {}}, LeastThresholds()),
        (
            {"metrics": {"rmse": 5, "accuracy": 0.8}, "latency_p99_ms": 50, "peak_memory_mb": 512.5},
            ALL,
        ),
        ({"metrics": {"r2": -MOST, "mae": MOST}}, LeastThresholds({"r2": -MOST, "mae": MOST})),
        ({"latency_p99_ms": 0.001}, LeastThresholds(latency_p99_ms=0.001)),
        ({"peak_memory_mb": MOST}, LeastThresholds(peak_memory_mb=MOST)),
    ],
)
def test_demands_are_read(raw: dict[str, Any], found: LeastThresholds) -> None:
    reader = Reader()
    assert read_thresholds(reader, raw) == found
    assert reader.mistakes == {}


@pytest.mark.parametrize(
    ("raw", "place", "told"),
    [
        ([], "thresholds", "must be a mapping"),
        (
            {"latency_p95_ms": 5},
            "thresholds.latency_p95_ms",
            "is not known (did you mean latency_p99_ms?); known are latency_p99_ms, metrics, peak_memory_mb",
        ),
        ({"metrics": 5}, "thresholds.metrics", "must be a mapping"),
        (
            {"metrics": {"rmsee": 5}},
            "thresholds.metrics.rmsee",
            "is not known (did you mean rmse?); known are accuracy, f1, log_loss, mae, r2, rmse, roc_auc",
        ),
        ({"metrics": {"mae": 2 * MOST}}, "thresholds.metrics.mae", "must be a number from -1e+12 to 1e+12"),
        ({"metrics": {"r2": -2 * MOST}}, "thresholds.metrics.r2", "must be a number from -1e+12 to 1e+12"),
        ({"latency_p99_ms": 0}, "thresholds.latency_p99_ms", "must be a number from 0.001 to 1e+12"),
        ({"latency_p99_ms": None}, "thresholds.latency_p99_ms", "must be a number from 0.001 to 1e+12"),
        ({"peak_memory_mb": 2 * MOST}, "thresholds.peak_memory_mb", "must be a number from 0.001 to 1e+12"),
    ],
)
def test_what_is_no_demand_is_told(raw: Any, place: str, told: str) -> None:
    reader = Reader()
    read_thresholds(reader, raw)
    assert reader.mistakes == {place: told}
