"""Go on with releases that waited for nothing but a deployment window, or for the end of a freeze."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.actors import Worker
from audit.acts import act
from handoff import queue
from handoff.asking import asked_anew
from handoff.decisions import judge, keep
from handoff.models import Handoff
from handoff.outcomes import WAITING, release
from handoff.readiness import looked_again
from handoff.rules.gates import TIMED
from handoff.states import State


def waiting() -> QuerySet[Handoff]:
    """Return the handoffs that are ready and whose policy has a window or a freeze."""
    timed = Q(policy__has_key="windows") | Q(policy__has_key="freezes")
    return Handoff.objects.filter(timed, state=State.READY, expires_at__gt=timezone.now()).order_by("pk")


@act
def go_on(*, actor: Worker, handoff_id: UUID | str) -> Handoff | None:
    """Open the release gate of a handoff whose time has come; None if it waits for anything else.

    It goes on by itself only if the last decision on the gate found it shut by nothing but the clock. What failed for
    another reason waits for IT operations to deploy again.
    """
    locked = waiting().select_for_update(of=("self",)).select_related("model", "version", "source", "target")
    handoff = locked.filter(pk=handoff_id).first()
    if handoff is None or not _waited_for_its_time(handoff):
        return None
    if handoff.jobs.filter(task=queue.DEPLOY, state__in=WAITING).exists() or not judge(handoff, "release").open:
        return None
    known = looked_again(handoff, asked_anew(handoff, actor=actor))
    result = judge(handoff, "release", known)
    if not result.open:
        return None
    keep(handoff, result, known.hurried, actor=actor)
    release(handoff, result, actor=actor, because="the deployment window opened")
    return handoff


def _waited_for_its_time(handoff: Handoff) -> bool:
    """Tell whether the clock alone shut the release gate when it was last decided on."""
    last = handoff.decisions.filter(gate="release").order_by("-pk").first()
    if last is None or last.opened or last.result["refused"]:
        return False
    return all(r["met"] or not r.get("needed", True) or r["kind"] in TIMED for r in last.result["requirements"])
