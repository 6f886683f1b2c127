"""Retire what is live: plan it for a day, tell the owners of consumers, cancel it, and order it when it is due."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.confirmations import use_up
from handoff.errors import Forbidden, Hidden, Invalid, WrongState
from handoff.facts import Known, rules_of
from handoff.going_back import take_out_of_service
from handoff.going_live import RELATED
from handoff.in_force import bindings_of
from handoff.models import Deployment, Handoff, Job, Retirement, RetirementNotice
from handoff.moves import chain_of
from handoff.queries.amendments import fed_by
from handoff.retiring import end_retirement, retirement_of
from handoff.states import DeploymentState
from models_registry.access import accounts_of
from models_registry.roles import Role

LONGEST = 2000
LATEST = timedelta(days=730)
Ending = Retirement.Ending


@act
def plan(
    *, actor: Person, deployment_id: UUID | str, reason: str, reauthentication: str, day: date | None = None
) -> Retirement:
    """Plan to take a live version out for good, from the beginning of a day in UTC; without one, at once.

    The owners of the consumers of its outputs are told, and have the days of notice that its policy gives them.
    `reauthentication` is the key of an unused confirmation of identity. IT operations plans it. Raises Hidden,
    Forbidden, WrongRole, Invalid, WrongState or NotConfirmed; then nothing has changed.
    """
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden("Only a natural person retires what is live.", code="person_required")
    deployment, handoff, known = _lock(actor, deployment_id)
    require_role(actor, known, Role.IT_OPERATIONS, "retire what is live")
    if deployment.state != DeploymentState.LIVE:
        raise WrongState(f"A deployment that is {deployment.get_state_display()} is not retired.")
    if retirement_of(deployment) is not None:
        raise WrongState("Its retirement is planned already.", code="retirement_planned", todo="Cancel that first.")
    reason = _said(reason, "Say why it is retired.")
    due = _due(handoff, day)
    proof = use_up(reauthentication, actor)
    made = Retirement.objects.create(
        deployment=deployment,
        planned_by=actor.user,
        reason=reason,
        due_at=due,
        reauthentication_id=proof.reauthentication,
    )
    told = _tell(made, deployment)
    data = {"version": deployment.version.number, "retirement": str(made.pk), "due": due.isoformat(), "told": told}
    record("retirement.planned", actor=actor, on=deployment, chain=chain_of(handoff), data=data, reason=reason)
    if due <= timezone.now():
        _order(made, deployment, handoff, actor=actor)
    return made


@act
def cancel(*, actor: Person, deployment_id: UUID | str, reason: str) -> Retirement:
    """Cancel a retirement before its work is ordered. Raises Hidden, WrongRole, Invalid or WrongState."""
    deployment, _, known = _lock(actor, deployment_id)
    require_role(actor, known, Role.IT_OPERATIONS, "cancel a retirement")
    found = retirement_of(deployment)
    if found is None:
        raise WrongState("No retirement of it is planned.", code="no_retirement")
    if found.due_at <= timezone.now():
        raise WrongState(
            "Its day has come, and a worker is taking it out.",
            code="retirement_due",
            todo="Offer the version anew, if it is needed after all.",
        )
    end_retirement(deployment, Ending.CANCELLED, _said(reason, "Say why it stays."), actor=actor)
    found.refresh_from_db()
    return found


@act
def acknowledge(*, actor: Person, notice_id: int) -> RetirementNotice:
    """Say that one has read that what feeds a consumer of one's own is going. Raises Hidden or WrongState."""
    mine = RetirementNotice.objects.filter(owner__in=accounts_of(actor.user))
    notice = mine.select_for_update(of=("self",)).select_related("retirement__deployment__handoff", "consumer")
    found = notice.filter(pk=notice_id).first()
    if found is None:
        raise Hidden("There is no such notice.")
    if found.acknowledged_at is not None:
        raise WrongState("You have said so before.", code="notice_acknowledged")
    RetirementNotice.objects.filter(pk=found.pk).update(acknowledged_at=Now())
    deployment = found.retirement.deployment
    data = {"retirement": str(found.retirement_id), "consumer": found.consumer.name}
    record("retirement.acknowledged", actor=actor, on=deployment, chain=chain_of(deployment.handoff), data=data)
    found.refresh_from_db()
    return found


def due() -> list[UUID]:
    """Return the plans whose day has come."""
    found = Retirement.objects.filter(ended_at=None, due_at__lte=Now()).order_by("due_at")
    return list(found.values_list("pk", flat=True))


@act
def order_due(*, actor: Worker, retirement_id: UUID) -> Job | None:
    """Order what is due, and again until it is done; None while that is under way, or if it stands no more."""
    found = Retirement.objects.select_related("deployment").get(pk=retirement_id)
    handoff = Handoff.objects.select_for_update(of=("self",)).get(pk=found.deployment.handoff_id)
    deployment = Deployment.objects.select_related(*RELATED).get(pk=found.deployment_id)
    stands = retirement_of(deployment)
    if stands is None or stands.due_at > timezone.now() or deployment.state != DeploymentState.LIVE:
        return None
    return _order(stands, deployment, handoff, actor=actor)


def _order(found: Retirement, deployment: Deployment, handoff: Handoff, *, actor: Actor) -> Job | None:
    return take_out_of_service(handoff, deployment, f"it is retired: {found.reason}", actor=actor)


def _lock(actor: Person, deployment_id: UUID | str) -> tuple[Deployment, Handoff, Known]:
    found = Deployment.objects.filter(pk=deployment_id).first()
    if found is None:
        raise Hidden("There is no such deployment.")
    try:
        handoff, known = lock_handoff(actor, found.handoff_id)
    except Hidden:
        raise Hidden("There is no such deployment.") from None  # the words would tell that it is there
    return Deployment.objects.select_related(*RELATED).get(pk=found.pk), handoff, known


def _due(handoff: Handoff, day: date | None) -> datetime:
    """Return when it is taken out. Raises Invalid for a day that is over, too soon for the policy, or too far away."""
    now, today = timezone.now(), timezone.now().astimezone(UTC).date()
    first = rules_of(handoff).retirement.first_day(today)
    day = day or today
    if not first <= day <= today + LATEST:
        words = f"must be a day from {first.isoformat()} on, within two years"
        raise Invalid("Say on which day it is retired; its consumers need notice.", fields={"day": words})
    return now if day == today else datetime.combine(day, time(), UTC)


def _tell(made: Retirement, deployment: Deployment) -> list[str]:
    sinks = [one["stream"] for one in bindings_of(deployment.handoff).get("outputs", ())]
    consumers = fed_by(deployment.environment_id, sinks)
    RetirementNotice.objects.bulk_create(
        RetirementNotice(retirement=made, consumer=one, owner=one.owner) for one in consumers
    )
    return [f"{one.owner.mark} ({one.name})" for one in consumers]


def _said(reason: str, ask: str) -> str:
    if not 0 < len(reason.strip()) <= LONGEST:
        raise Invalid(ask, fields={"reason": f"must be 1 to {LONGEST} characters"})
    return reason.strip()
