"""Promotion tests as a page shows them: what each proves, how far it is, and its figures against the thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoff.models import Job, PromotionTest
from handoff.states import JobState

TITLES = {
    "integrity": ("Integrity", "The stored bytes are the sealed bytes."),
    "safety": ("Unsafe content", "The artifact holds nothing but a model."),
    "schema": ("Schema", "Inputs and outputs keep the sealed contract."),
    "golden": ("Golden records", "The same answers as in the creation environment."),
    "performance": ("Performance", "As good as promised, and no worse than what is live."),
    "robustness": ("Robustness", "Bad records are refused, never answered in silence."),
    "latency": ("Latency and memory", "Quick and small enough for the target."),
}
NAMES = {
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "slowest_ms": "slowest, ms",
    "peak_memory_mb": "peak memory, MB",
    "live": "the live version's figure",
    "behind_live": "worse than live by",
    "live_digest": "live version",
}
WORDS = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "running",
    JobState.CANCELLED: "cancelled",
    JobState.REFUSED: "refused",
    JobState.DEAD: "gave up",
}


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure beside the limit it was held against, if any."""

    name: str
    value: str
    limit: str


@dataclass(frozen=True, slots=True)
class TestRow:
    """One promotion test. `status` is passed, failed, error, or how far its job is."""

    __test__ = False

    kind: str
    title: str
    proves: str
    status: str
    job: Job | None
    result: PromotionTest | None
    figures: list[FigureRow]

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.status not in {"waiting", "running", "ahead"}


def test_rows(kinds: Sequence[str], jobs: Sequence[Job]) -> list[TestRow]:
    """Return the tests that a policy asks for, in its order, as far as they have come."""
    by_purpose = {job.purpose: job for job in jobs}
    return [_row(kind, by_purpose.get(f"test:{kind}")) for kind in kinds]


def _row(kind: str, job: Job | None) -> TestRow:
    title, proves = TITLES.get(kind, (kind, ""))
    result = getattr(job, "result", None) if job else None
    if result is not None:
        status = result.verdict
    else:
        status = WORDS.get(JobState(job.state), str(job.state)) if job else "ahead"
    figures = figure_rows(kind, result.figures, result.thresholds) if result is not None else []
    return TestRow(kind, title, proves, status, job, result, figures)


def figure_rows(kind: str, figures: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[FigureRow]:
    """Return figures beside their limits; lists and objects become one line of text."""
    limits = _limits(kind, thresholds)
    return [
        FigureRow(NAMES.get(name, name.replace("_", " ")), in_words(value), limits.get(name, ""))
        for name, value in figures.items()
    ]


def _limits(kind: str, thresholds: Mapping[str, Any]) -> dict[str, str]:
    if kind == "performance":
        found = {str(metric["name"]): _range(metric) for metric in thresholds.get("metrics", [])}
        margin = (thresholds.get("against_live") or {}).get("margin")
        return found | ({"behind_live": f"at most {in_words(margin)}"} if margin is not None else {})
    if kind == "latency":
        pairs = {"p99_ms": thresholds.get("latency_p99_ms"), "peak_memory_mb": thresholds.get("peak_memory_mb")}
        return {name: f"at most {in_words(limit)}" for name, limit in pairs.items() if limit is not None}
    if kind == "golden":
        absolute, relative = thresholds.get("absolute", 0), thresholds.get("relative", 0)
        return {"worst_difference": f"{in_words(absolute)} + {in_words(relative)} × expected"}
    return {}


def _range(metric: Mapping[str, Any]) -> str:
    least = [f"at least {in_words(metric['minimum'])}"] if metric.get("minimum") is not None else []
    most = [f"at most {in_words(metric['maximum'])}"] if metric.get("maximum") is not None else []
    return ", ".join(least + most)


def in_words(value: Any) -> str:
    """Return a figure as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, list):
        return ", ".join(in_words(one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {in_words(one)}" for name, one in value.items()) or "none"
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text
