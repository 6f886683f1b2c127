"""Raise a finding when a target drifts from what was signed, and close it when that is put right or accepted."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.errors import Hidden, Invalid, WrongState
from handoff.facts import rules_of
from handoff.models import Finding, Handoff
from handoff.moves import chain_of
from handoff.readiness import moved_since, report_of
from handoff.states import UNDER_OFFER, State
from models_registry.roles import Role

ANSWERED_WITHIN = timedelta(days=7)


def watched() -> QuerySet[Handoff]:
    """Return the handoffs whose approval a change of their target can touch: those under offer, and the live ones."""
    return Handoff.objects.filter(state__in=[*UNDER_OFFER, State.LIVE]).order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    """Compare a watched handoff with its target as it is now; return the finding that was raised, if one was.

    What was accepted for a live version stays accepted, in the very words. Most looks find nothing new, and lock
    nothing.
    """
    handoff = watched().select_related("model", "version").filter(pk=handoff_id).first()
    if handoff is None or _unanswered(handoff) == _standing(handoff):
        return None
    return _judge(actor=actor, handoff_id=handoff_id)


@act
def _judge(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    handoff = Handoff.objects.select_for_update(of=("self",)).select_related("model", "version").get(pk=handoff_id)
    found, standing = _unanswered(handoff), _standing(handoff)
    if found == standing:
        return None
    if standing:
        _close(handoff, Finding.Closing.REPLACED if found else Finding.Closing.RESOLVED, actor=actor)
    return _raise(handoff, found, actor=actor) if found else None


@act
def accept(*, actor: Person, handoff_id: UUID | str, finding_id: UUID | str, comment: str) -> Finding:
    """Answer for a drift of a live version's environment: it goes on as it is. IT operations may, with a reason.

    Before a version is live there is nothing to accept: the sign-offs cover the report, so the target is put right, or
    the version offered anew. Raises Hidden, WrongRole, WrongState or Invalid.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    finding = Finding.objects.filter(pk=finding_id, handoff=handoff).first()
    if finding is None:
        raise Hidden("There is no such finding.")
    require_role(actor, known, Role.IT_OPERATIONS, "accept a finding")
    if finding.closed_at is not None:
        raise WrongState("The finding is closed already.", code="finding_closed")
    if handoff.state != State.LIVE:
        raise WrongState(
            "What came in the way before a version is live is not accepted; the sign-offs cover another report.",
            code="finding_blocks",
            todo="Put the target right, or withdraw the handoff and offer it anew.",
        )
    if not comment.strip():
        raise Invalid("Say why it may go on.", fields={"comment": "is empty"})
    _close(handoff, Finding.Closing.ACCEPTED, actor=actor, comment=comment.strip())
    finding.refresh_from_db()
    return finding


def _unanswered(handoff: Handoff) -> dict[str, str]:
    """Return what came in the way since the report was signed, without what was accepted in these words."""
    accepted = {
        sentence
        for items in handoff.findings.filter(closing=Finding.Closing.ACCEPTED).values_list("items", flat=True)
        for sentence in items.values()
    }
    return {key: sentence for key, sentence in moved_since(handoff).items() if sentence not in accepted}


def _standing(handoff: Handoff) -> dict[str, str]:
    return dict(handoff.findings.filter(closed_at=None).values_list("items", flat=True).first() or {})


def _raise(handoff: Handoff, items: Mapping[str, str], *, actor: Actor) -> Finding:
    rules = rules_of(handoff)
    severities = {item.severity for item in report_of(handoff, rules) if item.key in items}
    worst = next((one for one in ("high", "medium", "low") if one in severities), "high")  # high: it is gone
    suspends = rules.drift == "suspend"
    finding = Finding.objects.create(
        handoff=handoff,
        items=dict(items),
        severity=worst,
        suspends=suspends,
        due_at=timezone.now() + ANSWERED_WITHIN,
    )
    record(
        "handoff.suspended" if suspends else "finding.raised",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(finding.pk), "severity": worst, "differences": dict(items)},
        reason="; ".join(items.values()),
    )
    return finding


def _close(handoff: Handoff, closing: Finding.Closing, *, actor: Actor, comment: str = "") -> None:
    """Close the open finding of a locked handoff."""
    finding = Finding.objects.get(handoff=handoff, closed_at=None)
    Finding.objects.filter(pk=finding.pk).update(
        closed_at=timezone.now(),
        closing=closing,
        closed_by=actor.user if closing == Finding.Closing.ACCEPTED else None,
        comment=comment,
    )
    record(
        "finding.closed",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(finding.pk), "closing": closing},
        reason=comment,
    )
