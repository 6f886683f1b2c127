"""Read suspensions: those of one deployment, for its page and the API."""

from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.models import Deployment, Suspension
from handoff.queries.deployments import fetch


def suspensions_of(deployment: Deployment) -> list[Suspension]:
    """Return the suspensions of a deployment, the newest first."""
    return list(_of(deployment.pk)[:20])


def listed(user: Account, deployment_id: UUID | str) -> QuerySet[Suspension]:
    """Return the suspensions of a deployment that an account may know of. Raises Hidden."""
    return _of(fetch(user, deployment_id).pk)


def _of(deployment_id: UUID) -> QuerySet[Suspension]:
    found = Suspension.objects.filter(deployment=deployment_id).select_related("suspended_by", "lifted_by", "finding")
    return found.order_by("-suspended_at", "pk")
