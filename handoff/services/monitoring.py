"""Raise findings where what is live breaks the limits of its policy, and resolve them once it is within them again."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.actors import Worker
from audit.acts import act
from handoff.facts import rules_of
from handoff.in_force import suspension_of
from handoff.models import Finding, Handoff, Watch
from handoff.raising import Wrong, reconcile, standing
from handoff.rules.monitoring import broken
from handoff.states import DeploymentState, State
from handoff.watching import figures_of

KIND = Finding.Kind.MONITORING
SEVERITIES = {"failed": "high"}


def watched() -> QuerySet[Handoff]:
    """Return the live handoffs whose policy asks for monitoring, and those with an open finding of it."""
    open_ = Finding.objects.filter(kind=KIND, closed_at=None).values("handoff")
    asked = Q(state=State.LIVE, policy__monitoring__isnull=False)
    return Handoff.objects.filter(asked | Q(pk__in=open_)).order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> list[Finding]:
    """Bring the findings of a watched handoff in step with its last hour; return those raised.

    What is gone is resolved: as the figures are of an hour, it has been well for one. Most looks lock nothing.
    """
    handoff = watched().select_related("target__owner").filter(pk=handoff_id).first()
    if handoff is None or _wrong(handoff).keys() == standing(handoff, KIND).keys():
        return []
    return _settle(actor=actor, handoff_id=handoff_id)


@act
def _settle(*, actor: Worker, handoff_id: UUID | str) -> list[Finding]:
    locked = Handoff.objects.select_for_update(of=("self",)).select_related("target__owner")
    handoff = locked.get(pk=handoff_id)
    return reconcile(handoff, KIND, _wrong(handoff), actor=actor)


def _wrong(handoff: Handoff) -> dict[str, Wrong]:
    """Return the limits that are broken, with whoever answers for the environment; none of what is not live."""
    live = Watch.objects.select_related("deployment")
    watch = live.filter(deployment__handoff=handoff, deployment__state=DeploymentState.LIVE).first()
    if watch is None:
        return {}
    stopped = suspension_of(watch.deployment) is not None
    found = broken(rules_of(handoff).monitoring, figures_of(watch), timezone.now(), stopped=stopped)
    owner = handoff.target.owner if handoff.target.owner.is_active else None
    told = {"environment": handoff.target.slug}
    return {
        f"monitoring:{key}": Wrong(sentence, SEVERITIES.get(key, "medium"), owner, False, {**told, "limit": key})
        for key, sentence in found.items()
    }
