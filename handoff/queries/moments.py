"""What was true in an environment at an instant: which version answered, who answered for it, and who had approved."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden, Invalid
from handoff.models import BreakGlass, Deployment, OwnerOfRecord, SignOff, Suspension
from models_registry.access import environments_visible_to
from models_registry.models import Environment, EnvironmentOwner, ImportException

MOST_TURNS = 40


@dataclass(slots=True)
class Served:
    """One version that was live at an instant: who answered, the sign-offs that counted, a stop, and break-glass."""

    deployment: Deployment
    owner: OwnerOfRecord | None = None
    approvals: list[SignOff] = field(default_factory=list)
    suspension: Suspension | None = None
    break_glass: BreakGlass | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """An environment as it was at an instant; `turns` are when something of it changed, newest first."""

    environment: Environment
    at: datetime
    owner: EnvironmentOwner | None
    served: list[Served]
    waivers: list[ImportException]
    turns: list[datetime]


def environment_at(user: Account, slug: str, at: datetime) -> Moment:
    """Return an environment as it was at an instant, as far as an account may know of it; always eleven queries.

    Handoffs that the account may not see are left out. Raises Hidden, and Invalid for an instant that is yet to come.
    """
    environment = environments_visible_to(user).filter(slug=slug).first()
    if environment is None:
        raise Hidden("There is no such environment.")
    if at > timezone.now() + timedelta(seconds=5):
        raise Invalid(
            "Nobody knows what will be.", todo="Ask for an instant that is over.", fields={"at": "is to come"}
        )
    owner = (
        EnvironmentOwner.objects.filter(environment=environment, period__contains=at).select_related("person").first()
    )
    return Moment(
        environment, at, owner, _served(user, environment, at), _waivers(environment, at), _turns(user, environment)
    )


def _served(user: Account, environment: Environment, at: datetime) -> list[Served]:
    rows = (
        _seen(user, environment)
        .filter(Q(ended_at=None) | Q(ended_at__gt=at), live_at__lte=at)
        .select_related("model", "version", "handoff__policy_revision__policy")
        .order_by("model__name", "slot", "live_at")
    )
    found = {row.pk: Served(row) for row in rows}
    by_model = {one.deployment.model_id: one for one in found.values()}
    owners = OwnerOfRecord.objects.filter(environment=environment, model__in=by_model, period__contains=at)
    for owner in owners.select_related("person", "organisation"):
        by_model[owner.model_id].owner = owner
    of_handoffs: dict[Any, list[SignOff]] = {one.deployment.handoff_id: one.approvals for one in found.values()}
    signoffs = SignOff.objects.filter(
        Q(voided_at=None) | Q(voided_at__gt=at), handoff__in=of_handoffs, signed_at__lte=at
    )
    for signoff in signoffs.order_by("signed_at"):
        of_handoffs[signoff.handoff_id].append(signoff)
    stops = Suspension.objects.filter(Q(ended_at=None) | Q(ended_at__gt=at), deployment__in=found, suspended_at__lte=at)
    for stop in stops.select_related("suspended_by"):
        found[stop.deployment_id].suspension = stop
    for glass in BreakGlass.objects.filter(handoff__in=of_handoffs, confirmed_at__lte=at).order_by("confirmed_at"):
        for one in found.values():
            if one.deployment.handoff_id == glass.handoff_id:
                one.break_glass = glass
    return list(found.values())


def _waivers(environment: Environment, at: datetime) -> list[ImportException]:
    """Return the exceptions to the import policy that were in force."""
    held = ImportException.objects.filter(
        Q(revoked_at=None) | Q(revoked_at__gt=at),
        environment=environment,
        answer=ImportException.Answer.GRANTED,
        answered_at__lte=at,
        until__gte=at.date(),
    )
    return list(held.select_related("answered_by").order_by("library", "version"))


def _turns(user: Account, environment: Environment) -> list[datetime]:
    """Return when versions went live, were suspended, were lifted or ended here, the newest first."""
    seen = _seen(user, environment).filter(live_at__isnull=False)
    rows = list(seen.order_by("-live_at").values_list("live_at", "ended_at")[:MOST_TURNS])
    stops = Suspension.objects.filter(deployment__in=seen).order_by("-suspended_at")
    rows += stops.values_list("suspended_at", "ended_at")[:MOST_TURNS]
    moments = {one for row in rows for one in row if one is not None}
    return sorted(moments, reverse=True)[:MOST_TURNS]


def _seen(user: Account, environment: Environment) -> Any:
    return Deployment.objects.filter(environment=environment, handoff__in=handoffs_visible_to(user)).exclude(
        live_at=F("ended_at")
    )
