"""Handoffs in the admin: offers to read, to make, to withdraw and to deploy again. They are signed on their page."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, person, seen, state, text
from audit.admin_doors import Records
from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.admin.records import OfHandoff, deploy_again, holds
from handoff.facts import rules_of
from handoff.models import Handoff, Return
from handoff.services import break_glass, handoffs
from handoff.states import State
from models_registry.roles import Role

OFFERABLE = frozenset({State.DRAFT})
WITHDRAWABLE = frozenset({State.DRAFT, State.IN_REVIEW, State.TESTING, State.READY})
AGAIN = frozenset({State.READY, State.CONFIRMING})


def _offered(role: Role, states: frozenset[State], user: Account, handoff: Handoff | None) -> bool:
    return (handoff is None or handoff.state in states) and holds(user, role, handoff)


def _offer(actor: Person, handoff: Handoff, reason: str) -> object:
    return handoffs.offer(actor=actor, handoff_id=str(handoff.pk))


def _withdraw(actor: Person, handoff: Handoff, reason: str) -> object:
    return handoffs.withdraw(actor=actor, handoff_id=str(handoff.pk), reason=reason)


OFFER = Act(
    name="offer",
    title="Offer the draft",
    does="An offer freezes the policy and the difference report in the handoff, and opens the review.",
    run=_offer,
    offered=partial(_offered, Role.DATA_SCIENTIST, OFFERABLE),
    reason=False,
)
WITHDRAW = Act(
    name="withdraw",
    title="Withdraw the handoff",
    does="A withdrawn handoff ends here, and its work is cancelled. The same version can be offered again.",
    run=_withdraw,
    offered=partial(_offered, Role.DATA_SCIENTIST, WITHDRAWABLE),
)
DEPLOY_AGAIN = Act(
    name="deploy_again",
    title="Deploy again",
    does="The gate is judged again, and a worker deploys the version if it is still open. Nobody needs to sign again.",
    run=deploy_again,
    offered=partial(_offered, Role.IT_OPERATIONS, AGAIN),
    reason=False,
)


def _break_glass(actor: Person, handoff: Handoff, reason: str) -> object:
    incident, colon, why = reason.partition(":")
    told = {"incident": incident, "reason": why} if colon else {"incident": "", "reason": reason}
    return break_glass.ask(actor=actor, handoff_id=handoff.pk, **told)


def _offered_in_emergencies(user: Account, handoff: Handoff | None) -> bool:
    if handoff is None or not user.is_person:
        return user.is_person
    return handoff.state in break_glass.ASKED_IN and bool(rules_of(handoff).break_glass.roles)


BREAK_GLASS = Act(
    name="break_glass",
    title="Ask for break-glass",
    does="Nothing happens before somebody else confirms it on its page. Give the incident, a colon, and the reason.",
    run=_break_glass,
    offered=_offered_in_emergencies,
)


@admin.register(Handoff)
class HandoffAdmin(Records):
    """Offers of versions to environments."""

    acts = (OFFER, WITHDRAW, DEPLOY_AGAIN, BREAK_GLASS)
    list_display = (
        "__str__", state("state"), "version_number", "places", person("drafted_by"), "offered_at", "expires_at"
    )  # fmt: skip
    list_filter = ("state", seen("target"), seen("model"))
    list_select_related = ("model", "version", "source", "target", "drafted_by")
    search_fields = ("model__name", "model__slug", "note", "version__digest")
    date_hierarchy = "drafted_at"
    ordering = ("-drafted_at", "pk")
    fieldsets = (
        (None, {"fields": (state("state"), "model", "number", "version", "source", "target", text("note"))}),
        (
            "Dates and people",
            {
                "fields": (
                    person("drafted_by"), "drafted_at", person("offered_by"), "offered_at", "expires_at", "moved_at"
                )
            },
        ),
        (
            "What was frozen when it was offered",
            {
                "fields": (
                    folded("bindings", "planned bindings"), "policies", digest("policy_digest", whole=True),
                    folded("policy"), digest("report_digest", whole=True), folded("report", "difference report"),
                )
            },
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Handoff]:
        """Leave the large texts to the page of one."""
        found = super().get_queryset(request)
        return found.defer("policy", "report", "bindings") if _is_list(request) else found

    def visible_to(self, user: Account) -> QuerySet[Handoff]:
        """Return the handoffs that an account may read."""
        return handoffs_visible_to(user)

    def chain_of(self, record: Handoff) -> str:
        """Return the chain of its own."""
        return f"handoff:{record.pk}"

    def links(self, request: HttpRequest, record: Handoff) -> list[tuple[str, str]]:
        """Return its page, where it is answered and signed, and its report."""
        return [
            ("Open its page, to answer and to sign", reverse("handoff", args=[record.pk])),
            ("Open its difference report", reverse("handoff-differences", args=[record.pk])),
        ]

    @admin.display(description="Policies")
    def policies(self, handoff: Handoff) -> str:
        """Return the policies that applied at the offer."""
        return handoff.under

    @admin.display(description="From → to", ordering="target__name")
    def places(self, handoff: Handoff) -> str:
        """Return the names of the source and the target."""
        return f"{handoff.source.name} → {handoff.target.name}"

    @admin.display(description="Version", ordering="version__number")
    def version_number(self, handoff: Handoff) -> str:
        """Return the version's number."""
        return f"v{handoff.version.number}"


def _is_list(request: HttpRequest) -> bool:
    match = request.resolver_match
    return bool(match and match.url_name and match.url_name.endswith("_changelist"))


@admin.register(Return)
class ReturnAdmin(OfHandoff):
    """Handoffs that went back to data science, with the reasons."""

    list_display = ("handoff", "why", person("returned_by"), "returned_at")
    list_select_related = ("handoff__model", "returned_by")
    search_fields = (*OfHandoff.search_fields, "comment")
    date_hierarchy = "returned_at"
    ordering = ("-returned_at", "pk")
    fieldsets = (
        (None, {"fields": ("handoff", "why", text("comment"), "again")}),
        ("People", {"fields": (person("returned_by"), "returned_at")}),
    )

    @admin.display(description="Reasons")
    def why(self, record: Return) -> str:
        """Return the reasons in words."""
        return ", ".join(str(Return.Reason(one).label) for one in record.reasons)

    @admin.display(description="To be tested again")
    def again(self, record: Any) -> str:
        """Return the tests that the next version must pass again."""
        return ", ".join(record.retests) or "–"
