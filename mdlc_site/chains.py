"""Who may read which chains of the trail."""

from audit.models import Account
from audit.planning import Each, planned_once
from handoff.models import Handoff
from models_registry.access import holdings_of
from models_registry.roles import Role

AUDITORS = (Role.RISK_COMPLIANCE, Role.ADMINISTRATOR)
SITE = ["site", "sign-ins"]


def chains_of(user: Account) -> list[str]:
    """Name the chains an account audits: of what it holds an auditor's role on, and of the handoffs of that.

    Whoever audits an environment also reads the site's own chains: policies, organisations, failed sign-ins.
    """
    with planned_once():
        held = list(holdings_of(user, *AUDITORS).values_list("model", "environment"))
    models, environments = ({one for one in found if one} for found in zip(*held, strict=True)) if held else ((), ())
    of_models, of_places = Each(models, "uuid"), Each(environments, "uuid")
    handoffs = Handoff.objects.order_by().values_list("pk", flat=True)
    found = handoffs.filter(model__in=of_models).union(
        handoffs.filter(target__in=of_places), handoffs.filter(source__in=of_places)
    )
    named = {"model": models, "environment": environments, "handoff": found if held else ()}
    return [f"{kind}:{key}" for kind, keys in named.items() for key in keys] + (SITE if environments else [])
