"""Waivers of handoffs."""

from uuid import UUID

from django.db.models import QuerySet

from audit.models import Account
from handoff.models import Waiver
from handoff.queries.handoffs import fetch


def waivers_of(user: Account, handoff_id: UUID | str) -> QuerySet[Waiver]:
    """Return the waivers of a handoff that an account may know of, the newest first. Raises Hidden."""
    found = Waiver.objects.filter(handoff=fetch(user, handoff_id))
    return found.select_related("asked_by", "answered_by", "revoked_by")
