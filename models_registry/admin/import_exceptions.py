"""Exceptions to import policies in the admin: to read. They are asked for and answered on their environment's pages."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import person, state, text
from audit.admin_doors import Records
from audit.models import Account
from models_registry.access import environments_visible_to
from models_registry.models import ImportException


@admin.register(ImportException)
class ImportExceptionAdmin(Records):
    """What was asked to be let in against an import policy, and the answers."""

    list_display = ("__str__", "environment", state("answer"), "until", person("asked_by"), "asked_at", "revoked_at")
    list_filter = ("environment", "answer")
    list_select_related = ("environment", "asked_by")
    search_fields = ("library", "version", "environment__slug", "environment__name")
    date_hierarchy = "asked_at"
    ordering = ("-asked_at", "-pk")
    fieldsets = (
        (None, {"fields": ("environment", "library", "version", "licence", text("reason"), text("measure"))}),
        ("Request", {"fields": (person("asked_by"), "asked_at")}),
        ("Answer", {"fields": (state("answer"), person("answered_by"), "answered_at", text("comment"), "until")}),
        ("Revocation", {"fields": (person("revoked_by"), "revoked_at", text("revocation"))}),
    )

    def visible_to(self, user: Account) -> QuerySet[ImportException]:
        """Return the exceptions in the environments that an account may read."""
        return ImportException.objects.filter(environment__in=environments_visible_to(user))

    def chain_of(self, record: ImportException) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.environment_id}"

    def links(self, request: HttpRequest, record: ImportException) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("exception", args=[record.environment.slug, record.pk]))]
