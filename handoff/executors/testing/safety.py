"""Safety: the model file holds nothing but a model, and what could not be scanned has failed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.runner import Limits
from handoff.executors.errors import ExecutorError
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan

ROOT = Path(__file__).resolve().parents[3]


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Scan the model file, default deny, in a process of its own: reading a file is work for an attacker too."""
    report = _scan(plan.elements["model"], plan.format, limits)
    log.line(report["log"])
    findings, scanners = report["findings"], report["scanned_by"]
    figures = {"findings": len(findings), "scanned_by": scanners}
    by = " and ".join(scanners) or "no scanner"
    if report["ok"] is True and not findings and scanners:
        return Finding(True, f"Scanned by {by}; nothing was found.", figures)
    for found in findings:
        log.line(f"{found['code']} at {found['where']}: {found['message']}")
    what = counted(len(findings), "finding")
    first = findings[0]["message"] if findings else "the scan did not end well"
    return Finding(False, f"Scanned by {by}: {what}, the first: {first}", figures)


def _scan(path: Path, format: str, limits: Limits) -> dict[str, Any]:
    child = [sys.executable, "-s", "-E", "-m", "handoff.executors.testing.scan_child"]
    try:
        done = subprocess.run(
            [*child, str(path.resolve()), format, str(limits.memory_mb), str(limits.seconds)],
            cwd=ROOT,
            env={},
            capture_output=True,
            timeout=limits.seconds,
            check=True,
            start_new_session=True,
        )
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired as error:
        raise ExecutorError(f"The scan did not end within {limits.seconds} seconds.", permanent=True) from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise ExecutorError(f"The scan ended without an answer: {error}.", permanent=True) from error
