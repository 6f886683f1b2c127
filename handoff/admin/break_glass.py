"""Break-glass in the admin: to read, and one's own request to take back. It is confirmed on its page, by password."""

from django.contrib import admin

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, person, seen, state, text
from audit.models import Account
from handoff.admin.records import OfHandoff
from handoff.models import BreakGlass
from handoff.services import break_glass
from handoff.states import BreakGlassState
from models_registry.access import accounts_of


def _withdraw(actor: Person, row: BreakGlass, reason: str) -> object:
    return break_glass.withdraw(actor=actor, handoff_id=row.handoff_id, break_glass_id=row.pk)


def _offered(user: Account, row: BreakGlass | None) -> bool:
    own = BreakGlass.objects.filter(asked_by__in=accounts_of(user), state=BreakGlassState.ASKED)
    return own.exists() if row is None else own.filter(pk=row.pk).exists()


WITHDRAW = Act(
    name="withdraw",
    title="Withdraw my request",
    does="Nobody can confirm it any more. It stays on record, and you may ask anew.",
    run=_withdraw,
    offered=_offered,
    reason=False,
)


@admin.register(BreakGlass)
class BreakGlassAdmin(OfHandoff):
    """Deployments before all had signed: who asked, who confirmed, and how each ended."""

    acts = (WITHDRAW,)
    list_display = ("incident", "handoff", state("state"), person("asked_by"), "printed_name", "until", "ended_at")
    list_filter = ("state", seen("handoff__model"))
    list_select_related = ("handoff__model", "asked_by")
    search_fields = (*OfHandoff.search_fields, "incident", "reason")
    date_hierarchy = "asked_at"
    ordering = ("-asked_at", "pk")
    fieldsets = (
        (None, {"fields": ("handoff", state("state"), "incident", text("reason"), "gate")}),
        ("Request", {"fields": (person("asked_by"), "asked_at", "confirm_by")}),
        ("Confirmation", {"fields": ("printed_name", "role", "confirmed_at", "until", folded("missing"))}),
        (
            "What was confirmed",
            {
                "fields": (
                    folded("scope"), folded("statement"), digest("statement_digest", whole=True),
                    digest("key_id", "key", whole=True),
                )
            },
        ),
        ("Ended", {"fields": ("overdue_at", "ended_at", text("because"))}),
    )  # fmt: skip
