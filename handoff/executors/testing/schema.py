"""Schema: the records that came with the version fit its own schemas, and so does everything it puts out."""

from typing import Any

from engine.runner import Limits
from engine.schemas import Schema
from handoff.executors.testing.candidates import golden_of, running, schema_of, validation_of, why_without_output
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Check golden and validation inputs, golden outputs, and the output of the model for each input."""
    inputs, outputs = schema_of(plan, "input"), schema_of(plan, "output")
    golden, validation = golden_of(plan), validation_of(plan)
    records = [row["input"] for row in (*golden, *validation)]
    bad_inputs = _breaches(inputs, records, "input", log)
    bad_golden = _breaches(outputs, [row["output"] for row in golden], "golden output", log)
    bad_outputs = 0
    with running(plan.elements, plan.format, limits) as runner:
        for at, outcome in enumerate(runner.score(records)):
            if outcome.output is None:
                bad_outputs += 1
                log.line(f"record {at}: {why_without_output(outcome)}")
    figures = {
        "golden_records": len(golden),
        "validation_records": len(validation),
        "inputs_that_break_the_schema": bad_inputs,
        "golden_outputs_that_break_the_schema": bad_golden,
        "records_without_a_fitting_output": bad_outputs,
    }
    what = counted(len(records), "record")
    log.line(f"checked {what}")
    if records and not (bad_inputs or bad_golden or bad_outputs):
        return Finding(True, f"All {what} and every output fit the sealed schemas.", figures)
    if not records:
        return Finding(False, "There are no records to check.", figures)
    return Finding(
        False,
        f"Of {what}, {bad_inputs} break the input schema and {bad_outputs} get no output that fits; "
        f"{bad_golden} golden outputs break the output schema.",
        figures,
    )


def _breaches(schema: Schema, records: list[dict[str, Any]], what: str, log: Log) -> int:
    found = 0
    for at, record in enumerate(records):
        violations = schema.check(record)
        found += bool(violations)
        for violation in violations:
            log.line(f"{what} {at}, {violation.field}: {violation.message}")
    return found
