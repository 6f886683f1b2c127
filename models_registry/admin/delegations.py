"""Delegations in the admin: to read, and to end."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import person, seen
from audit.admin_doors import Records
from audit.models import Account
from models_registry.models import Delegation
from models_registry.services import delegations


def _end(actor: Person, found: Delegation, reason: str) -> object:
    return delegations.end(actor=actor, delegation_id=found.pk)


END = Act(
    name="end_delegation",
    title="End the delegation",
    does="It ends at once. What was signed under it stays on record.",
    run=_end,
    offered=lambda user, found: user.is_staff and (found is None or found.state != "ended"),
    reason=False,
)


@admin.register(Delegation)
class DelegationAdmin(Records):
    """Who acts for whom, in which role and how long."""

    acts = (END,)
    list_display = ("role", person("delegator"), person("delegate"), "model", "environment", "starts_at", "ends_at")
    list_filter = ("role", seen("model"), seen("environment"))
    list_select_related = ("model", "environment", "delegator", "delegate")
    search_fields = ("delegator__username", "delegate__username")
    date_hierarchy = "made_at"
    fields = (
        "role", person("delegator"), person("delegate"), "model", "environment", "reason", "starts_at", "ends_at",
        "made_at",
    )  # fmt: skip

    def visible_to(self, user: Account) -> QuerySet[Delegation]:
        """Return every delegation: administrators of the site keep the roles."""
        return Delegation.objects.all()

    def chain_of(self, record: Any) -> str:
        """Return the chain of what the role is held on."""
        chain: str = record.chain
        return chain
