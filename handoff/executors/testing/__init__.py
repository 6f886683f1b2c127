"""Promotion tests, one file a kind. The model runs in a process of its own; verdicts are computed here."""

import time
from collections.abc import Callable, Mapping

from engine.errors import EngineError
from engine.runner import Limits
from engine.sandbox import ladder
from engine.sandbox.levels import APART, MADE_OF, NONE, Level
from handoff.executors.errors import ExecutorError
from handoff.executors.testing import golden, integrity, latency, performance, robustness, safety, schema
from handoff.executors.testing.findings import Finding, Log, plain, text_of
from handoff.plans import TestPlan, TestReport

KINDS: Mapping[str, Callable[[TestPlan, Limits, Log], Finding]] = {
    "integrity": integrity.run,
    "safety": safety.run,
    "schema": schema.run,
    "golden": golden.run,
    "performance": performance.run,
    "robustness": robustness.run,
    "latency": latency.run,
}


def level_in_force(*, apart: bool) -> Level:
    """Return the level at which tests run here: what a trial found, or `apart`, a host as its operator declares it."""
    return APART if apart else ladder.found().level


def run(plan: TestPlan, *, seconds: int, memory_mb: int, level: Level = NONE) -> TestReport:
    """Run one test. What the model does wrong is a verdict; only failures of ours are raised, to be tried again.

    On a host of its own the model's process is on the highest rung there, too.
    """
    log, started = Log(), time.monotonic()
    limits = Limits(seconds, memory_mb, ladder.found().level if level == APART else level)
    log.line(f"Sandbox {level}: {MADE_OF[level]}.")
    verdict, finding = "error", Finding(False, "", {})
    try:
        if plan.kind not in KINDS:
            raise ExecutorError(f"There is no test of the kind {plan.kind}.", permanent=True)
        finding = KINDS[plan.kind](plan, limits, log)
        verdict = "passed" if finding.passed else "failed"
    except ExecutorError as error:
        if not error.permanent:
            raise
        finding = Finding(False, error.message, {}, dict(plan.thresholds))
    except FileNotFoundError as error:
        log.line(str(error))
        finding = Finding(False, "An element of the version is gone from the store.", {}, dict(plan.thresholds))
    except EngineError as error:
        if error.code == "sandbox_lost":
            raise ExecutorError(error.message, permanent=False) from error
        log.line(f"{error.code}: {error.message}")
        finding = Finding(False, f"The test could not be completed: {error.message}", {}, dict(plan.thresholds))
    return TestReport(
        verdict=verdict,
        summary=text_of(finding.summary),
        figures=plain(finding.figures),
        thresholds=plain(finding.thresholds),
        log=log.text(),
        seconds=time.monotonic() - started,
        sandbox=level,
    )
