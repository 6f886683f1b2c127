"""Golden records: the model gives here what it gave in the creation environment."""

from engine.comparison import compare
from engine.runner import Limits
from handoff.executors.testing.candidates import golden_of, running, thresholds_of, why_without_output
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Score the golden inputs and compare with the golden outputs, within the sealed tolerance."""
    golden, thresholds = golden_of(plan), thresholds_of(plan)
    tolerance = {"absolute": thresholds.absolute, "relative": thresholds.relative}
    if not golden:
        return Finding(False, "There are no golden records to reproduce.", {"records": 0}, tolerance)
    with running(plan.elements, plan.format, limits) as runner:
        outcomes = runner.score([pair["input"] for pair in golden])
    for at, outcome in enumerate(outcomes):
        if outcome.output is None:
            log.line(f"record {at}: {why_without_output(outcome)}")
    result = compare([pair["output"] for pair in golden], [o.output for o in outcomes], **tolerance)
    for miss in result.mismatches:
        log.line(f"record {miss.record}, {miss.field or 'output'}: {miss.actual!r} instead of {miss.expected!r}")
    bad = len({miss.record for miss in result.mismatches})
    figures = {"records": len(golden), "worst_difference": result.worst, "records_that_differ_at_least": bad}
    what = counted(len(golden), "golden record")
    if result.equal:
        log.line(f"all {what} reproduced")
        return Finding(
            True, f"All {what} reproduced, the largest difference being {result.worst:.2g}.", figures, tolerance
        )
    first = result.mismatches[0]
    return Finding(
        False,
        f"At least {bad} of {what} not reproduced; the largest difference is {result.worst:.3g}. "
        f"Record {first.record}: {first.field or 'output'} is {first.actual!r:.60} instead of {first.expected!r:.60}.",
        figures,
        tolerance,
    )
