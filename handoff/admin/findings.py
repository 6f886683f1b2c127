"""Findings in the admin: to read. They are answered for on the page of their handoff."""

from django.contrib import admin

from audit.admin_columns import person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Finding


@admin.register(Finding)
class FindingAdmin(OfHandoff):
    """What came in the way of an approval after it was given."""

    list_display = ("handoff", state("severity"), "raised_at", "due_at", state("closing"), "closed_at")
    list_filter = ("severity", "closing", seen("handoff__model"))
    list_select_related = ("handoff__model",)
    date_hierarchy = "raised_at"
    ordering = ("-raised_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", state("severity"), "suspends", "items")}),
        ("Times", {"fields": ("raised_at", "due_at", "closed_at")}),
        ("Answer", {"fields": (state("closing"), person("closed_by"), text("comment"))}),
    )
