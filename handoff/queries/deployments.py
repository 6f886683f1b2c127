"""Read deployments: what is live now, what was, and who answered for it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.models import Deployment, OwnerOfRecord

RELATED = ("model", "version", "environment", "handoff", "rollback_of__version")


def listed(user: Account, **filters: Any) -> QuerySet[Deployment]:
    """Return the deployments an account may know of; filters are state, model and environment."""
    found = Deployment.objects.filter(handoff__in=handoffs_visible_to(user)).select_related(*RELATED)
    if filters.get("state"):
        found = found.filter(state=filters["state"])
    if filters.get("model"):
        found = found.filter(model__slug=filters["model"])
    if filters.get("environment"):
        found = found.filter(environment__slug=filters["environment"])
    return found.order_by("-ordered_at", "pk")


def fetch(user: Account, deployment_id: UUID | str) -> Deployment:
    """Return one deployment that an account may know of. Raises Hidden."""
    found = listed(user).filter(pk=deployment_id).first()
    if found is None:
        raise Hidden("There is no such deployment.")
    return found


def owner_on(user: Account, model: str, environment: str, moment: datetime) -> OwnerOfRecord | None:
    """Return who answered for a model in an environment at a moment; None before it was first live, or unseen."""
    return (
        OwnerOfRecord.objects.select_related("person", "organisation")
        .filter(deployment__handoff__in=handoffs_visible_to(user))
        .filter(model__slug=model, environment__slug=environment, period__contains=moment)
        .first()
    )
