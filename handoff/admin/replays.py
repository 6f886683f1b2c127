"""Contract replays in the admin: to read. They are ordered on the page of their handoff."""

from django.contrib import admin

from audit.admin_columns import digest, folded, person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Replay


@admin.register(Replay)
class ReplayAdmin(OfHandoff):
    """Whether the same records came out of two sources."""

    list_display = ("handoff", "number", "compared", state("outcome"), person("ordered_by"), "ordered_at", "ended_at")
    list_filter = ("outcome", seen("handoff__model"))
    list_select_related = ("handoff__model", "ordered_by")
    date_hierarchy = "ordered_at"
    ordering = ("-ordered_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", "number", state("outcome"), text("error"))}),
        ("What was compared", {"fields": ("creation", "production", "keys", "tolerances", "output_tolerances")}),
        ("Version", {"fields": (digest("version_digest", whole=True),)}),
        ("Who and when", {"fields": (person("ordered_by"), "ordered_at", "ended_at")}),
        ("Report", {"fields": (folded("report", "report"),)}),
    )
