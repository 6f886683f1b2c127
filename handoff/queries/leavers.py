"""Read who has left and when their name goes, what they still answer for, and where the trail has it from earlier."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Greatest
from django.utils import timezone

from audit.marks import PREFIX
from audit.models import Account, AuditEvent, NameHold, NameNotice
from handoff.errors import Hidden
from handoff.models import Adoption, AmendmentSignOff, BreakGlass, Condition, ConditionStep, Finding, Leaver, SignOff
from handoff.rules.leavers import NameRules
from models_registry.models import Consumer, Environment, Holding, Stream
from models_registry.roles import Role

OVERDUE = timedelta(days=1)
SIGNED = ((SignOff, "signer"), (AmendmentSignOff, "signer"), (Adoption, "adopted_by"), (BreakGlass, "confirmed_by"))


@dataclass(frozen=True, slots=True)
class Traces:
    """How many events and signatures from before there were marks hold a name in bytes that nothing changes."""

    events: int
    signatures: int


def rules() -> NameRules:
    """Return what this installation says of the names of those who have left."""
    return NameRules(settings.NAMES_GO_AFTER, settings.NAMES_NOTICE)


def _people() -> QuerySet[Any]:
    """Return all accounts, without the types of their columns: the query below adds some."""
    return Leaver.objects.all()


def leavers() -> QuerySet[Any]:
    """Return who has left and has their name still: people all of whose accounts are inactive, by the main one.

    `gone_at` is when the last of them was made inactive, `announced` the day of which notice was given since, and
    `held` the hold that stands, if one does. Who has never been active since the site keeps the time has no `gone_at`.
    """
    others = Account.objects.filter(same_person=OuterRef("pk")).order_by(F("left_at").desc(nulls_last=True))
    hold = NameHold.objects.filter(Q(account=OuterRef("pk")) | Q(account__same_person=OuterRef("pk")), lifted_at=None)
    notice = NameNotice.objects.filter(account=OuterRef("pk"), left_at=OuterRef("gone_at"))
    return (
        _people()
        .filter(kind=Account.Kind.PERSON, same_person=None, is_active=False, pseudonymised_at=None)
        .exclude(Exists(others.filter(is_active=True)))
        .annotate(
            gone_at=Greatest("left_at", Subquery(others.values("left_at")[:1])), held=Subquery(hold.values("pk")[:1])
        )
        .annotate(announced=Subquery(notice.values("goes_at")[:1]))
        .order_by("gone_at", "pk")
    )


def to_announce() -> QuerySet[Any]:
    """Return those whose day is to be announced now; nobody where names only go by hand."""
    said = rules()
    if not said.by_themselves:
        return Leaver.objects.none()
    return leavers().filter(announced=None, gone_at__lte=said.told_from(timezone.now()))


def due() -> QuerySet[Any]:
    """Return those whose name goes now by itself, as it was announced. One that is held does not."""
    said, now = rules(), timezone.now()
    if not said.by_themselves:
        return Leaver.objects.none()
    return leavers().filter(announced__lte=now, gone_at__lte=now - said.after, held=None)


@dataclass(frozen=True, slots=True)
class Going:
    """Somebody who has left: since when, when their name goes, whether that was announced, and what holds it."""

    account: Account
    left_at: datetime | None
    goes_at: datetime | None
    announced: bool
    hold: NameHold | None


def going(user: Account) -> list[Going]:
    """Return who has left and has their name still, for an administrator of the site. Raises Hidden."""
    if not (user.is_staff and user.is_person):
        raise Hidden("There is no such list.")
    rows = list(leavers())
    holds = NameHold.objects.select_related("held_by").in_bulk([one.held for one in rows if one.held])
    return [going_of(one, holds.get(one.held)) for one in rows]


def going_of(one: Any, hold: NameHold | None) -> Going:
    """Return what is known of a row of `leavers`."""
    at = rules().goes_at(one.gone_at, one.announced) if one.gone_at else None
    return Going(one, one.gone_at, at, one.announced is not None, hold)


def announced_to(user: Account) -> list[Going]:
    """Return, for an administrator, whose names go as was announced, the soonest first; to anybody else nothing."""
    if not (user.is_staff and user.is_person and rules().by_themselves):
        return []
    found = [going_of(one, None) for one in leavers().filter(announced__isnull=False, held=None)]
    return sorted(found, key=lambda one: (one.goes_at or timezone.now(), one.account.pk))


def overdue() -> int:
    """Return how many names should have gone a day ago or more, and stay, for they answer for something still."""
    return due().filter(announced__lte=timezone.now() - OVERDUE).count()


def traces_of(people: Collection[Account]) -> Traces:
    """Return how much of what some accounts did was written with their names: it keeps them as long as it is kept."""
    events = AuditEvent.objects.filter(actor__in=people).exclude(actor_label__startswith=PREFIX).count()
    signed = [
        table._default_manager.filter(**{f"{who}__in": people}).exclude(printed_name__startswith=PREFIX).count()
        for table, who in SIGNED
    ]
    return Traces(events, sum(signed))


def still_answers_for(people: Collection[Account]) -> list[str]:
    """Return, in words, what some accounts own, hold or owe; it must be somebody else's before their name goes."""
    owned = {"owner__in": people}
    found = [f"the environment {one.slug}" for one in Environment.objects.filter(**owned)]
    found += [f"the stream {one.slug}" for one in Stream.objects.filter(retired_at=None, **owned)]
    found += [f"the consumer {one.name}" for one in Consumer.objects.filter(retired_at=None, **owned)]
    held = Holding.objects.filter(account__in=people, behalf=None).select_related("model", "environment")
    found += [f"the role {Role(one.role).label} on {one.on[1]}" for one in held]
    robots = Account.objects.filter(responsible__in=people, is_active=True)
    found += [f"the service account {one.username}" for one in robots]
    found += [f"the finding {one.pk}" for one in Finding.objects.filter(closed_at=None, **owned)]
    accepted = ConditionStep.objects.filter(condition=OuterRef("pk"), kind=ConditionStep.Kind.ACCEPTED)
    owed = Condition.objects.filter(~Exists(accepted), signoff__voided_at=None, **owned)
    return [*found, *(f"the condition {one.text}" for one in owed)]
