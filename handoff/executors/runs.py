"""Order runs over streams at an engine: stop what is not wanted any more, start what is, and ask how it goes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.plans import RunPlan, RunReport

Say = Callable[[str], None]
STOP_SECONDS = 45.0  # an engine lets a run finish what is under way


def order(plan: RunPlan, *, token: str, say: Say = lambda text: None) -> RunReport:
    """Make an engine run what a plan says, and nothing else of the model. Raises ExecutorError that may pass by itself.

    Stopping comes first: two versions never share a consumer group.
    """
    engine, steps = Engine(plan.engine_url, token), list[dict[str, Any]]()
    stopped: dict[str, dict[str, Any]] = {}
    try:
        for run in plan.stops:
            say("stopping a run that is not wanted any more")
            if (ended := _stop(engine, plan, run)) is not None:
                stopped[run] = ended
                steps.append(step_of("run_stop", f"the run {run[:8]} is stopped"))
        if not plan.run:
            return RunReport(tuple(steps), {}, stopped=stopped)
        say("starting the run")
        order = {"order": plan.fence, "version": plan.version, "digest": plan.digest, "private": True}
        streams = {"source": plan.source, "sinks": plan.sinks, "letters": plan.letters}
        more = {"keys": plan.keys, "tries": plan.tries}
        started = f"runs/{plan.run}/start"  # one that goes already is let finish first, too
        state = engine.order(plan.model, started, {**order, **streams, **more}, seconds=STOP_SECONDS)
    except ExecutorError as error:
        if not error.permanent:
            raise
        return RunReport((*steps, step_of("run_start", error.message, ok=False)), {}, error.message, stopped)
    steps.append(step_of("run_start", f"version {plan.version} runs over its streams as {plan.run[:8]}"))
    return RunReport(tuple(steps), state, stopped=stopped)


def look(url: str, model: str, run: str, *, token: str) -> dict[str, Any]:
    """Return how a run goes: its state, its counts, and its error where it has one. Raises ExecutorError."""
    return Engine(url, token).post(f"/v2/repository/models/{model}/runs/{run}", {"parameters": {}})


def _stop(engine: Engine, plan: RunPlan, run: str) -> dict[str, Any] | None:
    """Stop a run, and return how it ended; None if the engine did not know it, or has seen a later order."""
    order = {"order": plan.fence, "remember": plan.remember}
    try:
        return engine.order(plan.model, f"runs/{run}/stop", order, seconds=STOP_SECONDS)
    except ExecutorError as error:
        if error.code not in ("run_unknown", "stale_order"):
            raise
        return None


def step_of(name: str, text: str, *, ok: bool = True) -> dict[str, Any]:
    """Return a step as it is kept with what it is of."""
    return {"at": datetime.now(UTC).isoformat(), "step": name, "ok": ok, "text": text, "seconds": 0.0}
