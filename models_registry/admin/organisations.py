"""Organisations in the admin: created there, and fixed from then on."""

from typing import Any

from django.contrib import admin
from django.db.models import Model

from audit.admin_doors import ActForm, Configuration
from models_registry.models import Organisation
from models_registry.services import organisations


class OrganisationForm(ActForm):
    """Create an organisation."""

    class Meta:
        model = Organisation
        fields = ("name", "slug")
        labels = {"slug": "Short name"}
        help_texts = {"slug": "In addresses and in the API; it never changes."}

    def act(self, values: dict[str, Any]) -> Model:
        """Create it."""
        return organisations.create(actor=self.actor, slug=values["slug"], name=values["name"])


@admin.register(Organisation)
class OrganisationAdmin(Configuration):
    """Parties that answer for environments."""

    form = OrganisationForm
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    ordering = ("name",)
    prepopulated_fields = {"slug": ("name",)}

    def get_prepopulated_fields(self, request: Any, obj: Any = None) -> Any:
        """Return none for one that is there: its short name is fixed."""
        return {} if obj else self.prepopulated_fields
