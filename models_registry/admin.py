"""The registry in the admin: organisations, environments and roles are configuration; versions are records."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from audit.actors import Person
from audit.admin_doors import ActForm, Configuration, Records, act_on_each, is_administrator, opened
from audit.models import Account
from models_registry.access import PREFIX, models_visible_to, roles_on
from models_registry.models import (
    Element,
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    ModelVersion,
    Organisation,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import DUTIES, Role
from models_registry.services import environments, organisations, registered_models, roles, versions


class OrganisationForm(ActForm):
    """Create an organisation."""

    class Meta:
        model = Organisation
        fields = ("name", "slug")

    def act(self, values: dict[str, Any]) -> Model:
        """Create it."""
        return organisations.create(actor=self.actor, slug=values["slug"], name=values["name"])


@admin.register(Organisation)
class OrganisationAdmin(Configuration):
    """Parties that answer for environments."""

    form = OrganisationForm
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return none for one that is there: its short name is fixed."""
        return {} if obj else self.prepopulated_fields


class EnvironmentForm(ActForm):
    """Create an environment, or change what is flexible about it."""

    class Meta:
        model = Environment
        fields = (
            "name", "slug", "kind", "organisation", "owner", "purpose", "python", "packages", "hardware",
            "import_policy", "engine",
        )  # fmt: skip

    FIXED = ("slug", "kind", "organisation")

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "owner" in self.fields:
            self.fields["owner"].queryset = Account.objects.filter(  # type: ignore[attr-defined]
                is_active=True, kind=Account.Kind.PERSON
            )
        self.initial["seen"] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Create it, or change it if nobody else has meanwhile."""
        given = {**values, "owner": values["owner"].username}
        revision = given.pop("seen", None)
        if self.instance._state.adding:
            return environments.create(actor=self.actor, **{**given, "organisation": given["organisation"].slug})
        changes = {name: given[name] for name in self.changed_data if name in given}
        return environments.change(actor=self.actor, slug=self.instance.slug, revision=revision, **changes)


@admin.register(Environment)
class EnvironmentAdmin(Configuration):
    """Places where models run."""

    form = EnvironmentForm
    list_display = ("name", "slug", "kind", "organisation", "owner", "python", "engine")
    list_filter = ("kind", "organisation")
    list_select_related = ("organisation", "owner")
    search_fields = ("name", "slug", "purpose")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators change what is flexible."""
        return is_administrator(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is fixed once an environment is there."""
        return EnvironmentForm.FIXED if obj else ()


class RegisteredModelForm(ActForm):
    """Change how a model is described."""

    class Meta:
        model = RegisteredModel
        fields = ("name", "purpose", "owner_team", "risk_tier")

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["seen"] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Change it if nobody else has meanwhile."""
        changes = {name: values[name] for name in self.changed_data if name != "seen"}
        revision = values.get("seen")
        return registered_models.change(actor=self.actor, slug=self.instance.slug, revision=revision, **changes)


@admin.register(RegisteredModel)
class RegisteredModelAdmin(Configuration):
    """Business assets. Data scientists register them on the site; those of a model change how it is described."""

    form = RegisteredModelForm
    list_display = ("name", "slug", "risk_tier", "owner_team", "created_at", "page")
    list_filter = ("risk_tier",)
    search_fields = ("name", "slug", "owner_team", "purpose")
    readonly_fields = ("slug", "created_by", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: whoever registers a model becomes its data scientist, and does it on the site."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let the model's data scientists change it, as everywhere."""
        if not is_administrator(request) or not isinstance(obj, RegisteredModel):
            return False
        assert isinstance(request.user, Account)
        return Role.DATA_SCIENTIST in roles_on(request.user, model=obj)

    @admin.display(description="Page")
    def page(self, model: RegisteredModel) -> SafeString:
        """Link to the model's page on the site."""
        return opened(reverse("model", args=[model.slug]))


class GrantForm(ActForm):
    """Grant a role. What it is held on, and by whom, differs by table; see `_register_grants`."""

    def act(self, values: dict[str, Any]) -> Model:
        """Grant it, and return the row that stands for it."""
        thing, holder = values["thing"], values["holder"]
        named = holder.username if isinstance(holder, Account) else f"group:{holder.name}"
        held_on = "model" if isinstance(thing, RegisteredModel) else "environment"
        roles.grant(actor=self.actor, role=values["role"], holder=named, **{held_on: thing.slug})
        who = {"user": holder} if isinstance(holder, Account) else {"group": holder}
        found: Model = self._meta.model.objects.get(
            content_object=thing, permission__codename=PREFIX + values["role"], **who
        )
        return found


class GrantAdmin(Configuration):
    """Roles held on one kind of thing by one kind of holder."""

    actions = ("take_away",)
    search_fields = ("content_object__name", "content_object__slug")
    list_filter = ("permission",)

    @admin.display(description="Role", ordering="permission__codename")
    def role(self, grant: Any) -> str:
        """Return the role's name."""
        return str(Role(grant.permission.codename.removeprefix(PREFIX)).label)

    @admin.action(description="Take the role away")
    def take_away(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        """Take roles away, each on record."""
        return act_on_each(
            self, request, chosen, action="take_away", title="Take roles away", verb="Take away", act=_take_away
        )


def _take_away(actor: Person, grant: Any, reason: str) -> object:
    holder = grant.user.username if hasattr(grant, "user") else f"group:{grant.group.name}"
    held_on = "model" if isinstance(grant.content_object, RegisteredModel) else "environment"
    role = grant.permission.codename.removeprefix(PREFIX)
    return roles.revoke(actor=actor, role=role, holder=holder, **{held_on: grant.content_object.slug})


def _register_grants(table: type[Model], things: QuerySet[Any], holders: QuerySet[Any]) -> None:
    """Register the roles that are kept in one table: on things of one kind, held by people or by groups."""
    held_on = "model" if things.model is RegisteredModel else "environment"
    here = [one for one in Role if DUTIES[one].held_on == held_on or one == Role.ADMINISTRATOR]

    class Form(GrantForm):
        thing = forms.ModelChoiceField(things, label=held_on.capitalize())
        role = forms.ChoiceField(choices=[(one.value, f"{one.label}: {DUTIES[one].sentence}") for one in here])
        holder = forms.ModelChoiceField(holders)

        class Meta:
            model = table
            fields = ()

    class Grants(GrantAdmin):
        form = Form
        fields = ("thing", "role", "holder")
        list_display = ("content_object", "role", "user" if holders.model is Account else "group")
        list_select_related = ("content_object", "permission", list_display[-1])

    admin.site.register(table, Grants)


_people = Account.objects.filter(is_active=True)
_register_grants(RegisteredModelUserGrant, RegisteredModel.objects.all(), _people)
_register_grants(RegisteredModelGroupGrant, RegisteredModel.objects.all(), Group.objects.all())
_register_grants(EnvironmentUserGrant, Environment.objects.all(), _people)
_register_grants(EnvironmentGroupGrant, Environment.objects.all(), Group.objects.all())


class Elements(admin.TabularInline):
    """What a version is made of."""

    model = Element
    fields = readonly_fields = ("name", "filename", "blob", "set_by", "set_at")
    extra = max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let whoever reads the version read these."""
        return is_administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no."""
        return False


@admin.register(ModelVersion)
class ModelVersionAdmin(Records):
    """Candidates, drafts and sealed ones."""

    list_display = ("__str__", "state", "format", "short_digest", "created_by", "created_at", "page")
    list_filter = ("state", "format", "model")
    list_select_related = ("model", "created_by")
    search_fields = ("model__name", "model__slug", "digest", "notes")
    date_hierarchy = "created_at"
    inlines = (Elements,)
    actions = ("discard",)

    def visible_to(self, user: Account) -> QuerySet[ModelVersion]:
        """Return the versions of the models that an account may read."""
        return ModelVersion.objects.filter(model__in=models_visible_to(user))

    @admin.display(description="Digest")
    def short_digest(self, version: ModelVersion) -> str:
        """Return the digest's beginning; a draft has none."""
        return version.digest[:12] if version.digest else "–"

    @admin.display(description="Page")
    def page(self, version: ModelVersion) -> SafeString:
        """Link to the version's page on the site."""
        return opened(reverse("version", args=[version.model.slug, version.number]))

    @admin.action(description="Discard drafts")
    def discard(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        """Discard drafts, each on record."""
        return act_on_each(
            self, request, chosen, action="discard", title="Discard drafts", verb="Discard", act=_discard
        )


def _discard(actor: Person, version: ModelVersion, reason: str) -> object:
    return versions.discard(actor=actor, model=version.model.slug, number=version.number, reason=reason)
