"""What the page of one handoff shows beside its view: acknowledgements, deployments, and the work under way."""

from uuid import UUID

from django.db.models import Prefetch

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.in_force import with_suspension
from handoff.models import Acknowledgement, Answer, Deployment, Evidence, Handoff, Job

WITH_EVIDENCE = Prefetch("evidence", Evidence.objects.select_related("test", "other"))


def acknowledgements_of(handoff: Handoff) -> list[Acknowledgement]:
    """Return who acknowledged which difference."""
    return list(handoff.acknowledgements.select_related("acknowledged_by").order_by("pk"))


def deployments_of(handoff: Handoff) -> list[Deployment]:
    """Return the deployments of a handoff, the newest first."""
    found = with_suspension(handoff.deployments.select_related("version", "rollback_of__version"))
    return list(found.order_by("-ordered_at"))


def jobs_of(handoff_id: UUID | str) -> list[Job]:
    """Return the background work of a handoff, with its results.

    A page that follows work reads it before the handoff: work that ends between the two is then followed once more, and
    never shown as ended beside the state that it has just changed, which nobody would follow any further.
    """
    return list(Job.objects.filter(handoff__pk=handoff_id).select_related("result").order_by("queued_at", "purpose"))


def evidence_file(user: Account, handoff_id: UUID, evidence_id: int) -> Evidence:
    """Return evidence that is a file, of a handoff that an account may know of. Raises Hidden."""
    found = Evidence.objects.filter(
        pk=evidence_id,
        kind=Evidence.Kind.FILE,
        answer__handoff=handoff_id,
        answer__handoff__in=handoffs_visible_to(user),
    ).first()
    if found is None:
        raise Hidden("There is no such file.")
    return found


def answers_of(handoff: Handoff) -> dict[str, Answer]:
    """Return the latest answer to each item, with its evidence."""
    rows = handoff.answers.select_related("answered_by").prefetch_related(WITH_EVIDENCE).order_by("pk")
    return {answer.item: answer for answer in rows}
