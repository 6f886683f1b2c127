"""Suspensions in the admin: to read. What is live is suspended from the list of deployments, and lifted on its page."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Suspension


@admin.register(Suspension)
class SuspensionAdmin(OfHandoff):
    """What was stopped, by whom and why, and how that ended."""

    handoff = "deployment__handoff"
    list_display = (
        "deployment", person("suspended_by"), "suspended_at", "stopped_at", state("ending"), "ended_at",
        person("lifted_by"),
    )  # fmt: skip
    list_filter = ("ending", seen("deployment__model"), seen("deployment__environment"))
    list_select_related = (
        "deployment__handoff__model", "deployment__version__model", "deployment__environment", "suspended_by",
        "lifted_by",
    )  # fmt: skip
    search_fields = ("deployment__model__name", "deployment__model__slug", "reason")
    date_hierarchy = "suspended_at"
    ordering = ("-suspended_at", "pk")
    fieldsets = (
        (None, {"fields": ("deployment", person("suspended_by"), "finding", text("reason"), "suspended_at")}),
        ("At the engine", {"fields": ("order", "stopped_at", text("error"), "lift_order", "resumed_at")}),
        ("How it ended", {"fields": (state("ending"), "ended_at", person("lifted_by"), text("lift_reason"))}),
    )

    def links(self, request: HttpRequest, record: Suspension) -> list[tuple[str, str]]:
        """Return the page of what was stopped."""
        return [("Open the deployment's page", reverse("deployment", args=[record.deployment_id]))]
