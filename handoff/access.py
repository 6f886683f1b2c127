"""The only way to fetch a handoff: visible to this account, permitted, and locked where it will change."""

from uuid import UUID

from django.db.models import Q, QuerySet

from audit.actors import Actor
from audit.models import Account
from handoff.errors import Forbidden, Hidden, WrongRole
from handoff.facts import Known, known_of
from handoff.models import AskedConsumer, Handoff
from models_registry.access import environments_held_by, models_held_by
from models_registry.roles import Role


def handoffs_visible_to(user: Account) -> QuerySet[Handoff]:
    """Return the handoffs of models, or to environments, on which an account holds a role.

    And those that asked the account, or whoever was before it, as the owner of a consumer.
    """
    of_role = Q(model__in=models_held_by(user)) | Q(target__in=environments_held_by(user))
    asked = AskedConsumer.objects.filter(consumer__owner=user, consumer__retired_at=None)
    return Handoff.objects.filter(of_role | Q(pk__in=asked.values("handoff")))


def require_administrator(user: Account, act: str) -> None:
    """Let an administrator pass. Raises Forbidden."""
    if not user.is_staff:
        raise Forbidden(f"Only an administrator may {act}.", code="administrator_required")


PARTS = ("model", "version", "source", "target")


def lock_handoff(actor: Actor, handoff_id: UUID | str, *, parts: tuple[str, ...] = PARTS) -> tuple[Handoff, Known]:
    """Lock a handoff that the actor may know of, and return it with its facts. Raises Hidden.

    `parts` are fetched with it; an act that reads none of them names none, for they make the query three times as slow.
    """
    locked = Handoff.objects.select_for_update(of=("self",))
    try:
        handoff = (locked.select_related(*parts) if parts else locked).get(pk=handoff_id)
    except Handoff.DoesNotExist:
        raise Hidden("There is no such handoff.") from None
    if actor.user is None:
        raise Hidden("There is no such handoff.")
    known = known_of(handoff)
    if not actor.user.is_active or not known.sees(actor.user.pk):
        raise Hidden("There is no such handoff.")
    return handoff, known


def require_role(actor: Actor, known: Known, role: str, act: str) -> None:
    """Let a holder of a role pass. Raises WrongRole that names who may do it."""
    if actor.user is None:
        raise Forbidden(f"Only a person may {act}.", code="person_required")
    if not known.holds(actor.user.pk, role):
        who = ", ".join(known.facts.holders.get(role, {}).values()) or "nobody yet"
        raise WrongRole(
            f"You do not hold the role {Role(role).label} here, which is needed to {act}.",
            todo=f"Those who hold it: {who}. Ask one of them, or ask an administrator for the role.",
        )
