"""Read amendments: those of what somebody may know of, and exactly what a signature for one would cover."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Cast
from django.utils import timezone

from audit.models import Account
from audit.models.names import NameJSON
from audit.planning import Each, Given, Prepared
from handoff.access import handoffs_visible_to
from handoff.amended import given, scope_now
from handoff.errors import Hidden
from handoff.facts import Known, known_of
from handoff.models import Amendment
from handoff.rules.amendments import COVERED, signed_already
from handoff.rules.scopes import digest
from handoff.states import AmendmentState, DeploymentState
from models_registry.access import Held
from models_registry.models import Consumer, Stream
from models_registry.roles import Role

RELATED = (
    "deployment__handoff__model",
    "deployment__handoff__version",
    "deployment__model",
    "deployment__version",
    "deployment__environment",
    "proposed_by__responsible",
)
NEWS = timedelta(days=30)
MOST_NEWS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """One signature that an amendment asks for: the role, who has given it, and who can."""

    key: str
    role: str
    title: str
    meaning: str
    by: str
    decision: str
    who: tuple[str, ...]
    mine: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One amendment whole. `seen` comes back with a signature; `barred` says why this person gives none now."""

    amendment: Amendment
    parts: tuple[tuple[str, str, str], ...]
    seen: str
    wanted: tuple[Wanted, ...]
    barred: str
    outdated: bool
    may_withdraw: bool
    signs_as: str

    @property
    def to_sign(self) -> Wanted | None:
        """Return the signature that this person can give."""
        return None if self.barred else next((one for one in self.wanted if one.mine), None)


def listed(user: Account, **filters: Any) -> QuerySet[Amendment]:
    """Return the amendments an account may know of, the newest first; filters are state, model and deployment.

    What changes is kept with marks, and here to be read with names: `told_changes` and `told_consumers`.
    """
    found = Amendment.objects.filter(deployment__handoff__in=handoffs_visible_to(user)).select_related(*RELATED)
    found = found.annotate(told_changes=Cast("changes", NameJSON()), told_consumers=Cast("consumers", NameJSON()))
    if filters.get("state"):
        found = found.filter(state=filters["state"])
    if filters.get("model"):
        found = found.filter(deployment__model__slug=filters["model"])
    if filters.get("deployment"):
        found = found.filter(deployment=filters["deployment"])
    return found.order_by("-proposed_at", "pk")


def amendments_of(user: Account, deployment: Any) -> list[Amendment]:
    """Return the amendments of a deployment; one that only answers requests has none."""
    return list(listed(user, deployment=deployment)) if deployment.bindings.get("outputs") else []


def _applied(since: Given, models: Given) -> QuerySet[Amendment]:
    """Return the newest amendments of what some models have live that were applied since a time."""
    found = Amendment.objects.filter(state=AmendmentState.APPLIED, ended_at__gte=since)
    return (
        found.filter(deployment__model__in=Each(models, "uuid"))
        .select_related("deployment__model", "deployment__version", "deployment__environment", "proposed_by")
        .order_by("-ended_at")[:MOST_NEWS]
    )


APPLIED = Prepared(_applied, "timestamptz", "uuid[]")


def news_for(held: Held) -> list[Amendment]:
    """Return what was changed lately in what data scientists have built, for one who holds that role.

    They are informed, and not asked.
    """
    built = held.models.get(Role.DATA_SCIENTIST, ())
    return APPLIED(timezone.now() - NEWS, list(built)) if built else []


def sheet_for(user: Account, amendment_id: UUID | str) -> Sheet:
    """Return an amendment with what a signature would cover now, and who can give which. Raises Hidden."""
    amendment = listed(user).prefetch_related("signoffs").filter(pk=amendment_id).first()
    if amendment is None:
        raise Hidden("There is no such amendment.")
    known = known_of(amendment.deployment.handoff)
    scope = scope_now(amendment, amendment.deployment.handoff)
    outdated = scope["before"] != digest(amendment.before)
    open_ = amendment.state == AmendmentState.PROPOSED
    wanted = tuple(_wanted(user, amendment, known, one) for one in amendment.requirements)
    role = next((one.role for one in wanted if one.mine), "")
    return Sheet(
        amendment=amendment,
        parts=tuple((name, COVERED[name], told) for name, told in scope.items()),
        seen=digest(scope),
        wanted=wanted,
        barred=_barred(user, amendment, known, outdated),
        outdated=open_ and outdated,
        may_withdraw=open_ and amendment.proposed_by.natural_person_id == user.natural_person_id,
        signs_as=known.facts.chain.printed_name(role, user.pk, user.printed_name),
    )


def _wanted(user: Account, amendment: Amendment, known: Known, rule: dict[str, str]) -> Wanted:
    signed = next((one for one in amendment.signoffs.all() if one.requirement == rule["key"]), None)
    holders = known.facts.holders.get(rule["role"], {})
    return Wanted(
        key=rule["key"],
        role=rule["role"],
        title=str(Role(rule["role"]).label),
        meaning=rule["meaning"],
        by=signed.printed_name if signed else "",
        decision=signed.decision if signed else "",
        who=() if signed else tuple(holders.values()),
        mine=signed is None
        and user.pk in holders
        and not signed_already(given(amendment), known.facts.chain, rule["role"], user.pk),
    )


def _barred(user: Account, amendment: Amendment, known: Known, outdated: bool) -> str:
    """Return why somebody gives no signature now; nothing if they can."""
    if amendment.state != AmendmentState.PROPOSED:
        return f"The amendment is {amendment.get_state_display()}."
    if amendment.deployment.state != DeploymentState.LIVE:
        return f"The deployment is {amendment.deployment.get_state_display()} now."
    if outdated:
        return "Another amendment was applied since this one was proposed; propose it anew."
    roles = [one["role"] for one in amendment.requirements if known.holds(user.pk, one["role"])]
    if not user.is_person or not roles:
        return "You do not hold a role that signs here."
    signed = [signed_already(given(amendment), known.facts.chain, role, user.pk) for role in roles]
    return signed[0] if all(signed) else ""


def streams_to_choose(environment_id: Any) -> tuple[list[Stream], list[Stream]]:
    """Return the sources and the sinks of an environment."""
    found = list(Stream.objects.filter(environment=environment_id, retired_at=None).order_by("slug"))
    return [one for one in found if one.direction == "source"], [one for one in found if one.direction == "sink"]


def fed_by(environment_id: Any, sinks: list[str]) -> list[Consumer]:
    """Return the consumers of some sinks."""
    found = Consumer.objects.filter(stream__environment=environment_id, stream__slug__in=sinks, retired_at=None)
    return list(found.select_related("stream", "owner").order_by("stream__slug", "name"))
