"""Findings of handoffs."""

from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.models import Finding
from handoff.queries.handoffs import fetch


def findings_of(user: Account, handoff_id: UUID | str) -> QuerySet[Finding]:
    """Return the findings of a handoff that an account may know of, the newest first. Raises Hidden."""
    return Finding.objects.filter(handoff=fetch(user, handoff_id)).select_related("closed_by")
