"""Promotion tests: let a worker begin one while the review gate is open, and keep what it found."""

from uuid import UUID

import orjson

from audit.actors import Actor, Worker
from audit.acts import act
from audit.trail import record
from engine.fault_points import fault_point
from engine.sandbox.levels import NONE, Level
from handoff.asking import asked_anew
from handoff.decisions import decide
from handoff.errors import SandboxTooLow
from handoff.facts import rules_of
from handoff.leases import end, hold
from handoff.models import Deployment, Handoff, Job, PromotionTest, Return
from handoff.moves import chain_of
from handoff.outcomes import send_back, settle_tests
from handoff.plans import TestPlan, TestReport
from handoff.queries.forgeries import forged_in
from handoff.readiness import looked_again
from handoff.rules.gates import GateResult
from handoff.states import DeploymentState, JobState, State
from models_registry.models import ModelVersion
from models_registry.store import local_paths


def begin(job_id: UUID | str, fence: int, *, sandbox: Level = NONE) -> TestPlan | None:
    """Return the plan of a claimed test; None, with the job ended, when it may not run any more.

    `sandbox` is the level in which this worker runs models. Raises LeaseLost, and SandboxTooLow where the handoff's
    policy asks for more: the job goes to another worker, and is dead when none has it.
    """
    admitted = _admit(job_id, fence, sandbox)
    if admitted is None:
        return None
    handoff, job = admitted
    live = (
        Deployment.objects.filter(model=handoff.model_id, environment=handoff.target_id, state=DeploymentState.LIVE)
        .select_related("version")
        .first()
    )
    return TestPlan(
        job_id=str(job.pk),
        fence=job.fence,
        kind=job.purpose.partition(":")[2],
        format=handoff.version.format,
        manifest=handoff.version.manifest,
        digest=handoff.version.digest,
        elements=local_paths(handoff.version),
        thresholds=_thresholds(handoff.version),
        packages=handoff.target.packages,
        live_elements=local_paths(live.version) if live else {},
        live_format=live.version.format if live else "",
        live_digest=live.digest if live else "",
    )


def _thresholds(version: ModelVersion) -> dict[str, object]:
    element = version.elements.filter(name="thresholds").first()
    return dict(orjson.loads(element.text or "{}")) if element else {}


@act
def _admit(job_id: UUID | str, fence: int, sandbox: Level) -> tuple[Handoff, Job] | None:
    """Judge the review gate again, now, in the worker; where it is shut or was forged, return the handoff."""
    handoff, job = hold(job_id, fence)
    actor = Worker(job.worker)
    if handoff.state != State.TESTING:
        end(job, JobState.CANCELLED, error=f"the handoff is {State(handoff.state).label} now")
        return None
    _must_be_enough(handoff, sandbox)
    result = decide(handoff, "review", actor=actor, known=looked_again(handoff, asked_anew(handoff, actor=actor)))
    record(
        "job.claimed",
        actor=actor,
        on=job,
        chain=chain_of(handoff),
        data={"purpose": job.purpose, "attempt": job.attempts, "fence": fence, "gate_open": result.open},
    )
    if not result.open:
        why = "; ".join(f"{r.title}: {r.why}" for r in result.missing) or "somebody refused"
        end(job, JobState.REFUSED, error=f"the review gate is shut: {why}")
        because = f"The review gate was open, and is shut now that the tests should run: {why}"
        send_back(handoff, [_reason(result)], because, actor=actor)
        return None
    if wrong := "; ".join(forged_in(handoff)):
        because = f"What is stored is not what was approved: {wrong}"
        end(job, JobState.REFUSED, error=because)
        send_back(handoff, [Return.Reason.SECURITY], because, actor=actor)
        return None
    return handoff, job


def _must_be_enough(handoff: Handoff, sandbox: Level) -> None:
    """Raise SandboxTooLow where a test ran, or would run, in less than the handoff's policy asks for."""
    least = rules_of(handoff).sandbox
    if least.short(sandbox):
        raise SandboxTooLow(
            f"This worker runs models in sandbox {sandbox}, and the policy asks for {least.least} at least.",
            todo=f"Run a worker for tests where {least.least} holds (docs/operations.md), then try the work again.",
            fields={"sandbox.least": f"is {least.least}, and here is {sandbox}"},
        )


def _reason(result: GateResult) -> Return.Reason:
    """Return the reason code for a review gate that is shut: the target moved, or somebody's part is missing."""
    moved = any(requirement.kind == "report" for requirement in result.missing)
    return Return.Reason.OPERABILITY if moved else Return.Reason.DOCUMENTATION


@act
def finish(job_id: UUID | str, fence: int, report: TestReport, *, actor: Actor) -> PromotionTest:
    """Keep a test's result, and move the handoff on if it was the last one.

    Raises LeaseLost for a late holder, and SandboxTooLow for what was found in less than the policy asks for.
    """
    handoff, job = hold(job_id, fence, parts=("handoff__version",))
    _must_be_enough(handoff, report.sandbox)
    end(job, JobState.DONE)
    kind = job.purpose.partition(":")[2]
    test = PromotionTest.objects.create(
        job=job,
        handoff=handoff,
        kind=kind,
        verdict=report.verdict,
        summary=report.summary,
        figures=report.figures,
        thresholds=report.thresholds,
        log=report.log,
        seconds=report.seconds,
        fence=fence,
        version_digest=handoff.version.digest,
        worker=job.worker,
        sandbox=report.sandbox,
    )
    record(
        "test.finished",
        actor=actor,
        on=test,
        chain=chain_of(handoff),
        data={
            "kind": kind,
            "verdict": report.verdict,
            "attempt": job.attempts,
            "fence": fence,
            "sandbox": report.sandbox,
        },
        reason=report.summary,
    )
    settle_tests(handoff, actor=actor)
    fault_point("test.written")
    return test
