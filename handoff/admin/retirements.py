"""Retirements in the admin: to read, and to cancel. They are planned on the page of their deployment."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import person, seen, state, text
from audit.models import Account
from handoff.admin.records import OfHandoff, holds
from handoff.models import Retirement
from handoff.services import retirements
from models_registry.roles import Role


def _cancel(actor: Person, retirement: Retirement, reason: str) -> object:
    return retirements.cancel(actor=actor, deployment_id=retirement.deployment_id, reason=reason)


def _offered(user: Account, retirement: Retirement | None) -> bool:
    if retirement is None:
        return holds(user, Role.IT_OPERATIONS, None)
    return retirement.ended_at is None and holds(user, Role.IT_OPERATIONS, retirement.deployment.handoff)


CANCEL = Act(
    name="cancel",
    title="Cancel the retirement",
    does="What was to be retired stays live, until somebody plans it anew.",
    run=_cancel,
    offered=_offered,
)


@admin.register(Retirement)
class RetirementAdmin(OfHandoff):
    """What is retired when, and why."""

    acts = (CANCEL,)
    handoff = "deployment__handoff"
    list_display = ("deployment", person("planned_by"), "planned_at", "due_at", state("ending"), "ended_at", "ended_by")
    list_filter = ("ending", seen("deployment__model"), seen("deployment__environment"))
    list_select_related = (
        "deployment__handoff__model", "deployment__version__model", "deployment__environment", "planned_by",
    )  # fmt: skip
    search_fields = ("deployment__model__name", "deployment__model__slug", "reason")
    date_hierarchy = "planned_at"
    ordering = ("-planned_at", "pk")
    fieldsets = (
        (None, {"fields": ("deployment", person("planned_by"), text("reason"), "planned_at", "due_at")}),
        ("How it ended", {"fields": (state("ending"), "ended_at", "ended_by", text("because"))}),
    )

    def links(self, request: HttpRequest, record: Retirement) -> list[tuple[str, str]]:
        """Return the page on which it was planned."""
        return [("Open its page", reverse("deployment-retire", args=[record.deployment_id]))]
