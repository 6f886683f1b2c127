"""Runs of batches in the admin: to read. They are ordered and stopped on the page of their deployment."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import folded, person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Run


@admin.register(Run)
class RunAdmin(OfHandoff):
    """What a batch did, run by run."""

    handoff = "deployment__handoff"
    list_display = (
        "deployment", "number", state("state"), "cause", "due_at", person("asked_by"), "began_at", "ended_at",
    )  # fmt: skip
    list_filter = ("state", "cause", seen("deployment__environment"), seen("deployment__model"))
    list_select_related = (
        "deployment__handoff__model", "deployment__version__model", "deployment__environment", "asked_by", "stopped_by",
    )  # fmt: skip
    search_fields = ("deployment__model__name", "deployment__model__slug")
    date_hierarchy = "ordered_at"
    ordering = ("-ordered_at", "-pk")
    fieldsets = (
        (None, {"fields": ("deployment", "number", state("state"), text("why"))}),
        ("Cause", {"fields": ("cause", "due_at", "missed", person("asked_by"), text("reason"))}),
        ("Order", {"fields": ("order", "again", "job", "stop_job", person("stopped_by"))}),
        ("What happened", {"fields": ("ordered_at", "began_at", "ended_at", folded("counts", "counts"))}),
    )

    def links(self, request: HttpRequest, record: Run) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("deployment-one-run", args=[record.deployment_id, record.number]))]
