"""Stop a version at its engine, or let it score again: one order, which waits for nothing else there."""

from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.plans import StopPlan, StopReport

SECONDS = 4.0  # an engine ends the runs of a version within one


def carry_out(plan: StopPlan, *, token: str) -> StopReport:
    """Give the order, and return what the engine answered, or why it did not; it is given again until it answers."""
    engine = Engine(plan.engine_url, token, seconds=SECONDS)
    order = {"order": plan.order, "version": plan.version, "digest": plan.digest}
    try:
        told = engine.order(plan.model, "suspend" if plan.on else "resume", order)
    except ExecutorError as error:
        return StopReport(error=error.message)
    runs = told.get("runs")
    return StopReport(stopped=runs if isinstance(runs, dict) else {})
