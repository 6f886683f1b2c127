"""Read what somebody who has left still answers for, and where the trail holds their name from earlier days."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from audit.marks import PREFIX
from audit.models import Account, AuditEvent
from handoff.models import Adoption, AmendmentSignOff, BreakGlass, Condition, ConditionStep, Finding, SignOff
from models_registry.models import Consumer, Environment, Holding, Stream
from models_registry.roles import Role

SIGNED = ((SignOff, "signer"), (AmendmentSignOff, "signer"), (Adoption, "adopted_by"), (BreakGlass, "confirmed_by"))


@dataclass(frozen=True, slots=True)
class Traces:
    """How many events and signatures from before there were marks hold a name in bytes that nothing changes."""

    events: int
    signatures: int


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
