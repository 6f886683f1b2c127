"""Adoptions of policies in the admin: to read. They are signed on the page of their handoff."""

from django.contrib import admin

from audit.admin_columns import digest, folded, person, seen, text
from handoff.admin.records import OfHandoff
from handoff.models import Adoption


@admin.register(Adoption)
class AdoptionAdmin(OfHandoff):
    """Who let a handoff adopt other policies, and what it had before."""

    list_display = ("handoff", "role", person("adopted_by"), "adopted_at", digest("to_digest"))
    list_filter = ("role", seen("handoff__model"))
    list_select_related = ("handoff__model", "adopted_by")
    date_hierarchy = "adopted_at"
    ordering = ("-adopted_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", text("reason"))}),
        ("What changed", {"fields": (digest("from_digest", whole=True), digest("to_digest", whole=True))}),
        ("Who and when", {"fields": ("printed_name", "role", person("adopted_by"), "adopted_at")}),
        ("Statement", {"fields": (digest("statement_digest", whole=True), folded("statement", "statement"))}),
        ("Before", {"fields": (folded("before", "what was frozen before"),)}),
    )
