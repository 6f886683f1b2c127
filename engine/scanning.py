"""Scan a model file in a process of its own: reading a file is work for an attacker too, and takes a lot of memory."""

from pathlib import Path

from engine.errors import EngineError, RunnerError
from engine.limits import Limits
from engine.runner import Process
from engine.scan import Finding, ScanReport


def scan_apart(path: Path, format: str, limits: Limits) -> ScanReport:
    """Return what a child process found in a model file.

    Raises RunnerError `sandbox_lost`, and `scan_failed` when it ends early or takes too long.
    """
    place = path.resolve()
    process = Process(limits, (place,))
    try:
        told = process.ask("scan", path=str(place), format=format)
        findings = tuple(Finding(**found) for found in told["findings"])
        return ScanReport(told["ok"] is True, findings, tuple(told["scanned_by"]), told["log"])
    except (EngineError, KeyError, TypeError) as error:
        raise RunnerError("scan_failed", f"The scan ended without an answer: {error}") from error
    finally:
        process.close()
