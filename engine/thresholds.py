"""Thresholds: what a version must reach, sealed with it before any test runs."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import rfc8785

from engine import strict_json
from engine.errors import ThresholdError

METRICS = ("accuracy", "f1", "roc_auc", "log_loss", "rmse", "mae", "r2")
LARGEST = 1e300
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
KEYS = {"metrics", "tolerance", "latency_p99_ms", "peak_memory_mb", "against_live"}


@dataclass(frozen=True, slots=True)
class MetricThreshold:
    """A metric over one output field, with the least or greatest value that passes."""

    name: str
    output: str
    minimum: float | None = None
    maximum: float | None = None

    def passes(self, value: float) -> bool:
        """Tell whether a value passes; NaN never does."""
        low = self.minimum is None or value >= self.minimum
        high = self.maximum is None or value <= self.maximum
        return math.isfinite(value) and low and high


@dataclass(frozen=True, slots=True)
class AgainstLive:
    """How much worse than the live version a candidate may be, in the metric's own unit."""

    metric: str
    margin: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds of a version. Latency in milliseconds, memory in megabytes (10^6 bytes)."""

    metrics: tuple[MetricThreshold, ...]
    absolute: float
    relative: float
    latency_p99_ms: float | None = None
    peak_memory_mb: float | None = None
    against_live: AgainstLive | None = None

    def metric(self, name: str) -> MetricThreshold:
        """Return the threshold of a metric. Raises KeyError."""
        return {m.name: m for m in self.metrics}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `parse` reads back."""
        content: dict[str, Any] = {
            "metrics": [{k: v for k, v in asdict(m).items() if v is not None} for m in self.metrics],
            "tolerance": {"absolute": self.absolute, "relative": self.relative},
        }
        for key in ("latency_p99_ms", "peak_memory_mb"):
            if getattr(self, key) is not None:
                content[key] = getattr(self, key)
        if self.against_live is not None:
            content["against_live"] = asdict(self.against_live)
        return content

    def canonical(self) -> bytes:
        """Return the canonical bytes (RFC 8785)."""
        return rfc8785.dumps(self.to_dict())

    @classmethod
    def parse(cls, source: str | bytes | Mapping[str, Any]) -> "Thresholds":
        """Return thresholds from JSON or plain data. Raises ThresholdError `thresholds_invalid` naming the field."""
        content: Any = source
        if isinstance(source, str | bytes):
            try:
                content = strict_json.loads(source)
            except ValueError as error:
                raise ThresholdError("thresholds_invalid", f"The thresholds are not JSON: {error}.") from error
        if not isinstance(content, Mapping):
            raise ThresholdError("thresholds_invalid", "Thresholds are an object.")
        odd = sorted(map(str, content.keys() - KEYS))
        if odd:
            raise ThresholdError("thresholds_invalid", f"There is no threshold {odd[0]!r}.", field=odd[0])
        tolerance = _mapping(content, "tolerance", {"absolute", "relative"})
        metrics = content.get("metrics")
        if not isinstance(metrics, list) or not metrics or len(metrics) > 50:
            raise ThresholdError("thresholds_invalid", "Name at least one metric with its limit.", field="metrics")
        read = tuple(_metric(i, m) for i, m in enumerate(metrics))
        if len({m.name for m in read}) != len(read):
            raise ThresholdError("thresholds_invalid", "A metric stands twice.", field="metrics")
        return cls(
            metrics=read,
            absolute=_number(tolerance.get("absolute"), "tolerance.absolute", least=0.0),
            relative=_number(tolerance.get("relative"), "tolerance.relative", least=0.0),
            latency_p99_ms=_optional(content, "latency_p99_ms"),
            peak_memory_mb=_optional(content, "peak_memory_mb"),
            against_live=_against_live(content, {m.name for m in read}),
        )


def _metric(index: int, row: Any) -> MetricThreshold:
    place = f"metrics[{index}]"
    if not isinstance(row, Mapping) or set(row) - {"name", "output", "minimum", "maximum"}:
        raise ThresholdError("thresholds_invalid", "A metric has name, output, minimum, maximum.", field=place)
    if row.get("name") not in METRICS:
        raise ThresholdError(
            "thresholds_invalid", "Known metrics are " + ", ".join(METRICS) + ".", field=f"{place}.name"
        )
    if not isinstance(row.get("output"), str) or not row["output"]:
        raise ThresholdError("thresholds_invalid", "Name the output field it is computed on.", field=f"{place}.output")
    if row.get("minimum") is None and row.get("maximum") is None:
        raise ThresholdError("thresholds_invalid", "A metric without a limit tests nothing.", field=place)
    low, high = (
        None if row.get(key) is None else _number(row[key], f"{place}.{key}") for key in ("minimum", "maximum")
    )
    if low is not None and high is not None and low > high:
        raise ThresholdError("thresholds_invalid", "The minimum is above the maximum.", field=place)
    needed = "maximum" if row["name"] in LOWER_IS_BETTER else "minimum"
    if row.get(needed) is None:
        better = "lower" if needed == "maximum" else "higher"
        raise ThresholdError(
            "thresholds_invalid", f"{row['name']} is better the {better}; give a {needed}.", field=place
        )
    return MetricThreshold(row["name"], row["output"], low, high)


def _against_live(content: Mapping[str, Any], known: set[str]) -> AgainstLive | None:
    if content.get("against_live") is None:
        return None
    raw = _mapping(content, "against_live", {"metric", "margin"})
    if raw.get("metric") not in list(known):
        raise ThresholdError("thresholds_invalid", "Compare by one of the metrics above.", field="against_live.metric")
    return AgainstLive(raw["metric"], _number(raw.get("margin", 0.0), "against_live.margin", least=0.0))


def _mapping(content: Mapping[str, Any], key: str, known: set[str]) -> Mapping[str, Any]:
    raw = content.get(key)
    if not isinstance(raw, Mapping) or set(raw) - known:
        raise ThresholdError("thresholds_invalid", f"{key} has " + " and ".join(sorted(known)) + ".", field=key)
    return raw


def _optional(content: Mapping[str, Any], key: str) -> float | None:
    return None if content.get(key) is None else _number(content[key], key, least=0.001)


def _number(value: Any, field: str, *, least: float | None = None) -> float:
    good = type(value) in (int, float) and abs(value) <= LARGEST  # NaN is not
    if not good or (least is not None and value < least):
        floor = "" if least is None else f" of at least {least}"
        raise ThresholdError("thresholds_invalid", f"Must be a finite number{floor}.", field=field)
    return float(value)
