"""Let approvals run out, and keep the finding about them in step, as a worker does every minute."""

from uuid import UUID

from django.db.models import BooleanField, Exists, Func, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast

from audit.actors import Worker
from audit.acts import act
from handoff.facts import known_of, rules_of
from handoff.models import Condition, Finding, Handoff, SignOff
from handoff.rules.approvals import expired
from handoff.states import UNDER_OFFER, State
from handoff.suspending import settle_approvals, settled
from handoff.voiding import void

TOLD = (Finding.Kind.APPROVAL, Finding.Kind.REATTESTATION)


def running() -> QuerySet[Handoff]:
    """Return the handoffs under offer and live ones whose approvals can end, or be asked for anew, as time goes by."""
    here = OuterRef("pk")
    hanging = Condition.objects.filter(signoff__handoff=here, signoff__voided_at=None)
    told = Finding.objects.filter(handoff=here, kind__in=TOLD, closed_at=None)
    by_policy = Q(policy__has_key="reattestation") | Q(ages=True)
    signed = Exists(SignOff.objects.filter(handoff=here, voided_at=None))
    ages = Func("policy", Value("$.**.valid_days ? (@ > 0)"), template="jsonb_path_exists(%(expressions)s::jsonpath)")
    found = Handoff.objects.filter(state__in=[*UNDER_OFFER, State.LIVE]).alias(ages=Cast(ages, BooleanField()))
    return found.filter(signed & by_policy | Exists(hanging) | Exists(told)).order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    """Let the sign-offs of a handoff expire whose time has run out; return the finding that was raised, if any.

    Approvals behind a gate that has opened may have run out, be asked for anew, or hang on a condition that is overdue.
    """
    handoff = Handoff.objects.filter(pk=handoff_id, state__in=[*UNDER_OFFER, State.LIVE]).first()
    if handoff is None:
        return None
    known = known_of(handoff)
    if not expired(rules_of(handoff), known.facts) and settled(handoff, known):
        return None
    return _settle(actor=actor, handoff_id=handoff_id)


@act
def _settle(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=handoff_id)
    for signoff, why in expired(rules_of(handoff), known_of(handoff).facts):
        void(handoff, signoff, why, SignOff.Ending.EXPIRED, actor=actor)
    return settle_approvals(handoff, known_of(handoff), actor=actor)
