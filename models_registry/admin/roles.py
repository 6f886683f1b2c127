"""Who holds which role, in the admin: granted by a form, taken away by an act. Nobody grants one to themselves."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import seen
from audit.admin_doors import ActForm, Configuration
from audit.models import Account
from models_registry.access import PREFIX
from models_registry.admin.environments import PersonField
from models_registry.models import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    Organisation,
    OrganisationGroupGrant,
    OrganisationUserGrant,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import DUTIES, Role
from models_registry.services import roles

DAY = forms.DateInput(attrs={"type": "date"})


def _label(codename: str) -> str:
    return str(Role(codename.removeprefix(PREFIX)).label)


def _kind(thing: object) -> str:
    """Return what a thing is called where a role is granted on it."""
    return next(name for name, (table, *_) in roles.KINDS.items() if isinstance(thing, table))


def _holder(grant: Any) -> Account | Group:
    holder: Account | Group = grant.user if hasattr(grant, "user") else grant.group
    return holder


def _named(holder: Account | Group) -> str:
    """Return a holder as the service knows it."""
    return holder.username if isinstance(holder, Account) else f"group:{holder.name}"


def _take_away(actor: Person, grant: Any, reason: str) -> object:
    thing = grant.content_object
    role, holder = grant.permission.codename.removeprefix(PREFIX), _named(_holder(grant))
    return roles.revoke(actor=actor, role=role, holder=holder, **{_kind(thing): thing.slug})


TAKE_AWAY = Act(
    name="take_away",
    title="Take the role away",
    does="What was signed in this role stays on record, and counts only as long as the role is held.",
    run=_take_away,
    offered=lambda user, grant: user.is_staff and (grant is None or grant.state_at(timezone.now()) != "ended"),
    reason=False,
)


class GrantForm(ActForm):
    """Grant a role. What it is held on, and by whom, differs by table; see `_register`."""

    def act(self, values: dict[str, Any]) -> Model:
        """Grant it, and return the row that stands for it."""
        thing, holder = values["thing"], values["holder"]
        days = {"starts": values["starts"], "ends": values["ends"]}
        who = {"role": values["role"], "holder": _named(holder)}
        granted: Model = roles.grant(actor=self.actor, **who, **days, **{_kind(thing): thing.slug})
        return granted


class RoleFilter(admin.SimpleListFilter):
    """Narrow by role."""

    title = "role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the roles that are held on this kind of thing."""
        return [(one.value, str(one.label)) for one in model_admin.here]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the grants of the role that was chosen."""
        chosen = self.value()
        return queryset.filter(permission__codename=f"{PREFIX}{chosen}") if chosen in Role.values else queryset


class GrantAdmin(Configuration):
    """Roles held on one kind of thing by one kind of holder."""

    here: tuple[Role, ...] = ()
    acts = (TAKE_AWAY,)
    ordering = ("content_object__name", "permission__codename")
    list_filter = (RoleFilter, seen("content_object"))
    list_display = ("role", "who", "content_object", "starts_at", "ends_at")
    readonly = ("content_object", "role", "who", "duty", "starts_at", "ends_at")

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return every grant of a role: administrators of the site keep them all."""
        return super().visible_to(user).filter(permission__codename__startswith=PREFIX)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's fields for a new one, and words for one that is there."""
        return [(None, {"fields": self.readonly if obj else ("thing", "role", "holder", "starts", "ends")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return everything, once it is granted: it is taken away, not changed."""
        return self.readonly if obj else ()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Title the page by words."""
        grant = kwargs.get("obj")
        if grant is not None:
            context["subtitle"] = f"{self.role(grant)}: {self.who(grant)} on {grant.content_object}"
        return super().render_change_form(request, context, *args, **kwargs)

    def chain_of(self, record: Any) -> str:
        """Return the chain of what the role is held on."""
        kind = _kind(record.content_object)
        return "site" if kind == "organisation" else f"{kind}:{record.content_object_id}"

    @admin.display(description="Role", ordering="permission__codename")
    def role(self, grant: Any) -> str:
        """Return the role's name."""
        return _label(grant.permission.codename)

    @admin.display(description="What it answers for")
    def duty(self, grant: Any) -> str:
        """Return the role's responsibility."""
        return DUTIES[Role(grant.permission.codename.removeprefix(PREFIX))].sentence

    @admin.display(description="Held by")
    def who(self, grant: Any) -> str:
        """Return who holds it."""
        holder = _holder(grant)
        return f"{holder.printed_name} ({holder.username})" if isinstance(holder, Account) else f"group {holder.name}"


def _register(table: type[Model], things: type[Model], holders: forms.ModelChoiceField) -> None:
    """Register the roles that are kept in one table: on things of one kind, held by people or by groups."""
    held_on = "model" if things is RegisteredModel else "environment"
    title = str(things._meta.verbose_name).removeprefix("registered ").capitalize()
    on = tuple(one for one in Role if DUTIES[one].held_on == held_on or one == Role.ADMINISTRATOR)
    by = "user" if isinstance(holders, PersonField) else "group"

    class Form(GrantForm):
        thing = forms.ModelChoiceField(
            things._default_manager.order_by("name"), label=title.removeprefix("registered ").capitalize()
        )
        role = forms.ChoiceField(choices=[(one.value, f"{one.label}: {DUTIES[one].sentence}") for one in on])
        holder = holders
        starts = forms.DateField(required=False, label="First day", help_text="Empty: from now.", widget=DAY)
        ends = forms.DateField(required=False, label="Last day", help_text="Empty: until further notice.", widget=DAY)

        class Meta:
            model = table
            fields = ()

    class Grants(GrantAdmin):
        here = on
        form = Form
        list_select_related = ("content_object", "permission", by)
        search_fields = (
            "content_object__name", "content_object__slug",
            *(("user__username", "user__first_name", "user__last_name") if by == "user" else ("group__name",)),
        )  # fmt: skip

    admin.site.register(table, Grants)


def _person() -> PersonField:
    return PersonField(Account.objects.filter(is_active=True).order_by("first_name", "last_name", "username"))


def _group() -> forms.ModelChoiceField:
    return forms.ModelChoiceField(Group.objects.order_by("name"))


_register(RegisteredModelUserGrant, RegisteredModel, _person())
_register(RegisteredModelGroupGrant, RegisteredModel, _group())
_register(EnvironmentUserGrant, Environment, _person())
_register(EnvironmentGroupGrant, Environment, _group())
_register(OrganisationUserGrant, Organisation, _person())
_register(OrganisationGroupGrant, Organisation, _group())
