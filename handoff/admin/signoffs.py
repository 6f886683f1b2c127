"""Signatures in the admin: to read, and one's own to withdraw. They are given on the sheet, with the password again."""

from django.contrib import admin
from django.db.models import Q

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, seen, state, text
from audit.models import Account
from handoff.admin.records import OfHandoff
from handoff.models import Decision, SignOff
from handoff.rules.consumers import label_of
from handoff.services import signoffs
from handoff.suspending import passed_by
from models_registry.access import accounts_of


def _withdraw(actor: Person, signoff: SignOff, reason: str) -> object:
    return signoffs.withdraw(actor=actor, handoff_id=str(signoff.handoff_id), signoff_id=str(signoff.pk), reason=reason)


def _revoke(actor: Person, signoff: SignOff, reason: str) -> object:
    return signoffs.revoke(actor=actor, handoff_id=str(signoff.handoff_id), signoff_id=str(signoff.pk), reason=reason)


def _offered(user: Account, signoff: SignOff | None) -> bool:
    mine = accounts_of(user)
    own = SignOff.objects.filter(Q(signer__in=mine) | Q(behalf_of__in=mine), voided_at=None)
    return own.exists() if signoff is None else own.filter(pk=signoff.pk).exists()


def _offered_withdrawal(user: Account, signoff: SignOff | None) -> bool:
    return _offered(user, signoff) and (signoff is None or signoff.gate not in passed_by(signoff.handoff))


def _offered_revocation(user: Account, signoff: SignOff | None) -> bool:
    return _offered(user, signoff) and (signoff is None or signoff.gate in passed_by(signoff.handoff))


WITHDRAW = Act(
    name="withdraw",
    title="Withdraw my sign-off",
    does="A withdrawn sign-off never counts again; it stays on record, and you may sign anew on the handoff's page.",
    run=_withdraw,
    offered=_offered_withdrawal,
)
REVOKE = Act(
    name="revoke",
    title="Revoke my approval",
    does="The gate has opened and nothing is undone; a finding says so, until somebody approves anew.",
    run=_revoke,
    offered=_offered_revocation,
)


@admin.register(SignOff)
class SignOffAdmin(OfHandoff):
    """Signatures, each with the digests of exactly what was signed."""

    acts = (WITHDRAW, REVOKE)
    list_display = ("printed_name", "held", "handoff", "gate", state("decision"), "meaning", "signed_at", "voided_at")
    list_filter = ("decision", "gate", "role", seen("handoff__model"))
    search_fields = (*OfHandoff.search_fields, "printed_name", "statement_digest")
    date_hierarchy = "signed_at"
    ordering = ("-signed_at", "pk")
    fieldsets = (
        (None, {"fields": ("handoff", "gate", "requirement", state("decision"), "meaning", text("comment"))}),
        ("Signer", {"fields": ("printed_name", "held", "signed_at", "confirmed")}),
        (
            "What was signed",
            {
                "fields": (
                    folded("scope"), digest("scope_digest", whole=True), folded("statement"),
                    digest("statement_digest", whole=True), digest("key_id", "key", whole=True),
                )
            },
        ),
        ("Ended", {"fields": ("voided_at", state("voided_as"), text("voided_because"))}),
    )  # fmt: skip

    @admin.display(description="Role", ordering="role")
    def held(self, signoff: SignOff) -> str:
        """Return the role's name."""
        return label_of(signoff.role)

    @admin.display(description="Identity confirmed by")
    def confirmed(self, signoff: SignOff) -> str:
        """Return how the signer was confirmed; the confirmation's key is nobody's business."""
        return signoff.reauthentication.method


@admin.register(Decision)
class DecisionAdmin(OfHandoff):
    """Every judgement of a gate that was acted on, with its facts and its result."""

    list_display = ("gate", "handoff", "opened", "taken_by", "decided_at")
    list_filter = ("gate", "opened", seen("handoff__model"))
    search_fields = (*OfHandoff.search_fields, "taken_by")
    date_hierarchy = "decided_at"
    ordering = ("-decided_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", "gate", "opened", "taken_by", "decided_at")}),
        ("On what it rests", {"fields": (folded("facts"), folded("result"))}),
    )
