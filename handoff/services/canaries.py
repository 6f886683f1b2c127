"""See to canaries: end one that breaks a limit of its policy, and confirm one for which nothing is waited any more."""

from dataclasses import asdict
from uuid import UUID

from django.db.models import QuerySet

from audit.actors import Worker
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.decisions import judge, keep
from handoff.facts import Known, known_of, rules_of
from handoff.going_back import end_canary
from handoff.models import Handoff, Job, Return
from handoff.moves import chain_of
from handoff.outcomes import WAITING
from handoff.readiness import looked_again
from handoff.rules.canaries import breach_of
from handoff.states import State

WORK = (queue.DEPLOY, queue.CONFIRM, queue.ROLL_BACK)


def watched() -> QuerySet[Handoff]:
    """Return the handoffs with a canary under way that nobody takes back yet."""
    canaries = Handoff.objects.filter(state=State.CONFIRMING, policy__strategy__kind="canary")
    return canaries.exclude(pk__in=Return.objects.values("handoff")).order_by("pk")


@act
def look(*, actor: Worker, handoff_id: UUID | str) -> Job | None:
    """End a canary that breaks a limit, or order its confirmation once all that its gate asks for is met.

    Returns the work that was queued; None while it goes on, or where work on it is under way. A confirmation that did
    not come about waits for IT operations, as any.
    """
    locked = watched().select_for_update(of=("self",)).select_related("model", "version", "source", "target")
    handoff = locked.filter(pk=handoff_id).first()
    if handoff is None or handoff.jobs.filter(task__in=WORK, state__in=WAITING).exists():
        return None
    known = known_of(handoff)
    breach = breach_of(rules_of(handoff).strategy, known.facts.canary)
    if breach:
        return _end(handoff, known, breach, actor=actor)
    if handoff.jobs.filter(task=queue.CONFIRM).exists() or not judge(handoff, "confirm", known).open:
        return None
    return _confirm(handoff, looked_again(handoff, known), actor=actor)


def _end(handoff: Handoff, known: Known, breach: str, *, actor: Worker) -> Job:
    figures = asdict(known.facts.canary) if known.facts.canary else {}
    reason = f"The canary is not within its limits: {breach}."
    reasons = [Return.Reason.PERFORMANCE.value]
    return end_canary(handoff, reason, actor=actor, reasons=reasons, told={"canary": figures})


def _confirm(handoff: Handoff, known: Known, *, actor: Worker) -> Job | None:
    result = judge(handoff, "confirm", known)
    if not result.open:
        return None
    keep(handoff, result, known.hurried, actor=actor)
    told = {"gate": result.gate, "open": True, "requirements": [r.key for r in result.requirements]}
    record("gate.decided", actor=actor, on=handoff, chain=chain_of(handoff), data=told)
    return queue.enqueue(handoff, gate="confirm", task=queue.CONFIRM, purposes=["confirm"])[0]
