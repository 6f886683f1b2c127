"""Findings of handoffs and of environments: of one, and all that are open."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.models import Account
from audit.planning import Prepared, RowsByKey
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.models import Finding
from handoff.queries.handoffs import fetch
from handoff.states import UNDER_OFFER, State
from models_registry.access import Held, environments_answered_for

PEOPLE = ("closed_by", "raised_by", "owner")


OF_HANDOFF = Prepared(
    lambda handoff: (
        Finding.objects.filter(handoff=handoff)
        .select_related(*PEOPLE, "inherited_from__handoff")
        .order_by("-raised_at")
    ),
    "uuid",
)


def findings_of(user: Account, handoff_id: UUID | str) -> QuerySet[Finding]:
    """Return the findings of a handoff that an account may know of, the newest first. Raises Hidden."""
    return Finding.objects.filter(handoff=fetch(user, handoff_id)).select_related(*PEOPLE)


def findings_in(user: Account, slug: str) -> QuerySet[Finding]:
    """Return the findings of an environment itself, to who owns it or works in it. Raises Hidden."""
    place = environments_answered_for(user).filter(slug=slug).first()
    if place is None:
        raise Hidden("There is no such environment.")
    return Finding.objects.filter(environment=place).select_related(*PEOPLE, "environment")


def of_environments(user: Account, *, settled: bool = False) -> QuerySet[Finding]:
    """Return the open findings of the environments that an account owns or works in, the soonest due first.

    Or those that are `settled`, the last one first.
    """
    found = Finding.objects.filter(environment__in=environments_answered_for(user), closed_at__isnull=not settled)
    return found.select_related(*PEOPLE, "environment").order_by("-closed_at" if settled else "due_at", "pk")


def shown(found: QuerySet[Finding]) -> QuerySet[Finding]:
    """Return findings with all that a row of a list over many handoffs shows."""
    return found.select_related(*PEOPLE, "handoff__model", "handoff__version", "handoff__target", "environment")


ROWS = RowsByKey(lambda: shown(Finding.objects.all()), "uuid")


def open_findings(user: Account, held: Held | None = None, **filters: Any) -> QuerySet[Finding]:
    """Return what is open on handoffs under offer and on live models, and what engines serve, the soonest due first.

    Filters are `mine` (owned by the account), `overdue`, `blocks` and `severity`.
    """
    matters = Q(handoff__state__in=[*UNDER_OFFER, State.LIVE]) | Q(kind=Finding.Kind.SERVED)
    places = environments_answered_for(user, held)
    known = Q(handoff__in=handoffs_visible_to(user, held)) | Q(environment__in=places)
    found = shown(Finding.objects.filter(matters, known, closed_at=None))
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
    return _with_a_file(finding_id, handoff=handoff_id, handoff__in=handoffs_visible_to(user))


def proof_file_in(user: Account, slug: str, finding_id: UUID) -> Finding:
    """Return the same of an environment that an account owns or works in. Raises Hidden."""
    return _with_a_file(finding_id, environment__slug=slug, environment__in=environments_answered_for(user))


def _with_a_file(finding_id: UUID, **known: Any) -> Finding:
    found = Finding.objects.filter(pk=finding_id, proof_kind=Finding.Proof.FILE, **known).first()
    if found is None:
        raise Hidden("There is no such file.")
    return found
