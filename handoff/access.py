"""The only way to fetch a handoff: visible to this account, permitted, and locked where it will change."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.actors import Actor, Person
from audit.models import Account
from audit.planning import Prepared, planned_once
from handoff.errors import Forbidden, Hidden, WrongRole
from handoff.facts import Known, known_of
from handoff.models import AskedConsumer, Deployment, Handoff, OwnerOfRecord
from handoff.states import DeploymentState
from models_registry.access import Held, holdings_of, roles_on
from models_registry.roles import Role


def handoffs_visible_to(user: Account, held: Held | None = None, **only: Any) -> QuerySet[Handoff]:
    """Return the handoffs of models, or to environments, on which an account holds a role; only some of them, if told.

    And those that asked the account, or whoever was before it, as the owner of a consumer. `held` is what the account
    holds, where that was read already.
    """
    if held is not None:
        return handoffs_by(user, held.all_models(), held.all_environments(), **only)
    holds = holdings_of(user)
    places = holds.exclude(environment=None).values("environment")
    return handoffs_by(user, holds.exclude(model=None).values("model"), places, **only)


def handoffs_by(user: Any, models: Any, places: Any, **only: Any) -> QuerySet[Handoff]:
    """Return the handoffs of some models, or to some environments, or that asked an account; only some, if told.

    Each way by itself, for with OR between them the database would look at every handoff there is.
    """
    found = Handoff.objects.filter(**only).order_by().values("pk")
    asked = AskedConsumer.objects.filter(consumer__owner=user, consumer__retired_at=None)
    ways = found.filter(target__in=places), found.filter(pk__in=asked.values("handoff"))
    return Handoff.objects.filter(pk__in=found.filter(model__in=models).union(*ways))


ASKED = Prepared(
    lambda user, handoff: (
        AskedConsumer.objects.filter(handoff=handoff, consumer__owner=user, consumer__retired_at=None)
        .order_by()
        .values_list("pk")[:1]
    ),
    "bigint",
    "uuid",
)


def sees(user: Account, handoff: Handoff) -> bool:
    """Tell of one handoff, whose model and target were fetched, whether an account may know of it."""
    return bool(roles_on(user, model=handoff.model, environment=handoff.target) or ASKED(user.pk, handoff.pk))


STOPPERS = (Role.IT_OPERATIONS, Role.RISK_COMPLIANCE)


def owned_by(user: Account) -> QuerySet[Deployment]:
    """Return what is live in an environment that an account answers for, or that it is the owner of record of."""
    owners = OwnerOfRecord.objects.filter(person=user, period__upper_inf=True)
    mine = Q(environment__owner=user) | Q(pk__in=owners.values("deployment"))
    return Deployment.objects.filter(mine, state=DeploymentState.LIVE)


def may_stop(user: Account, deployment: Deployment, roles: frozenset[str]) -> bool:
    """Tell whether an account that holds some roles on a deployment's handoff may stop it.

    IT operations and risk and compliance may, and who answers for it: the owner of record, and the environment's.
    """
    held = any(role in roles for role in STOPPERS)
    return user.is_person and (held or owned_by(user).filter(pk=deployment.pk).exists())


def lock_to_stop(actor: Actor, deployment_id: UUID | str) -> tuple[Deployment, Handoff, Known]:
    """Lock the handoff of a deployment for whoever may stop it; return both. Raises Hidden, Forbidden or WrongRole."""
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person stops what is live.", code="person_required")
    found = Deployment.objects.filter(pk=deployment_id).first()
    if found is None or not actor.user.is_active:
        raise Hidden("There is no such deployment.")
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=found.handoff_id)
    known = known_of(handoff)
    deployment = Deployment.objects.select_related("version", "environment__owner").get(pk=found.pk)
    if not may_stop(actor.user, deployment, known.roles.get(actor.user.pk, frozenset())):
        if not known.sees(actor.user.pk):
            raise Hidden("There is no such deployment.")
        who = {one for role in STOPPERS for one in known.facts.holders.get(role, {}).values()}
        names = ", ".join(sorted(who | {deployment.environment.owner.printed_name}))
        raise WrongRole(
            "You may not stop what is live here; IT operations, risk and compliance, and its owners may.",
            todo=f"Call one of them: {names}.",
        )
    return deployment, handoff, known


def require_administrator(user: Account, act: str) -> None:
    """Let an administrator pass. Raises Forbidden."""
    if not user.is_staff:
        raise Forbidden(f"Only an administrator may {act}.", code="administrator_required")


PARTS = ("model", "version", "source", "target")


def lock_handoff(actor: Actor, handoff_id: UUID | str, *, parts: tuple[str, ...] = PARTS) -> tuple[Handoff, Known]:
    """Lock a handoff that the actor may know of, and return it with its facts. Raises Hidden.

    `parts` are fetched with it; an act that reads none of them names none.
    """
    locked = Handoff.objects.select_for_update(of=("self",))
    try:
        with planned_once():
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
