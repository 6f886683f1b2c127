"""Hand open findings on: the next version that is offered into the same environment takes over what is not closed."""

from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils import timezone

from audit.actors import Actor
from audit.trail import record
from handoff.models import Finding, Handoff
from handoff.moves import chain_of
from handoff.states import OPEN, State

WENT_LIVE = (State.LIVE, State.SUPERSEDED)


def inherit_findings(handoff: Handoff, *, actor: Actor) -> list[Finding]:
    """Copy the open issues of earlier handoffs of the model into this target to a handoff that is being offered.

    An issue of a live version stays open there, too; that of a handoff which has ended is closed as carried over. One
    that was fixed in a version which went live since is not handed on again.
    """
    fixed = Finding.objects.filter(
        inherited_from=OuterRef("pk"), closing=Finding.Closing.FIXED, handoff__state__in=WENT_LIVE
    )
    rows = (
        Finding.objects.select_for_update(of=("self",))
        .filter(kind=Finding.Kind.ISSUE, closed_at=None)
        .filter(handoff__model=handoff.model_id, handoff__target=handoff.target_id)
        .exclude(handoff__state__in=OPEN)
        .exclude(Exists(fixed))
        .select_related("handoff")
        .order_by("raised_at", "handoff__number")
    )
    found = [(finding, finding.handoff) for finding in rows if finding.handoff is not None]
    newest = {finding.inherited_from_id or finding.pk: (finding, before) for finding, before in found}
    heirs = [_heir(finding, before, root, handoff, actor=actor) for root, (finding, before) in newest.items()]
    for finding, before in found:
        if before.state != State.LIVE:
            _carry(finding, before, handoff, actor=actor)
    return heirs


def _heir(finding: Finding, before: Handoff, root: UUID, handoff: Handoff, *, actor: Actor) -> Finding:
    heir = Finding.objects.create(
        handoff=handoff,
        kind=finding.kind,
        items=finding.items,
        details=finding.details,
        severity=finding.severity,
        suspends=finding.suspends,
        another_closes=finding.another_closes,
        raised_by_id=finding.raised_by_id,
        owner_id=finding.owner_id,
        due_at=finding.due_at,
        inherited_from_id=root,
    )
    record(
        "finding.inherited",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(heir.pk), "from": str(finding.pk), "handoff": before.number},
        reason=str(finding),
    )
    return heir


def _carry(finding: Finding, before: Handoff, to: Handoff, *, actor: Actor) -> None:
    Finding.objects.filter(pk=finding.pk).update(closed_at=timezone.now(), closing=Finding.Closing.CARRIED)
    record(
        "finding.closed",
        actor=actor,
        on=before,
        chain=chain_of(before),
        data={"finding": str(finding.pk), "closing": Finding.Closing.CARRIED, "handoff": to.number},
    )
