"""Run what is live by other bindings at an engine, see that it runs, and go back to what was when it does not."""

import time
from collections.abc import Callable
from typing import Any

from handoff.executors import runs
from handoff.executors.errors import ExecutorError
from handoff.plans import AmendPlan, AmendReport, RunPlan

Say = Callable[[str], None]
PATIENCE_SECONDS = 60.0  # for a run to open its streams, which may be slow to answer
PAUSE_SECONDS = 0.25


def carry_out(plan: AmendPlan, *, token: str, say: Say = lambda text: None) -> AmendReport:
    """Order the run anew, and wait until its streams are open; else order it as it was, under a higher number.

    Raises ExecutorError that may pass by itself, before anything has failed.
    """
    say("ordering the run anew")
    steps, state, why = _run(plan.wanted, token, say)
    if not why:
        return AmendReport(applied=True, restored=False, steps=tuple(steps), state=state)
    say("going back to what was")
    try:
        more, state, again = _run(plan.before, token, say)
    except ExecutorError as error:
        more, state, again = [runs.step_of("run_back", error.message, ok=False)], {}, error.message
    return AmendReport(applied=False, restored=not again, steps=(*steps, *more), state=state, error=why)


def _run(plan: RunPlan, token: str, say: Say) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Order a run and wait for it; return the steps, how it goes, and why it does not, if it does not."""
    report = runs.order(plan, token=token, say=say)
    if report.error:
        return list(report.steps), {}, report.error
    say("waiting for its streams to open")
    state, why = _opened(plan, token)
    text = why or "its streams are open"
    return [*report.steps, runs.step_of("run_check", text, ok=not why)], state, why


def _opened(plan: RunPlan, token: str) -> tuple[dict[str, Any], str]:
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        state = runs.look(plan.engine_url, plan.model, plan.run, token=token)
        if state.get("order") != plan.fence:
            return state, f"The run was ordered otherwise meanwhile, by order {state.get('order')}."
        if state["state"] in ("running", "finished"):
            return state, ""
        if state["state"] == "failed":
            return state, str(state.get("error", {}).get("message") or "The run ended.")
        if time.monotonic() > ends:
            return state, f"The run was still {state['state']} after {PATIENCE_SECONDS:.0f} seconds."
        time.sleep(PAUSE_SECONDS)
