"""Who answered for environments, in the admin: to read. An owner is named on the environment itself."""

from datetime import datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import person, seen
from audit.admin_doors import Records
from audit.models import Account
from models_registry.access import environments_visible_to
from models_registry.models import EnvironmentOwner


@admin.register(EnvironmentOwner)
class EnvironmentOwnerAdmin(Records):
    """Who answered for an environment, from when until when."""

    list_display = ("environment", person("person"), "since", "until")
    list_filter = (seen("environment"),)
    list_select_related = ("environment", "person")
    search_fields = ("environment__slug", "environment__name", "person__username")
    ordering = ("-period", "pk")
    fieldsets = ((None, {"fields": ("environment", person("person"), "since", "until")}),)

    def visible_to(self, user: Account) -> QuerySet[EnvironmentOwner]:
        """Return the owners of the environments that an account may read."""
        return EnvironmentOwner.objects.filter(environment__in=environments_visible_to(user))

    def chain_of(self, record: EnvironmentOwner) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.environment_id}"

    def links(self, request: HttpRequest, record: EnvironmentOwner) -> list[tuple[str, str]]:
        """Return its environment's page."""
        return [("Open its environment's page", reverse("environment", args=[record.environment.slug]))]

    @admin.display(description="Since", ordering="period")
    def since(self, record: EnvironmentOwner) -> datetime | None:
        """Return from when on."""
        return record.period.lower

    @admin.display(description="Until", empty_value="today")
    def until(self, record: EnvironmentOwner) -> datetime | None:
        """Return until when."""
        return record.period.upper
