"""Registered models in the admin: their description is changed by those who may change it everywhere."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from audit.admin_columns import person, state
from audit.admin_doors import SEEN, ActForm, Configuration, is_administrator
from audit.models import Account
from models_registry.access import models_visible_to, roles_on
from models_registry.models import RegisteredModel
from models_registry.queries import holdings
from models_registry.roles import Role
from models_registry.services import registered_models


class RegisteredModelForm(ActForm):
    """Change how a model is described."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = RegisteredModel
        fields = ("name", "purpose", "owner_team", "model_type", "risk_tier")
        widgets = {"purpose": forms.Textarea(attrs={"rows": 3, "cols": 60})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial[SEEN] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Change it if nobody else has meanwhile."""
        changes = {name: values[name] for name in self.changed_data if name != SEEN}
        if not changes:
            return self.instance
        revision = values.get(SEEN)
        return registered_models.change(actor=self.actor, slug=self.instance.slug, revision=revision, **changes)


@admin.register(RegisteredModel)
class RegisteredModelAdmin(Configuration):
    """Business assets. Data scientists register them on the site; those of a model change how it is described."""

    form = RegisteredModelForm
    list_display = ("name", state("risk_tier"), "model_type", "owner_team", person("created_by"), "created_at", "slug")
    list_filter = ("risk_tier", "model_type")
    list_select_related = ("created_by",)
    search_fields = ("name", "slug", "owner_team", "purpose")
    date_hierarchy = "created_at"
    readonly_fields = ("slug", person("created_by"), "created_at", "destined", "held")
    fieldsets = (
        (None, {"fields": ("name", "slug", "purpose", "owner_team", "model_type", "risk_tier")}),
        ("People and places", {"fields": ("held", "destined", readonly_fields[1], "created_at")}),
    )

    def visible_to(self, user: Account) -> QuerySet[RegisteredModel]:
        """Return the models that an account may read."""
        return models_visible_to(user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: whoever registers a model becomes its data scientist, and does it on the site."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let the model's data scientists change it, as everywhere."""
        if not is_administrator(request) or not isinstance(obj, RegisteredModel):
            return False
        assert isinstance(request.user, Account)
        return Role.DATA_SCIENTIST in roles_on(request.user, model=obj)

    def chain_of(self, record: RegisteredModel) -> str:
        """Return the chain of its own."""
        return f"model:{record.pk}"

    def links(self, request: HttpRequest, record: RegisteredModel) -> list[tuple[str, str]]:
        """Return its page, its versions, and where roles on it are granted."""
        versions = reverse("admin:models_registry_modelversion_changelist")
        grant = reverse("admin:models_registry_registeredmodelusergrant_add")
        return [
            ("Versions", f"{versions}?model__id__exact={record.pk}"),
            ("Grant a role on it", f"{grant}?thing={record.pk}"),
            ("Open its page", reverse("model", args=[record.slug])),
        ]

    @admin.display(description="Roles")
    def held(self, record: RegisteredModel) -> SafeString | str:
        """Return who holds which role on it."""
        rows = [(str(one.title), one.name) for one in holdings(record)]
        return format_html_join("", "<div>{}: {}</div>", rows) if rows else "nobody holds one"

    @admin.display(description="Meant for")
    def destined(self, record: RegisteredModel) -> str:
        """Return the environments it is handed to."""
        return ", ".join(place.name for place in record.destinations.all()) or "–"
