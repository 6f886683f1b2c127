"""People who have left, in the admin: when their names go, what holds one, and a form that lets one go for good."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_doors import ActForm, Configuration, Records, is_administrator
from audit.models import Account, NameHold
from handoff.models import FormerPerson, Leaver
from handoff.queries.leavers import going_of, leavers, still_answers_for, traces_of
from handoff.services.leavers import hold, lift, pseudonymise


def _hold(actor: Person, found: Leaver, reason: str) -> object:
    return hold(actor=actor, person=found.username, reason=reason)


def _lift(actor: Person, found: Leaver, reason: str) -> object:
    return lift(actor=actor, person=found.username, reason=reason)


HOLD = Act(
    name="hold",
    title="Hold the name",
    does="The name stays until that is lifted, whatever its day. The reason stays on the trail, so do not name them.",
    run=_hold,
    offered=lambda user, found: user.is_staff and (found is None or found.held is None),
)
LIFT = Act(
    name="lift",
    title="Lift the hold",
    does="The name goes on its day, or at once if that has come. Do not name them in the reason.",
    run=_lift,
    offered=lambda user, found: user.is_staff and (found is None or found.held is not None),
)


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
        found = pseudonymise(actor=self.actor, **told)
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


@admin.register(Leaver)
class LeaverAdmin(Records):
    """People who have left and have their names still: when these go, and what keeps them."""

    acts = (HOLD, LIFT)
    list_display = ("printed_name", "username", "left", "goes", "held_now")
    search_fields = ("username", "first_name", "last_name")
    ordering = ("pk",)
    fields = ("printed_name", "username", "left", "goes", "kept_by", "owed")

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        """Return who has left, with what is known of each, to every administrator of the site."""
        return leavers() if is_administrator(request) else leavers().none()

    @admin.display(description="Left", ordering="left_at")
    def left(self, one: Any) -> Any:
        """Return when the last of their accounts was made inactive."""
        return one.gone_at

    @admin.display(description="Name goes")
    def goes(self, one: Any) -> str:
        """Say on which day the name goes by itself, or that it does not."""
        at = going_of(one, None).goes_at
        if at is None:
            return "only by an administrator"
        told = "" if one.announced else ", not announced yet"
        return f"{at:%-d %B %Y}{told}{', but is held' if one.held else ''}"

    @admin.display(description="Held", boolean=True)
    def held_now(self, one: Any) -> bool:
        """Tell whether a hold keeps the name."""
        return one.held is not None

    @admin.display(description="Held by")
    def kept_by(self, one: Any) -> str:
        """Say who holds the name, since when, and why."""
        kept = NameHold.objects.filter(pk=one.held).select_related("held_by").first()
        return f"{kept.held_by.printed_name}, since {kept.held_at:%-d %B %Y}: {kept.reason}" if kept else "nobody"

    @admin.display(description="Answers still for")
    def owed(self, one: Any) -> str:
        """Say what must be somebody else's before the name goes."""
        people = Account.objects.filter(Q(pk=one.pk) | Q(same_person=one.pk))
        return "; ".join(still_answers_for(list(people))) or "nothing"

    def chain_of(self, record: Any) -> str:
        """Return the account's chain."""
        return f"account:{record.pk}"
