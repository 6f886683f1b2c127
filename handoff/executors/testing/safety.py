"""Safety: the model file holds nothing but a model, and what could not be scanned has failed."""

from engine.errors import RunnerError
from engine.limits import Limits
from engine.scanning import scan_apart
from handoff.executors.errors import ExecutorError
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Scan the model file, default deny."""
    try:
        report = scan_apart(plan.elements["model"], plan.format, limits)
    except RunnerError as error:
        if error.code == "sandbox_lost":
            raise
        raise ExecutorError(error.message, permanent=True) from error
    log.line(report.log)
    figures = {"findings": len(report.findings), "scanned_by": list(report.scanned_by)}
    by = " and ".join(report.scanned_by) or "no scanner"
    if report.ok and not report.findings and report.scanned_by:
        return Finding(True, f"Scanned by {by}; nothing was found.", figures)
    for found in report.findings:
        log.line(f"{found.code} at {found.where}: {found.message}")
    what = counted(len(report.findings), "finding")
    first = report.findings[0].message if report.findings else "the scan did not end well"
    return Finding(False, f"Scanned by {by}: {what}, the first: {first}", figures)
