"""Read deployments: what is live now, and what was."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.models import Account
from audit.planning import RowsByKey
from handoff.access import handoffs_visible_to, owned_by
from handoff.emergencies import with_mark
from handoff.errors import Hidden
from handoff.in_force import with_bindings, with_suspension
from handoff.models import Deployment
from models_registry.access import Held

RELATED = ("model", "version", "environment", "handoff", "rollback_of__version", "watch")


def shown(found: QuerySet[Deployment]) -> QuerySet[Any]:
    """Return deployments with all that a row of a list shows."""
    return with_suspension(with_bindings(with_mark(found, "handoff"))).select_related(*RELATED)


ROWS = RowsByKey(lambda: shown(Deployment.objects.all()), "uuid")


def listed(user: Account, held: Held | None = None, **filters: Any) -> QuerySet[Any]:
    """Return the deployments an account may know of, with bindings and since when they are suspended.

    Filters are state, model and environment. Owners see what is live under their responsibility, whatever their roles.
    """
    mine = Q(handoff__in=handoffs_visible_to(user, held)) | Q(pk__in=owned_by(user).values("pk"))
    found = shown(Deployment.objects.filter(mine))
    if filters.get("state"):
        found = found.filter(state=filters["state"])
    if filters.get("model"):
        found = found.filter(model__slug=filters["model"])
    if filters.get("environment"):
        found = found.filter(environment__slug=filters["environment"])
    return found.order_by("-ordered_at", "pk")


def fetch(user: Account, deployment_id: UUID | str) -> Any:
    """Return one deployment that an account may know of. Raises Hidden."""
    found = listed(user).filter(pk=deployment_id).first()
    if found is None:
        raise Hidden("There is no such deployment.")
    return found
