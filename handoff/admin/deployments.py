"""Deployments in the admin: what was ordered of engines, and what became of it; and who answered for it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, person, seen, state, text
from audit.models import Account
from handoff.access import STOPPERS, may_stop, owned_by
from handoff.admin.records import OfHandoff, holds
from handoff.models import Deployment, OwnerOfRecord
from handoff.services import deployments, suspensions
from handoff.states import DeploymentState
from models_registry.access import environments_held_by, models_held_by
from models_registry.roles import Role

STANDING = {DeploymentState.LIVE, DeploymentState.CONFIRMING}


def _roll_back(actor: Person, deployment: Deployment, reason: str) -> object:
    return deployments.roll_back(actor=actor, deployment_id=deployment.pk, reason=reason)


def _offered(user: Account, deployment: Deployment | None) -> bool:
    if deployment is None:
        return holds(user, Role.IT_OPERATIONS, None)
    return deployment.state in STANDING and holds(user, Role.IT_OPERATIONS, deployment.handoff)


ROLL_BACK = Act(
    name="roll_back",
    title="Roll back",
    does="A worker swaps back to the version that was live before. A canary ends, and its handoff is returned.",
    run=_roll_back,
    offered=_offered,
)


def _suspend(actor: Person, deployment: Deployment, reason: str) -> object:
    return suspensions.suspend(actor=actor, deployment_id=deployment.pk, reason=reason)


def _stoppable(user: Account, deployment: Deployment | None) -> bool:
    if deployment is None:
        return any(holds(user, role, None) for role in STOPPERS) or owned_by(user).exists()
    held = frozenset(role for role in STOPPERS if holds(user, role, deployment.handoff))
    return deployment.state == DeploymentState.LIVE and may_stop(user, deployment, held)


SUSPEND = Act(
    name="suspend",
    title="Stop it now",
    does="The engine scores nothing by this version any more, and its runs stop; that is lifted on its page.",
    run=_suspend,
    offered=_stoppable,
)


@admin.register(Deployment)
class DeploymentAdmin(OfHandoff):
    """What was ordered of engines, and what became of it."""

    acts = (ROLL_BACK, SUSPEND)
    list_display = (
        "model", "version_number", "environment", state("state"), "order", "ordered_by", "ordered_at", "live_at",
        "ended_at",
    )  # fmt: skip
    list_filter = ("state", seen("environment"), seen("model"))
    list_select_related = ("model", "version__model", "environment")
    search_fields = ("model__name", "model__slug", "digest")
    date_hierarchy = "ordered_at"
    ordering = ("-ordered_at", "pk")
    fieldsets = (
        (None, {"fields": (state("state"), "model", "version", "environment", "slot", "handoff", text("reason"))}),
        ("Order", {"fields": ("order", digest("digest", whole=True), "ordered_by", "rollback_of")}),
        ("What happened", {"fields": ("ordered_at", "live_at", "ended_at", folded("log", "steps"))}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        """Fetch what the names on a page are made of."""
        related = ("handoff__model", "handoff__target", "rollback_of__version__model", "rollback_of__environment")
        return super().get_queryset(request).select_related(*self.list_select_related, *related)

    def links(self, request: HttpRequest, record: Deployment) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("deployment", args=[record.pk]))]

    @admin.display(description="Version", ordering="version__number")
    def version_number(self, deployment: Deployment) -> str:
        """Return the version's number."""
        return f"v{deployment.version.number}"


@admin.register(OwnerOfRecord)
class OwnerOfRecordAdmin(OfHandoff):
    """Who answered for a model in an environment, from when until when."""

    handoff = "deployment__handoff"
    list_display = ("model", "environment", person("person"), "organisation", "since", "until")
    list_filter = (seen("environment"), seen("organisation"), seen("model"))
    list_select_related = (
        "model", "environment", "person", "organisation", "deployment__version__model", "deployment__environment",
        "deployment__handoff__model",
    )  # fmt: skip
    search_fields = ("model__name", "model__slug", "environment__name", "person__username")
    ordering = ("-period", "pk")
    fieldsets = (
        (None, {"fields": ("model", "environment", person("person"), "organisation")}),
        ("For how long", {"fields": ("since", "until", "deployment")}),
    )

    def visible_to(self, user: Account) -> QuerySet[OwnerOfRecord]:
        """Return the owners of what an account holds a role on."""
        return OwnerOfRecord.objects.filter(model__in=models_held_by(user)) | OwnerOfRecord.objects.filter(
            environment__in=environments_held_by(user)
        )

    @admin.display(description="Since", ordering="period")
    def since(self, record: Any) -> Any:
        """Return from when on."""
        return record.period.lower

    @admin.display(description="Until", empty_value="today")
    def until(self, record: Any) -> Any:
        """Return until when."""
        return record.period.upper
