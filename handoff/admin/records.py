"""What the admin's pages of a handoff's records share."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_columns import seen
from audit.admin_doors import Records
from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.models import Handoff
from handoff.services import deployments
from models_registry.access import holds_anywhere, roles_on
from models_registry.roles import Role


def holds(user: Account, role: Role, handoff: Handoff | None) -> bool:
    """Tell whether an account holds a role in a handoff, or in any: what it may do with it is for a service to say."""
    if handoff is not None:
        return role in roles_on(user, model=handoff.model, environment=handoff.target)
    return holds_anywhere(user, role)


def deploy_again(actor: Person, record: Any, reason: str) -> object:
    """Deploy a handoff, or the handoff of a record, again."""
    handoff_id = record.pk if isinstance(record, Handoff) else record.handoff_id
    return deployments.retry(actor=actor, handoff_id=handoff_id)


class OfHandoff(Records):
    """Records that belong to one handoff, and are seen by whoever sees that."""

    handoff = "handoff"
    list_select_related: ClassVar[Any] = ("handoff__model",)
    list_filter: ClassVar[Any] = (seen("handoff__model"),)
    search_fields: ClassVar[Any] = ("handoff__model__name", "handoff__model__slug")

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return those of the handoffs that an account may read."""
        return self.model._default_manager.filter(**{f"{self.handoff}__in": handoffs_visible_to(user)})

    def handoff_of(self, record: Any) -> Handoff:
        """Return the handoff that a record belongs to."""
        for step in self.handoff.split("__"):
            record = getattr(record, step)
        found: Handoff = record
        return found

    def chain_of(self, record: Any) -> str:
        """Return the chain of its handoff."""
        return f"handoff:{self.handoff_of(record).pk}"

    def links(self, request: HttpRequest, record: Any) -> list[tuple[str, str]]:
        """Return its handoff's page."""
        return [("Open its handoff's page", reverse("handoff", args=[self.handoff_of(record).pk]))]
