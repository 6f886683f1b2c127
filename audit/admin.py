"""Accounts and events in the admin: accounts are configuration, events are records."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from audit import personal_keys
from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_doors import Records, is_administrator
from audit.models import Account, AuditEvent, PersonalKey, SigningKey
from audit.trail import record
from audit.visibility import events_visible_to

OWN_RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(Account)
class AccountAdmin(UserAdmin):
    """People and service accounts. Every change is an event; nobody is deleted, only made inactive."""

    list_display = ("username", "printed_name", "title", "kind", "is_active", "is_staff")
    list_filter = ("kind", "is_active", "is_staff", "groups")
    list_select_related = ("responsible",)
    autocomplete_fields = ("responsible",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "title")}),
        ("Kind", {"fields": ("kind", "responsible")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "title")}),
        ("Kind", {"fields": ("kind", "responsible")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        """Add the rights on one's own account: a group may hold roles, and nobody grants a role to themselves."""
        own = obj is not None and obj.pk == request.user.pk
        return (*self.readonly_fields, *OWN_RIGHTS) if own else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: what an account did stays its own."""
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Change a password and record that, both or neither."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record that an account was made."""
        self._record("account.created", request, obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record which fields of an account were changed, a password without its content."""
        self._record("account.changed", request, obj, message)
        return super().log_change(request, obj, message)

    def _record(self, action: str, request: HttpRequest, account: Account, message: Any) -> None:
        chain = f"account:{account.pk}"
        data = {"account": account.mark, "change": message}
        record(action, actor=Person.at(request, "admin"), on=chain, chain=chain, data=data)


admin.site.unregister(Group)


@admin.register(Group)
class RecordedGroupAdmin(GroupAdmin):
    """Groups of accounts, which may hold roles. Every change is an event; a group is not deleted, but left empty."""

    fields = ("name",)
    filter_horizontal = ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: with it the roles that it holds would go without a word."""
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record that a group was made."""
        self._record("group.created", request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record that a group got another name."""
        self._record("group.changed", request, obj)
        return super().log_change(request, obj, message)

    def _record(self, action: str, request: HttpRequest, group: Group) -> None:
        record(action, actor=Person.at(request, "admin"), on=group, chain="site", data={"name": group.name})


class Kept(admin.ModelAdmin):
    """A record that is read here, and never written."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let administrators in, superusers or not."""
        return is_administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators read."""
        return is_administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: records are written by acts."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: a record never changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: a record is never deleted."""
        return False


@admin.register(SigningKey)
class SigningKeyAdmin(Kept):
    """The public keys of the site. A key is retired by `manage.py signing_keys`, where the new one is set, too."""

    list_display = ("id", "registered_at", "retired_at", "retired_because")
    exclude = ("public_key",)


def _retire(actor: Person, key: PersonalKey, reason: str) -> object:
    return personal_keys.retire(actor=actor, key_id=key.pk, reason=reason)


def _may_retire(user: Account, key: PersonalKey | None) -> bool:
    return user.is_staff and (key is None or key.retired_at is None)


@admin.register(PersonalKey)
class PersonalKeyAdmin(Records):
    """The public halves of the keys that people hold themselves. A lost one is retired here, or by its holder."""

    acts = (
        Act(
            name="retire",
            title="Retire the key",
            does="It confirms nothing any more. What it signed stays provable; its holder signs by password.",
            run=_retire,
            offered=_may_retire,
        ),
    )
    list_display = ("name", "account", "site", "registered_at", "retired_at", "retired_because")
    list_filter = ("site",)
    list_select_related = ("account",)
    search_fields = ("name", "account__username", "id")
    ordering = ("-registered_at", "pk")
    exclude = ("credential", "public_key")

    def visible_to(self, user: Account) -> QuerySet[PersonalKey]:
        """Return all: the public half of a key is no secret."""
        return PersonalKey.objects.all()

    def chain_of(self, record: PersonalKey) -> str:
        """Return the chain of its holder."""
        return f"account:{record.account_id}"


@admin.register(AuditEvent)
class AuditEventAdmin(Kept):
    """The trail, to read: for those who audit, what they audit."""

    list_display = ("at", "chain", "seq", "actor_label", "action", "subject")
    list_filter = ("actor_kind", "action")
    search_fields = ("chain", "subject", "actor__username", "actor__first_name", "actor__last_name")
    date_hierarchy = "at"
    ordering = ("-at", "-pk")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Return what the asker audits; being a superuser adds nothing."""
        found = super().get_queryset(request)
        return (
            found.filter(pk__in=events_visible_to(request.user)) if isinstance(request.user, Account) else found.none()
        )
