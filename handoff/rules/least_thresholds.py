"""The least that a policy demands of a version's own thresholds, which are sealed with it before any test runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.thresholds import LOWER_IS_BETTER, METRICS
from handoff.rules.reading import Reader

THRESHOLD_KEYS = ("metrics", "latency_p99_ms", "peak_memory_mb")
MOST = 1e12


@dataclass(frozen=True, slots=True)
class LeastThresholds:
    """For each metric the limit that a version must set itself at least, and the most latency and memory it may allow.

    The limit of a metric that is better the lower is the greatest maximum, of the others the least minimum.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    latency_p99_ms: float | None = None
    peak_memory_mb: float | None = None

    def lax_in(self, thresholds: Mapping[str, Any]) -> dict[str, str]:
        """Return where a version's thresholds ask for less than this, each with what is demanded."""
        found = {}
        own = {one.get("name"): one for one in thresholds.get("metrics", ())}
        for name, limit in self.metrics.items():
            side = "maximum" if name in LOWER_IS_BETTER else "minimum"
            given = own.get(name, {}).get(side)
            lax = given is None or (given > limit if side == "maximum" else given < limit)
            if lax:
                found[f"thresholds.{name}"] = _told(name, f"a {side} of {limit:g} or better", given)
        for name in ("latency_p99_ms", "peak_memory_mb"):
            most, given = getattr(self, name), thresholds.get(name)
            if most is not None and (given is None or given > most):
                found[f"thresholds.{name}"] = _told(name, f"at most {most:g}", given)
        return found

    def words(self) -> dict[str, str]:
        """Return each demand as people read it."""
        found = {
            name: f"{name} of {'at most' if name in LOWER_IS_BETTER else 'at least'} {limit:g}"
            for name, limit in self.metrics.items()
        }
        if self.latency_p99_ms is not None:
            found["latency_p99_ms"] = f"a p99 latency of at most {self.latency_p99_ms:g} ms"
        if self.peak_memory_mb is not None:
            found["peak_memory_mb"] = f"a peak memory of at most {self.peak_memory_mb:g} MB"
        return found


def read_thresholds(reader: Reader, raw: Any) -> LeastThresholds:
    """Read what a policy demands of thresholds."""
    raw = reader.mapping("thresholds", raw)
    reader.unknown("thresholds", raw, THRESHOLD_KEYS)
    metrics = reader.mapping("thresholds.metrics", raw.get("metrics", {}))
    reader.unknown("thresholds.metrics", metrics, METRICS)
    return LeastThresholds(
        metrics={
            name: reader.number(f"thresholds.metrics.{name}", metrics[name], -MOST, MOST)
            for name in METRICS
            if name in metrics
        },
        latency_p99_ms=_limit(reader, raw, "latency_p99_ms"),
        peak_memory_mb=_limit(reader, raw, "peak_memory_mb"),
    )


def _limit(reader: Reader, raw: Mapping[str, Any], name: str) -> float | None:
    return reader.number(f"thresholds.{name}", raw[name], 0.001, MOST) if name in raw else None


def _told(name: str, demanded: str, given: float | None) -> str:
    has = "has none" if given is None else f"has {given:g}"
    return (
        f"The policy demands that the version's own threshold of {name} is {demanded}, and it {has}; "
        "data science seals another in a new version"
    )
