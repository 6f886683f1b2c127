"""Environments in the admin: created, and changed where they are flexible."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import person, state
from audit.admin_doors import SEEN, ActForm, Configuration, is_administrator
from audit.models import Account
from models_registry.access import environments_visible_to
from models_registry.models import Environment
from models_registry.rules import import_policies, strict_yaml
from models_registry.services import environments

JSON = {"rows": 8, "cols": 60, "spellcheck": "false", "class": "m-code"}


class PersonField(forms.ModelChoiceField):
    """A choice of people, by their printed names."""

    def label_from_instance(self, account: Any) -> str:
        """Return a name that tells two people of the same name apart."""
        return f"{account.printed_name} ({account.username})"


class ReadableJSON(forms.JSONField):
    """JSON that a person writes: shown over several lines; an empty box is an empty mapping."""

    def prepare_value(self, value: Any) -> Any:
        """Return what stands in the box: what was typed, as it was typed."""
        if isinstance(value, InvalidJSONInput | str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        """Return the mapping."""
        found = super().to_python(value)
        return {} if found is None else found


LONGEST_POLICY = 262_144


class ReadableYAML(forms.CharField):
    """An import policy as a person writes it; an empty box is an empty mapping. JSON is YAML, too."""

    widget = forms.Textarea(attrs={**JSON, "rows": 18})

    def prepare_value(self, value: Any) -> Any:
        """Return what stands in the box: what was typed, as it was typed."""
        return value if isinstance(value, str) else import_policies.text_of(value)

    def to_python(self, value: Any) -> Any:
        """Return the plain data; how long it may be is a matter of the text, and not of what it means."""
        text = super().to_python(value) or ""
        if len(text) > LONGEST_POLICY:
            raise forms.ValidationError(f"An import policy has {LONGEST_POLICY:,} characters at most.")
        try:
            found = strict_yaml.plain_from(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)[:1000]) from error
        return {} if found is None else found

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Tell whether the data changed; how it is laid out is nobody's change."""
        try:
            return bool(self.to_python(data) != (initial or {}))
        except forms.ValidationError:
            return True


class EnvironmentForm(ActForm):
    """Create an environment, or change what is flexible about it."""

    FIXED = ("slug", "kind", "organisation")

    owner = PersonField(
        Account.objects.filter(is_active=True, kind=Account.Kind.PERSON).order_by("first_name", "last_name"),
        help_text="The person who answers for it.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    packages = ReadableJSON(
        required=False, widget=forms.Textarea(attrs=JSON), help_text='Installed libraries: {"numpy": "2.4.6"}.'
    )
    import_policy = ReadableYAML(
        required=False,
        help_text="YAML: default, rules (answer, versions, reason), licences, install. See docs/environments.md.",
    )

    class Meta:
        model = Environment
        fields = (
            "name",
            "slug",
            "kind",
            "organisation",
            "purpose",
            "python",
            "hardware",
            "systems",
            "requirements",
            "engine",
        )
        labels = {"slug": "Short name", "python": "Python"}
        help_texts = {"slug": "In addresses and in the API; it never changes."}
        widgets = dict.fromkeys(("purpose", "systems", "requirements"), forms.Textarea(attrs={"rows": 3, "cols": 60}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial[SEEN] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Create it, or change it if nobody else has meanwhile."""
        given = {**values, "owner": values["owner"].username}
        revision = given.pop(SEEN, None)
        if self.instance._state.adding:
            return environments.create(actor=self.actor, **{**given, "organisation": given["organisation"].slug})
        changes = {name: given[name] for name in self.changed_data if name in given}
        if not changes:
            return self.instance
        return environments.change(actor=self.actor, slug=self.instance.slug, revision=revision, **changes)


@admin.register(Environment)
class EnvironmentAdmin(Configuration):
    """Places where models run."""

    form = EnvironmentForm
    list_display = ("name", state("kind"), "organisation", person("owner"), "python", "engine", "slug")
    list_filter = ("kind", "organisation")
    list_select_related = ("organisation", "owner")
    search_fields = ("name", "slug", "purpose")
    fieldsets = (
        (None, {"fields": ("name", "slug", "kind", "organisation", "owner", "purpose")}),
        ("What runs there", {"fields": ("python", "packages", "hardware", "systems", "engine")}),
        ("What it asks for", {"fields": ("requirements",)}),
        ("Rules for libraries", {"fields": ("import_policy",)}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators change what is flexible."""
        return is_administrator(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is fixed once an environment is there."""
        return EnvironmentForm.FIXED if obj else ()

    def chain_of(self, record: Environment) -> str:
        """Return the chain of its own."""
        return f"environment:{record.pk}"

    def links(self, request: HttpRequest, record: Environment) -> list[tuple[str, str]]:
        """Return its page, for whoever may see that, and where roles on it are granted."""
        grant = reverse("admin:models_registry_environmentusergrant_add")
        found = [("Grant a role on it", f"{grant}?thing={record.pk}")]
        assert isinstance(request.user, Account)
        if environments_visible_to(request.user).filter(pk=record.pk).exists():
            found.append(("Open its page", reverse("environment", args=[record.slug])))
        return found
