"""People who have left and whose names have gone, in the admin: a form lets a name go, and nothing brings it back."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet

from audit.admin_doors import ActForm, Configuration
from audit.models import Account
from handoff.models import FormerPerson
from handoff.queries.leavers import traces_of
from handoff.services import leavers


class LeaverForm(ActForm):
    """Put a pseudonym in the place of a name, on all accounts of a person."""

    person = forms.CharField(max_length=150, help_text="The user name of somebody who has left.")
    confirm = forms.CharField(
        max_length=150, label="Once more", help_text="Write the user name again: nothing brings the name back."
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="Stays on the trail, so do not name them in it."
    )

    class Meta:
        model = FormerPerson
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Let the name go."""
        told = {name: values[name] for name in ("person", "confirm", "reason")}
        found = leavers.pseudonymise(actor=self.actor, **told)
        return FormerPerson.objects.get(username=found.account)


@admin.register(FormerPerson)
class FormerPersonAdmin(Configuration):
    """Accounts whose names have gone. What they did is shown under a pseudonym, and stays provable."""

    form = LeaverForm
    list_display = ("printed_name", "username", "left_at", "pseudonymised_at")
    search_fields = ("username", "last_name")
    ordering = ("-pseudonymised_at", "pk")
    shown = ("printed_name", "username", "left_at", "pseudonymised_at", "still_named_in")

    @admin.display(description="Still named in")
    def still_named_in(self, account: Account) -> str:
        """Say where bytes from before there were marks hold the name."""
        found = traces_of([account])
        return (
            f"{found.events} events and {found.signatures} signatures from before names stood outside of them;"
            " as long as those are kept"
        )

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return the accounts without a name."""
        return FormerPerson.objects.filter(pseudonymised_at__isnull=False)

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """Return the form's fields for a new one, and words for one that is there."""
        return [(None, {"fields": self.shown if obj else ("person", "confirm", "reason")})]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        """Return everything, once it is done: nothing undoes it."""
        return self.shown if obj else ()

    def chain_of(self, record: Any) -> str:
        """Return the account's chain."""
        return f"account:{record.pk}"
