"""Safety: the model file holds nothing but a model, and what could not be scanned has failed."""

from engine.runner import Limits
from engine.scan import scan

from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Scan the model file, default deny, with a second opinion."""
    report = scan(plan.elements["model"], plan.format)
    log.line(report.log)
    for found in report.findings:
        log.line(f"{found.code} at {found.where}: {found.message}")
    figures = {"findings": len(report.findings), "scanned_by": list(report.scanned_by)}
    by = " and ".join(report.scanned_by) or "nothing"
    if report.ok and not report.findings:
        return Finding(True, f"Scanned by {by}; nothing was found.", figures)
    first = report.findings[0].message if report.findings else "the scan did not end well"
    what = counted(len(report.findings), "finding")
    return Finding(False, f"Scanned by {by}: {what}, the first: {first}", figures)
