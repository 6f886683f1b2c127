"""Findings in the admin: to read. They are answered for on the page of their handoff."""

from django.contrib import admin

from audit.admin_columns import digest, person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Finding


@admin.register(Finding)
class FindingAdmin(OfHandoff):
    """What came in the way of an approval, found by workers or raised by people."""

    list_display = (
        "handoff",
        state("kind"),
        state("severity"),
        person("owner"),
        "raised_at",
        "due_at",
        state("closing"),
    )
    list_filter = ("kind", "severity", "closing", seen("handoff__model"))
    list_select_related = ("handoff__model", "owner")
    date_hierarchy = "raised_at"
    ordering = ("-raised_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", state("kind"), state("severity"), "suspends", "items", text("details"))}),
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
