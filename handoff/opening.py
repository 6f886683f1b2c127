"""What follows from a signature: the gate opens, and the work is written beside it; or the handoff goes back."""

from collections.abc import Sequence
from dataclasses import replace

from django.utils import timezone

from audit.actors import Person
from audit.trail import record
from handoff import queue
from handoff.asking import ask, asked_anew
from handoff.decisions import keep
from handoff.emergencies import regularise
from handoff.facts import Known, known_of, rules_of
from handoff.models import Handoff, Return, SignOff
from handoff.moves import chain_of, move
from handoff.outcomes import release
from handoff.readiness import looked_again
from handoff.rules.consumers import GATE
from handoff.rules.gates import APPROVALS, GateResult, SignOffFact, evaluate, waits_for_its_time
from handoff.states import GATE_OF, State
from handoff.suspending import settle_approvals


def settle(
    handoff: Handoff,
    known: Known,
    signoff: SignOff,
    reasons: Sequence[str],
    retests: Sequence[str],
    *,
    actor: Person,
) -> None:
    """Return a locked handoff after a refusal; open the gate under way if nothing is missing any more."""
    if signoff.decision == SignOff.Decision.REFUSE:
        _return(handoff, signoff.gate, actor, signoff.comment, reasons, retests)
    if signoff.decision not in APPROVALS:
        return
    fact = SignOffFact(
        str(signoff.pk),
        signoff.gate,
        signoff.requirement,
        signoff.role,
        actor.user_id,
        actor.label,
        signoff.decision,
        signoff.meaning,
        signoff.scope,
        entitled=True,
        signed_at=signoff.signed_at.isoformat(),
        behalf=signoff.behalf_of_id,
    )
    now = replace(known, facts=replace(known.facts, signoffs=(*known.facts.signoffs, fact)))
    regularise(handoff, now, actor=actor)
    if signoff.gate != GATE_OF.get(State(handoff.state)):
        settle_approvals(handoff, now, actor=actor)
    open_if_met(handoff, now, actor=actor)


def open_if_met(handoff: Handoff, known: Known, *, actor: Person) -> None:
    """Open the gate under way of a locked handoff if nothing is missing any more."""
    gate = GATE_OF.get(State(handoff.state), "")
    result = evaluate(gate, rules_of(handoff), known.facts) if gate else None
    if result is None:
        return
    if result.open and gate == GATE and ask(handoff, known, actor=actor):  # what changes may have come into use since
        known = known_of(handoff)
        result = evaluate(gate, rules_of(handoff), known.facts)
    if result.open or waits_for_its_time(result):
        keep(handoff, result, known.facts, actor=actor)
    if result.open:
        _open(handoff, result, actor)


def open_in_emergency(handoff: Handoff, *, actor: Person) -> GateResult:
    """Open the gate under way of a locked handoff whose break-glass was just confirmed, if only that was needed.

    A gate that waits for nothing but its window opens with the window. Returns the judgement, over the target as it is.
    """
    gate = GATE_OF[State(handoff.state)]
    known = looked_again(handoff, asked_anew(handoff, actor=actor))
    result = evaluate(gate, rules_of(handoff), known.hurried)
    if result.open or waits_for_its_time(result):
        keep(handoff, result, known.hurried, actor=actor)
    if result.open:
        _open(handoff, result, actor)
    return result


def _open(handoff: Handoff, result: GateResult, actor: Person) -> None:
    """Move on, and write the work that follows beside the signature that caused it."""
    if result.gate == "release":
        release(handoff, result, actor=actor, because="the release gate opened")
        return
    record(
        "gate.decided",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"gate": result.gate, "open": True, "requirements": [r.key for r in result.requirements]},
    )
    if result.gate == "review":
        kinds = rules_of(handoff).tests
        queue.enqueue(handoff, gate="review", task=queue.RUN_TEST, purposes=[f"test:{kind}" for kind in kinds])
        move(handoff, State.TESTING, actor=actor, because="the review gate opened")
    elif not handoff.jobs.filter(task=queue.CONFIRM).exists():  # a worker may have ordered it when the canary was due
        queue.enqueue(handoff, gate="confirm", task=queue.CONFIRM, purposes=["confirm"])


def _return(
    handoff: Handoff, gate: str, actor: Person, comment: str, reasons: Sequence[str], retests: Sequence[str]
) -> None:
    Return.objects.create(
        handoff=handoff,
        reasons=list(dict.fromkeys(reasons)),
        comment=comment,
        retests=list(retests),
        returned_by=actor.user,
    )
    record(
        "handoff.returned",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"reasons": list(reasons), "retests": list(retests)},
        reason=comment,
    )
    if gate == "confirm":
        # The target still serves it: a worker swaps back first, and returns the handoff then.
        queue.enqueue(handoff, gate="confirm", task=queue.ROLL_BACK, purposes=["refused"])
        return
    handoff.jobs.filter(state__in=["queued", "running"]).update(state="cancelled", ended_at=timezone.now())
    move(handoff, State.RETURNED, actor=actor, because=comment)
