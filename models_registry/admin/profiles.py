"""Profiles in the admin: to read. They are captured where they are true, and reported over the API."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import digest, folded, person
from audit.admin_doors import Records
from audit.models import Account
from models_registry.access import environments_visible_to
from models_registry.models import EnvironmentProfile


@admin.register(EnvironmentProfile)
class EnvironmentProfileAdmin(Records):
    """What environments were found to be made of."""

    list_display = ("__str__", "environment", person("reported_by"), digest("digest"), "captured_at", "received_at")
    list_filter = ("environment",)
    list_select_related = ("environment", "reported_by")
    search_fields = ("environment__slug", "environment__name", "digest")
    date_hierarchy = "captured_at"
    ordering = ("-received_at", "-pk")
    fieldsets = (
        (None, {"fields": ("environment", "number", digest("digest", whole=True), folded("content"))}),
        ("Origin", {"fields": (person("reported_by"), "captured_at", "received_at")}),
    )

    def visible_to(self, user: Account) -> QuerySet[EnvironmentProfile]:
        """Return the profiles of the environments that an account may read."""
        return EnvironmentProfile.objects.filter(environment__in=environments_visible_to(user))

    def chain_of(self, record: EnvironmentProfile) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.environment_id}"

    def links(self, request: HttpRequest, record: EnvironmentProfile) -> list[tuple[str, str]]:
        """Return its environment's page."""
        return [("Open its environment's page", reverse("environment", args=[record.environment.slug]))]
