"""Standard changes in the admin: to read. They are computed as a version goes live."""

from django.contrib import admin

from audit.admin_columns import seen, state
from handoff.admin.records import OfHandoff
from handoff.models import StandardChange


@admin.register(StandardChange)
class StandardChangeAdmin(OfHandoff):
    """What went live with fewer signatures, and what that was compared with."""

    list_display = ("handoff", state("kind"), "number", "complete", "kept_at")
    list_filter = ("kind", "complete", seen("handoff__model"))
    list_select_related = ("handoff__model",)
    date_hierarchy = "kept_at"
    ordering = ("-kept_at", "pk")
    fieldsets = (
        (None, {"fields": ("handoff", state("kind"), "number", "complete", "kept_at")}),
        ("Why", {"fields": ("compared_with", "reviewed", "reasons")}),
    )
