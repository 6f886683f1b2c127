"""Latency: how long one record takes, and how much memory the running model needs at most."""

from math import ceil

from engine.runner import Limits
from handoff.executors.testing.candidates import golden_of, running, thresholds_of, validation_of
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan

CALLS = 300
RECORDS = 50


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Time single records on the loaded model, and read the peak of its process's memory."""
    thresholds = thresholds_of(plan)
    records = [row["input"] for row in (*golden_of(plan), *validation_of(plan))][:RECORDS]
    limit = {"latency_p99_ms": thresholds.latency_p99_ms, "peak_memory_mb": thresholds.peak_memory_mb}
    if not records:
        return Finding(False, "There are no records to time.", {"calls": 0}, limit)
    with running(plan.elements, plan.format, limits) as runner:
        times = sorted(1000 * seconds for seconds in runner.time(records, ceil(CALLS / len(records))))
        memory = runner.peak_memory_mb()
    p50, p99 = _percentile(times, 50), _percentile(times, 99)
    figures = {"calls": len(times), "p50_ms": p50, "p99_ms": p99, "slowest_ms": times[-1], "peak_memory_mb": memory}
    failed = []
    if thresholds.latency_p99_ms is not None and p99 > thresholds.latency_p99_ms:
        failed.append(f"the 99th percentile is {p99:.3g} ms, and {thresholds.latency_p99_ms:g} ms are allowed")
    if thresholds.peak_memory_mb is not None and memory > thresholds.peak_memory_mb:
        failed.append(f"the peak of memory is {memory:.0f} MB, and {thresholds.peak_memory_mb:g} MB are allowed")
    what = counted(len(times), "call")
    log.line(f"{what}: p50 {p50:.3f} ms, p99 {p99:.3f} ms, slowest {times[-1]:.3f} ms; peak memory {memory:.1f} MB")
    if failed:
        return Finding(False, f"In {what}, " + "; ".join(failed) + ".", figures, limit)
    return Finding(True, f"{what}: p50 {p50:.3g} ms, p99 {p99:.3g} ms; peak memory {memory:.0f} MB.", figures, limit)


def _percentile(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile of ordered values."""
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)]
