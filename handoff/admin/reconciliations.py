"""Reconciliations in the admin: what each engine said last that it serves."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import folded, seen, text
from audit.admin_doors import Records
from audit.models import Account
from handoff.models import Reconciliation
from models_registry.access import environments_answered_for


@admin.register(Reconciliation)
class ReconciliationAdmin(Records):
    """The last look at each engine, and how it differs from what is approved."""

    list_display = ("environment", "asked_at", "answered_at", "silent_since", "differing")
    list_filter = (seen("environment"),)
    list_select_related = ("environment",)
    search_fields = ("environment__name", "environment__slug")
    ordering = ("environment__name",)
    fieldsets = (
        (None, {"fields": ("environment", "asked_at", "answered_at", "silent_since", text("error"))}),
        ("What it said", {"fields": (folded("differences"), folded("told"))}),
    )

    def visible_to(self, user: Account) -> QuerySet[Reconciliation]:
        """Return those of the environments that an account owns or holds a role on."""
        return Reconciliation.objects.filter(environment__in=environments_answered_for(user))

    def chain_of(self, record: Reconciliation) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.environment_id}"

    def links(self, request: HttpRequest, record: Reconciliation) -> list[tuple[str, str]]:
        """Return the page of all."""
        return [("Open the page", reverse("reconciliation"))]

    @admin.display(description="Differences")
    def differing(self, record: Reconciliation) -> int:
        """Return how many differences there are."""
        return len(record.differences)
