"""Who may read which chains of the trail."""

from collections.abc import Iterator
from typing import Any

from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Cast, Concat

from audit.models import Account
from handoff.models import Handoff
from models_registry.access import environments_held_by, models_held_by
from models_registry.roles import Role

AUDITORS = (Role.RISK_COMPLIANCE, Role.ADMINISTRATOR)


def chains_of(user: Account) -> Iterator[QuerySet[Any]]:
    """Name the chains an account audits: of what it holds an auditor's role on, and of the handoffs of that.

    Whoever administers an environment also reads the site's own chains: policies, organisations, failed sign-ins.
    """
    models = models_held_by(user, *AUDITORS)
    environments = environments_held_by(user, *AUDITORS)
    yield _named("model", models)
    yield _named("environment", environments)
    for of in ({"model__in": models}, {"target__in": environments}, {"source__in": environments}):
        yield _named("handoff", Handoff.objects.filter(**of))
    if environments.exists():
        me = Account.objects.filter(pk=user.pk).order_by()
        yield from (me.annotate(chain_name=Value(name)).values("chain_name") for name in ("site", "sign-ins"))


def _named(kind: str, things: QuerySet[Any]) -> QuerySet[Any]:
    """Return the chains' names of things, as a subquery."""
    name = Concat(Value(f"{kind}:"), Cast("pk", CharField()))
    return things.order_by().annotate(chain_name=name).values("chain_name")
