"""What follows when background work has ended: tests are joined by counting rows, failures are sent back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models.functions import Now

from audit.actors import Actor
from audit.trail import record
from engine.sandbox.levels import NONE
from handoff import queue
from handoff.decisions import decide
from handoff.facts import known_of, rules_of
from handoff.leases import Clock, cancel_waiting
from handoff.models import Amendment, Deployment, Handoff, Job, Return
from handoff.moves import chain_of, move
from handoff.rules.gates import GateResult
from handoff.states import AmendmentState, DeploymentState, JobState, State

WAITING = (JobState.QUEUED, JobState.RUNNING)
REASON_OF = {
    "integrity": Return.Reason.SECURITY,
    "safety": Return.Reason.SECURITY,
    "schema": Return.Reason.CONTRACT_BREACH,
    "golden": Return.Reason.CONTRACT_BREACH,
    "robustness": Return.Reason.CONTRACT_BREACH,
    "performance": Return.Reason.PERFORMANCE,
    "latency": Return.Reason.OPERABILITY,
}


def send_back(
    handoff: Handoff, reasons: Iterable[str], comment: str, *, actor: Actor, retests: Sequence[str] = ()
) -> None:
    """Return a locked handoff to data science, with reason codes, words and what must be tested again."""
    codes = list(dict.fromkeys(str(reason) for reason in reasons))
    Return.objects.create(handoff=handoff, reasons=codes, comment=comment, retests=list(retests), returned_by=None)
    record(
        "handoff.returned",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"reasons": codes, "retests": list(retests)},
        reason=comment,
    )
    cancel_waiting(handoff)
    move(handoff, State.RETURNED, actor=actor, because=comment)


class Ended(NamedTuple):
    """A job of a test, and what the test found; nothing where it left no result."""

    purpose: str
    state: str
    error: str
    verdict: str | None
    digest: str | None
    summary: str | None
    sandbox: str | None


COLUMNS = (
    *("purpose", "state", "error"),
    *("result__verdict", "result__version_digest", "result__summary", "result__sandbox"),
)


def settle_tests(handoff: Handoff, *, actor: Actor) -> None:
    """Once the last required test of a locked handoff has ended: ready if all have passed, else returned."""
    if handoff.state != State.TESTING:
        return
    rules = rules_of(handoff)
    required = rules.tests
    wanted = handoff.jobs.filter(task=queue.RUN_TEST, purpose__in=[f"test:{kind}" for kind in required])
    jobs = {row[0].removeprefix("test:"): Ended(*row) for row in wanted.order_by().values_list(*COLUMNS)}
    if any(job.state in WAITING for job in jobs.values()):
        return
    waivers = known_of(handoff).facts.waivers if rules.waivers.approver else {}
    waived = [kind for kind in required if f"test:{kind}" in waivers and waivers[f"test:{kind}"].counts]
    bad = [kind for kind in required if kind not in waived and not _passed(jobs.get(kind), handoff)]
    if not bad:
        move(handoff, State.READY, actor=actor, because=_all_passed(len(required), len(waived)))
        if rules.break_glass.roles:
            _hurry(handoff, actor=actor)
        return
    why = "; ".join(_why(kind, jobs.get(kind)) for kind in bad)
    send_back(handoff, [_reason(kind, jobs.get(kind)) for kind in bad], why, actor=actor, retests=bad)


def _hurry(handoff: Handoff, *, actor: Actor) -> None:
    """Deploy at once what a break-glass let through the review, if nothing but signatures is missing."""
    known = known_of(handoff)
    if known.emergency is None:
        return
    result = decide(handoff, "release", actor=actor, known=known)
    if result.open:
        release(handoff, result, actor=actor, because="the tests passed, and a break-glass is in force")


def _all_passed(required: int, waived: int) -> str:
    return f"all {required} promotion tests passed" + (f" or are waived ({waived})" if waived else "")


def _passed(job: Ended | None, handoff: Handoff) -> bool:
    if job is None or job.verdict != "passed" or job.digest != handoff.version.digest:
        return False
    return not rules_of(handoff).sandbox.short(job.sandbox or NONE)


def _reason(kind: str, job: Ended | None) -> str:
    """Return the reason code for a test that did not pass; one that never ended is a matter of operations."""
    left_a_result = job is not None and job.verdict is not None
    return REASON_OF.get(kind, Return.Reason.OPERABILITY) if left_a_result else Return.Reason.OPERABILITY


def _why(kind: str, job: Ended | None) -> str:
    if job is not None and job.verdict is not None:
        return f"{kind} {'failed' if job.verdict == 'failed' else 'could not be run'}: {job.summary}"
    return f"{kind} never ended: {(job.error if job else '') or 'it did not run'}"


def under_way(handoff: Handoff) -> Deployment | None:
    """Return the order of a handoff that is not live yet and has not ended."""
    return handoff.deployments.filter(state__in=[DeploymentState.ORDERED, DeploymentState.CONFIRMING]).first()


def fail_order(deployment: Deployment, because: str, *, actor: Actor, log: Sequence[Mapping[str, Any]] = ()) -> None:
    """End an order that did not come about."""
    deployment.state = DeploymentState.FAILED
    deployment.log = [*deployment.log, *log]
    Deployment.objects.filter(pk=deployment.pk).update(
        state=DeploymentState.FAILED, ended_at=Now(), log=deployment.log, reason=because
    )
    record(
        "deployment.failed",
        actor=actor,
        on=deployment,
        chain=chain_of(deployment.handoff),
        data={"version": deployment.version.number, "order": deployment.order},
        reason=because,
    )


def make_ready_again(handoff: Handoff, because: str, *, actor: Actor, unknown: bool = False) -> None:
    """Put a handoff that was being deployed back, so that operations can deploy again; nothing is wrong with it.

    `unknown`: nobody knows what the engine serves now, so a worker is told to put back what the records say.
    """
    deployment = under_way(handoff)
    if deployment is not None:
        fail_order(deployment, because, actor=actor)
    if unknown and deployment is not None:
        queue.enqueue(handoff, gate="release", task=queue.ROLL_BACK, purposes=[f"restore:{deployment.order}"])
    if handoff.state == State.DEPLOYING:
        move(handoff, State.READY, actor=actor, because=because)


def release(handoff: Handoff, result: GateResult, *, actor: Actor, because: str) -> None:
    """Order the deployment of a locked handoff whose release gate is open, and write the work beside that."""
    record(
        "gate.decided",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"gate": result.gate, "open": True, "requirements": [r.key for r in result.requirements]},
    )
    attempt = handoff.jobs.filter(task=queue.DEPLOY).count() + 1
    queue.enqueue(handoff, gate="release", task=queue.DEPLOY, purposes=[f"deploy:{attempt}"])
    move(handoff, State.DEPLOYING, actor=actor, because=because)


def after_death(handoff: Handoff, job: Job, *, actor: Actor, why: str = "") -> None:
    """Draw the consequences when a job of a locked handoff is out of attempts, or cancelled, which `why` says.

    Where a worker had a deployment in hand, so that there is an order, nobody knows what an engine was told.
    """
    why = why or f"was tried {job.attempts} times and never ended: {job.error}"
    if job.task == queue.RUN_TEST:
        settle_tests(handoff, actor=actor)
    elif job.task == queue.DEPLOY:
        make_ready_again(handoff, f"the deployment {why}", actor=actor, unknown=True)
    elif job.task == queue.AMEND:
        amendment = Amendment.objects.select_related("deployment").get(job=job)
        give_up(amendment, handoff, f"it {why}", actor=actor)
    elif job.purpose.startswith("rollback"):
        for order in Deployment.objects.filter(
            rollback_of__handoff=handoff, state=DeploymentState.ORDERED
        ).select_related("handoff", "version"):
            fail_order(order, f"the rollback {why}", actor=actor)


def end_amendment(
    amendment: Amendment, handoff: Handoff, state: AmendmentState, because: str = "", *, actor: Actor
) -> None:
    """End an amendment of a locked handoff, in a state that it does not leave any more."""
    amendment.state, amendment.because = state, because[:5000]
    Amendment.objects.filter(pk=amendment.pk).update(
        state=state,
        because=amendment.because,
        order=amendment.order,
        report=amendment.report,
        log=amendment.log,
        ended_at=Clock(),
    )
    record(
        f"amendment.{state.value}",
        actor=actor,
        on=amendment,
        chain=chain_of(handoff),
        data={"number": amendment.number, "changes": amendment.changes},
        reason=because,
    )


def give_up(amendment: Amendment, handoff: Handoff, because: str, *, actor: Actor) -> None:
    """End an amendment that nobody knows the effect of, and have the run ordered by the bindings that are in force."""
    end_amendment(amendment, handoff, AmendmentState.FAILED, because, actor=actor)
    order = amendment.deployment.order
    attempt = handoff.jobs.filter(task=queue.RUN_STREAMS, purpose__startswith=f"streams:{order}").count() + 1
    queue.enqueue(handoff, gate="live", task=queue.RUN_STREAMS, purposes=[f"streams:{order}:{attempt}"])
