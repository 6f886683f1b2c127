"""Read retirements: those of a deployment, and what the owner of a consumer was told."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from audit.planning import Prepared
from handoff.models import Deployment, Retirement, RetirementNotice
from handoff.queries.deployments import fetch
from models_registry.access import accounts_behind


def retirements_of(deployment: Deployment) -> list[Retirement]:
    """Return the plans to retire a deployment, the newest first, each with whom it told."""
    return list(_of(deployment.pk)[:20])


def listed(user: Account, deployment_id: UUID | str) -> QuerySet[Retirement]:
    """Return the plans to retire a deployment that an account may know of. Raises Hidden."""
    return _of(fetch(user, deployment_id).pk)


def _of(deployment_id: UUID) -> QuerySet[Retirement]:
    found = Retirement.objects.filter(deployment=deployment_id).select_related("planned_by")
    return found.prefetch_related("notices__consumer", "notices__owner").order_by("-planned_at", "pk")


def notices_for(user: Account) -> QuerySet[RetirementNotice]:
    """Return what an account was told of retirements that stand, by the day."""
    return _told(user.natural_person_id)


def _told(person: Any) -> QuerySet[RetirementNotice]:
    found = RetirementNotice.objects.filter(owner__in=accounts_behind(person), retirement__ended_at=None)
    return found.select_related(
        "consumer__stream", "retirement__deployment__model", "retirement__deployment__environment"
    ).order_by("retirement__due_at", "pk")


NOTICES = Prepared(_told, "bigint")
