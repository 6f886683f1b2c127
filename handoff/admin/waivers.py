"""Waivers in the admin: to read. They are asked for and answered on the page of their handoff."""

from django.contrib import admin

from audit.admin_columns import person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Waiver


@admin.register(Waiver)
class WaiverAdmin(OfHandoff):
    """Exceptions to one requirement of one handoff, until a day."""

    list_display = ("requirement", "handoff", state("kind"), "state", person("asked_by"), "until")
    list_filter = ("kind", "answer", seen("handoff__model"))
    list_select_related = ("handoff__model", "asked_by")
    search_fields = (*OfHandoff.search_fields, "requirement", "reason")
    date_hierarchy = "asked_at"
    ordering = ("-asked_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", state("kind"), "requirement", text("reason"), text("control"), "until")}),
        ("Request", {"fields": (person("asked_by"), "asked_at")}),
        ("Answer", {"fields": (state("answer"), person("answered_by"), "answered_at", text("comment"))}),
        ("Revocation", {"fields": (person("revoked_by"), "revoked_at", text("revocation"))}),
    )
