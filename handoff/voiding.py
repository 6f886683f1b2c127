"""Void exactly the sign-offs whose scope a change touches, and say why."""

from django.utils import timezone

from audit.actors import Actor
from audit.trail import record
from handoff.facts import Known
from handoff.models import Handoff, SignOff
from handoff.moves import chain_of
from handoff.rules.gates import APPROVALS, SignOffFact
from handoff.rules.scopes import in_words, touched
from handoff.rules.statements import signer_in

Ending = SignOff.Ending
ACTION_OF = {
    Ending.WITHDRAWN: "signoff.withdrawn",
    Ending.EXPIRED: "signoff.expired",
    Ending.REVOKED: "signoff.revoked",
}


def void_touched(handoff: Handoff, known: Known, *, actor: Actor) -> list[SignOffFact]:
    """Void the sign-offs of a locked handoff that cover something which is no longer what it was."""
    voided = []
    for signoff in known.facts.signoffs:
        changed = touched(signoff.scope, known.facts.parts)
        if changed and signoff.decision in APPROVALS:  # who asked for changes says when they are enough
            void(handoff, signoff, f"{in_words(changed)} changed after it was given", Ending.CHANGED, actor=actor)
            voided.append(signoff)
    return voided


def void(handoff: Handoff, signoff: SignOffFact, because: str, ending: SignOff.Ending, *, actor: Actor) -> None:
    """Void one sign-off of a locked handoff; it never counts again."""
    now = timezone.now()
    SignOff.objects.filter(pk=signoff.id, voided_at=None).update(
        voided_at=now, voided_as=ending, voided_because=because
    )
    statement = SignOff.objects.values_list("statement", flat=True).get(pk=signoff.id)
    record(
        ACTION_OF.get(ending, "signoff.voided"),
        actor=actor,
        on=f"signoff:{signoff.id}",
        chain=chain_of(handoff),
        data={"signer": signer_in(statement), "role": signoff.role, "gate": signoff.gate, "at": now.isoformat()},
        reason=because,
    )
