"""Duties and the RACI matrix in the admin: a text is published as the next revision, and never changes from then on."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from audit.admin_columns import digest, person, text
from audit.admin_doors import ActForm, Configuration
from models_registry.duties import current_duties
from models_registry.models import DutyRevision, RaciRevision
from models_registry.roles import Role
from models_registry.rules import strict_yaml
from models_registry.rules.raci import USUAL
from models_registry.services import duties


class DutyForm(ActForm):
    """Publish what a role answers for."""

    role = forms.ChoiceField(choices=Role.choices)
    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 10, "cols": 100}),
        help_text="One responsibility a line, as its holder would say it. Whoever holds the role must acknowledge it.",
    )
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="What changed, and why.")

    class Meta:
        model = DutyRevision
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Publish it."""
        return duties.publish(actor=self.actor, **{name: values[name] for name in ("role", "text", "reason")})


@admin.register(DutyRevision)
class DutyRevisionAdmin(Configuration):
    """What roles answer for. A published revision never changes; a correction is the next one."""

    form = DutyForm
    list_display = ("__str__", "role", "number", person("published_by"), "published_at")
    list_filter = ("role",)
    list_select_related = ("published_by",)
    ordering = ("-published_at", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the text to write, or what was published."""
        if obj is None:
            return [(None, {"fields": ("role", "text", "reason")})]
        return [
            (None, {"fields": ("role", "number", person("published_by"), "published_at", "reason")}),
            ("What was published", {"fields": (digest("digest", whole=True), text("text", "Duty"))}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Start from what the role answers for now, if one is named."""
        role = request.GET.get("role", "")
        return {"role": role, "text": current_duties()[Role(role)].text} if role in Role.values else {}


class RaciForm(ActForm):
    """Publish the RACI matrix, as YAML."""

    source = forms.CharField(
        strip=False,
        label="Matrix, as YAML",
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false", "class": "m-code"}),
        help_text="Exactly one role is accountable for each activity in each kind of environment.",
    )
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="What changed, and why.")

    class Meta:
        model = RaciRevision
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Publish it."""
        source = values["source"].replace("\r\n", "\n")
        return duties.publish_raci(actor=self.actor, source=source, reason=values["reason"])


@admin.register(RaciRevision)
class RaciRevisionAdmin(Configuration):
    """Who is responsible, accountable, consulted and informed. A published revision never changes."""

    form = RaciForm
    list_display = ("__str__", person("published_by"), "published_at")
    list_select_related = ("published_by",)
    ordering = ("-number",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the text to write, or what was published."""
        if obj is None:
            return [(None, {"fields": ("source", "reason")})]
        return [
            (None, {"fields": ("number", person("published_by"), "published_at", "reason")}),
            ("What was published", {"fields": (text("source", "YAML", code=True),)}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Start from the newest matrix."""
        newest = RaciRevision.objects.order_by("-number").first()
        return {"source": newest.source if newest else strict_yaml.text_of(USUAL)}
