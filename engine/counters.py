"""What a scoring engine counts, and its text form for Prometheus. Everything is counted by the event loop's thread."""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STARTED = time.time()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HELP = {
    "mdlc_engine_requests_total": ("counter", "Inference requests by model, version and HTTP status."),
    "mdlc_engine_records_total": ("counter", "Records scored."),
    "mdlc_engine_rejects_total": ("counter", "Inference requests and records refused, by cause."),
    "mdlc_engine_request_seconds": (
        "histogram",
        "Seconds from the request's last byte to its answer, scored requests.",
    ),
    "mdlc_engine_live_info": ("gauge", "1 for the version of each model that is live."),
    "mdlc_engine_ready": ("gauge", "1 when everything that should be live is live."),
    "process_resident_memory_bytes": ("gauge", "Resident memory size in bytes."),
    "process_cpu_seconds_total": ("counter", "Total user and system CPU time spent in seconds."),
    "process_start_time_seconds": ("gauge", "Start time of the process since unix epoch in seconds."),
}


class VersionCounters:
    """The counts of one version of a model, since this process first loaded it."""

    __slots__ = ("began", "buckets", "model", "records", "rejects", "seconds", "statuses", "version")

    def __init__(self, model: str, version: str) -> None:
        """Begin at zero."""
        self.model, self.version = model, version
        self.began = round(time.time(), 3)
        self.statuses: Counter[int] = Counter()
        self.rejects: Counter[str] = Counter()
        self.records = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)

    def scored(self, records: int, seconds: float) -> None:
        """Count one request that was answered with predictions."""
        self.statuses[200] += 1
        self.records += records
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def refused(self, status: int, causes: Iterable[str]) -> None:
        """Count one request that was refused, and why."""
        self.statuses[status] += 1
        self.rejects.update(causes)


def told(counted: Iterable[VersionCounters]) -> dict[str, Any]:
    """Return the counts of versions as JSON: since when each counts, in seconds since the epoch, and what.

    `bounds_s` are the upper bounds of the latency buckets in seconds; each version has one bucket more, for what took
    longer. Counts of another `began` are of another process: nothing is kept over a restart.
    """
    versions = [
        {
            "model": one.model,
            "version": one.version,
            "began": one.began,
            "statuses": {str(status): n for status, n in sorted(one.statuses.items())},
            "rejects": dict(sorted(one.rejects.items())),
            "records": one.records,
            "buckets": list(one.buckets),
        }
        for one in counted
    ]
    return {"started": round(STARTED, 3), "bounds_s": list(BUCKETS), "versions": versions}


def _labels(**labels: object) -> str:
    """Write labels as Prometheus wants them, with backslash, quote and newline escaped."""
    escaped = {
        key: str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, value in labels.items()
    }
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped.items()) + "}"


def _histogram(counters: VersionCounters) -> Iterator[str]:
    name, seen = "mdlc_engine_request_seconds", 0
    labels = {"model": counters.model, "version": counters.version}
    for bound, count in zip((*BUCKETS, "+Inf"), counters.buckets, strict=True):
        seen += count
        yield f"{name}_bucket{_labels(**labels, le=bound)} {seen}"
    yield f"{name}_sum{_labels(**labels)} {counters.seconds:.6f}"
    yield f"{name}_count{_labels(**labels)} {seen}"


def _process() -> dict[str, list[str]]:
    with open("/proc/self/statm", encoding="ascii") as stream:
        resident = int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    values = {
        "process_resident_memory_bytes": resident,
        "process_cpu_seconds_total": round(usage.ru_utime + usage.ru_stime, 3),
        "process_start_time_seconds": round(STARTED, 3),
    }
    return {name: [f"{name} {value}"] for name, value in values.items()}


def exposition(counted: Iterable[VersionCounters], live: Iterable[tuple[str, str, str]], ready: bool) -> bytes:
    """Return everything in the Prometheus text format; `live` gives model, version and digest."""
    samples: dict[str, list[str]] = {name: [] for name in _HELP}
    for one in counted:
        labels = {"model": one.model, "version": one.version}
        samples["mdlc_engine_requests_total"] += [
            f"mdlc_engine_requests_total{_labels(**labels, status=status)} {n}"
            for status, n in sorted(one.statuses.items())
        ]
        samples["mdlc_engine_rejects_total"] += [
            f"mdlc_engine_rejects_total{_labels(**labels, cause=cause)} {n}" for cause, n in sorted(one.rejects.items())
        ]
        samples["mdlc_engine_records_total"].append(f"mdlc_engine_records_total{_labels(**labels)} {one.records}")
        samples["mdlc_engine_request_seconds"] += _histogram(one)
    samples["mdlc_engine_live_info"] = [
        f"mdlc_engine_live_info{_labels(model=model, version=version, digest=digest)} 1"
        for model, version, digest in live
    ]
    samples["mdlc_engine_ready"] = [f"mdlc_engine_ready {int(ready)}"]
    lines: list[str] = []
    for name, found in (samples | _process()).items():
        kind, text = _HELP[name]
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *found]
    return ("\n".join(lines) + "\n").encode()
