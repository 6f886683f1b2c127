"""What the page of one handoff shows beside its view: acknowledgements, deployments, and the work under way."""

from uuid import UUID

from django.db.models import Prefetch, prefetch_related_objects

from audit.models import Account
from audit.planning import Prepared
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.in_force import with_suspension
from handoff.models import Acknowledgement, Answer, Deployment, Evidence, Handoff, Job

WITH_EVIDENCE = Prefetch("evidence", Evidence.objects.select_related("test", "other"))
ACKNOWLEDGEMENTS = Prepared(
    lambda handoff: Acknowledgement.objects.filter(handoff=handoff).select_related("acknowledged_by").order_by("pk"),
    "uuid",
)
DEPLOYMENTS = Prepared(
    lambda handoff: (
        with_suspension(Deployment.objects.filter(handoff=handoff))
        .select_related("version", "rollback_of__version")
        .order_by("-ordered_at")
    ),
    "uuid",
)
JOBS = Prepared(
    lambda handoff: Job.objects.filter(handoff=handoff).select_related("result").order_by("queued_at", "purpose"),
    "uuid",
)
ANSWERS = Prepared(
    lambda handoff: Answer.objects.filter(handoff=handoff).select_related("answered_by").order_by("pk"),
    "uuid",
)


def acknowledgements_of(handoff: Handoff) -> list[Acknowledgement]:
    """Return who acknowledged which difference."""
    return ACKNOWLEDGEMENTS(handoff.pk)


def deployments_of(handoff: Handoff) -> list[Deployment]:
    """Return the deployments of a handoff, the newest first."""
    found = DEPLOYMENTS(handoff.pk)
    for one in found:
        one.handoff = handoff
    return found


def jobs_of(handoff_id: UUID | str) -> list[Job]:
    """Return the background work of a handoff, with its results.

    A page that follows work reads it before the handoff: work that ends between the two is then followed once more, and
    never shown as ended beside the state that it has just changed, which nobody would follow any further.
    """
    return JOBS(handoff_id)


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
    found = ANSWERS(handoff.pk)
    prefetch_related_objects(found, WITH_EVIDENCE)
    return {answer.item: answer for answer in found}
