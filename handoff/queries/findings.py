"""Findings of handoffs: of one, and all that are open."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.models import Finding
from handoff.queries.handoffs import fetch
from handoff.states import UNDER_OFFER, State

PEOPLE = ("closed_by", "raised_by", "owner")


def findings_of(user: Account, handoff_id: UUID | str) -> QuerySet[Finding]:
    """Return the findings of a handoff that an account may know of, the newest first. Raises Hidden."""
    return Finding.objects.filter(handoff=fetch(user, handoff_id)).select_related(*PEOPLE)


def open_findings(user: Account, **filters: Any) -> QuerySet[Finding]:
    """Return what is open on handoffs under offer and on live models, and what engines serve, the soonest due first.

    Filters are `mine` (owned by the account), `overdue`, `blocks` and `severity`.
    """
    matters = Q(handoff__state__in=[*UNDER_OFFER, State.LIVE]) | Q(kind=Finding.Kind.SERVED)
    found = Finding.objects.filter(matters, closed_at=None, handoff__in=handoffs_visible_to(user)).select_related(
        *PEOPLE, "handoff__model", "handoff__version", "handoff__target"
    )
    if filters.get("mine"):
        found = found.filter(owner=user)
    if filters.get("overdue"):
        found = found.filter(due_at__lt=timezone.now())
    if filters.get("blocks"):
        found = found.filter(suspends=True)
    if filters.get("severity"):
        found = found.filter(severity=filters["severity"])
    return found.order_by("due_at", "pk")


def proof_file(user: Account, handoff_id: UUID, finding_id: UUID) -> Finding:
    """Return a finding that was closed with a file, of a handoff that an account may know of. Raises Hidden."""
    found = Finding.objects.filter(
        pk=finding_id, proof_kind=Finding.Proof.FILE, handoff=handoff_id, handoff__in=handoffs_visible_to(user)
    ).first()
    if found is None:
        raise Hidden("There is no such file.")
    return found
