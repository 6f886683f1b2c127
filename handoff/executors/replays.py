"""Have a target's engine replay a contract: it reads both sources with its own secrets; none of them comes here."""

from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.plans import ReplayPlan, ReplayReport

SECONDS = 270.0  # an engine gives a replay up a little earlier


def carry_out(plan: ReplayPlan, *, token: str) -> ReplayReport:
    """Return what an engine found, or why it could not compare. Raises ExecutorError that may pass by itself."""
    order = {
        "order": plan.fence,
        "version": plan.version,
        "digest": plan.digest,
        "manifest": plan.manifest,
        "blobs": plan.blobs,
        "creation": plan.creation,
        "production": plan.production,
        "keys": list(plan.keys),
        "tolerances": plan.tolerances,
        "output_tolerances": plan.output_tolerances,
        "private": True,
    }
    try:
        answer = Engine(plan.engine_url, token).order(plan.model, "replay", order, seconds=SECONDS)
    except ExecutorError as error:
        if not error.permanent:
            raise
        return ReplayReport(error=error.message)
    report = answer.get("report")
    if isinstance(report, dict):
        return ReplayReport(content=report)
    told = answer.get("error") or {}
    return ReplayReport(error=f"{told.get('code', 'replay_failed')}: {told.get('message', 'the engine told nothing')}")
