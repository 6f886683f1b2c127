"""Order a deployment anew, after work on it that failed, died or was cancelled: its gate is judged again first."""

from audit.actors import Actor
from audit.trail import record
from handoff import queue
from handoff.decisions import decide
from handoff.errors import GateShut, WrongState
from handoff.facts import Known
from handoff.models import Handoff, Job, Return
from handoff.moves import chain_of, move
from handoff.outcomes import WAITING
from handoff.readiness import looked_again
from handoff.states import State


def order_again(handoff: Handoff, known: Known, *, actor: Actor) -> Job:
    """Queue the deployment or the confirmation of a locked handoff anew. Nobody needs to sign again.

    Raises WrongState where nothing is to be deployed or a worker has it in hand, and GateShut.
    """
    if handoff.state not in (State.READY, State.CONFIRMING):
        raise WrongState(f"A handoff that is {State(handoff.state).label} cannot be deployed again.")
    gate = "release" if handoff.state == State.READY else "confirm"
    if handoff.jobs.filter(gate=gate, state__in=WAITING).exclude(purpose__startswith="restore").exists():
        raise WrongState("A worker has it in hand already.", code="under_way", todo="Wait for the worker to end.")
    if gate == "confirm" and Return.objects.filter(handoff=handoff).exists():
        return _again(handoff, gate, queue.ROLL_BACK, "refused", actor)
    result = decide(handoff, gate, actor=actor, known=looked_again(handoff, known))
    if not result.open:
        raise GateShut(
            f"The {gate} gate is shut: " + "; ".join(f"{r.title}: {r.why}" for r in result.missing),
            todo="Those named can clear it: " + ", ".join(dict.fromkeys(w for r in result.missing for w in r.who)),
        )
    task, stem = (queue.DEPLOY, "deploy") if gate == "release" else (queue.CONFIRM, "confirm")
    job = _again(handoff, gate, task, stem, actor)
    if gate == "release":
        move(handoff, State.DEPLOYING, actor=actor, because="deployed again")
    return job


def _again(handoff: Handoff, gate: str, task: str, stem: str, actor: Actor) -> Job:
    attempt = handoff.jobs.filter(task=task, gate=gate).count() + 1
    job = queue.enqueue(handoff, gate=gate, task=task, purposes=[f"{stem}:{attempt}"])[0]
    record("job.queued", actor=actor, on=job, chain=chain_of(handoff), data={"purpose": job.purpose})
    return job
