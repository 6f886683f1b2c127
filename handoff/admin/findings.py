"""Findings in the admin: to read. They are answered for on the page of their handoff, or of the reconciliation."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import digest, person, seen, state, text
from audit.models import Account
from audit.trail import subject_of
from handoff.access import handoffs_visible_to
from handoff.admin.records import OfHandoff
from handoff.models import Finding
from models_registry.access import environments_answered_for


@admin.register(Finding)
class FindingAdmin(OfHandoff):
    """What came in the way of an approval, found by workers or raised by people."""

    list_display = (
        "handoff",
        "environment",
        state("kind"),
        state("severity"),
        person("owner"),
        "raised_at",
        "due_at",
        state("closing"),
    )
    list_filter = ("kind", "severity", "closing", seen("handoff__model"), seen("environment"))
    list_select_related = ("handoff__model", "environment", "owner")
    date_hierarchy = "raised_at"
    ordering = ("-raised_at", "-pk")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "handoff",
                    "environment",
                    state("kind"),
                    state("severity"),
                    "suspends",
                    "items",
                    text("details"),
                )
            },
        ),
        ("People", {"fields": (person("raised_by"), person("owner"), "another_closes", "inherited_from")}),
        ("Times", {"fields": ("raised_at", "due_at", "closed_at")}),
        ("Answer", {"fields": (state("closing"), person("closed_by"), text("comment"))}),
        (
            "Evidence",
            {
                "fields": (
                    state("proof_kind"),
                    "proof_label",
                    "proof_link",
                    digest("proof_blob_id", whole=True),
                )
            },
        ),
    )

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return those of the handoffs that an account may read, and of the environments that it owns or works in."""
        own = Q(environment__in=environments_answered_for(user))
        return Finding.objects.filter(Q(handoff__in=handoffs_visible_to(user)) | own)

    def chain_of(self, record: Finding) -> str:
        """Return the chain of its handoff, or of its environment."""
        return subject_of(record.place)

    def links(self, request: HttpRequest, record: Finding) -> list[tuple[str, str]]:
        """Return the page on which it is answered for."""
        if record.handoff_id is None:
            return [("Open the reconciliation", f"{reverse('reconciliation')}#finding-{record.pk}")]
        return super().links(request, record)
