"""Whose accounts are one natural person's, in the admin: recorded by a form, undone by an act."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_doors import ActForm, Configuration
from audit.models import Account
from handoff.models import MergedAccount
from handoff.services import persons


def _part(actor: Person, found: Account, reason: str) -> object:
    return persons.part(actor=actor, account=found.username, reason=reason)


PART = Act(
    name="part",
    title="Count as two people again",
    does="The account was merged by mistake. What was voided then stays voided.",
    run=_part,
    offered=lambda user, found: user.is_staff,
)


class MergeForm(ActForm):
    """Record that an account belongs to the person behind another one."""

    account = forms.CharField(max_length=150, help_text="The username that is to count as the other one's.")
    same_as = forms.CharField(
        max_length=150, label="Is the same person as", help_text="The username of the main account."
    )
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="How this is known.")

    class Meta:
        model = MergedAccount
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Merge them."""
        told = {name: values[name] for name in ("account", "same_as", "reason")}
        merged = persons.merge(actor=self.actor, **told)
        return MergedAccount.objects.get(pk=merged.pk)


@admin.register(MergedAccount)
class MergedAccountAdmin(Configuration):
    """Accounts that count as another account's person, for conflicts of duties and for seats."""

    acts = (PART,)
    form = MergeForm
    list_display = ("username", "printed_name", "same_person")
    list_select_related = ("same_person",)
    search_fields = ("username", "same_person__username")
    ordering = ("username",)

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return the accounts that were merged."""
        return MergedAccount.objects.filter(same_person__isnull=False)

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """Return the form's fields for a new one, and words for one that is there."""
        fields = ("username", "printed_name", "same_person") if obj else ("account", "same_as", "reason")
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        """Return everything, once it is recorded: it is undone, not changed."""
        return ("username", "printed_name", "same_person") if obj else ()

    def chain_of(self, record: Any) -> str:
        """Return the account's chain."""
        return f"account:{record.pk}"
