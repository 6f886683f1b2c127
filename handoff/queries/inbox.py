"""What waits for me: to answer, to acknowledge, to sign, to offer, to fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.facts import Known, known_of_many, rules_of
from handoff.models import Amendment, BreakGlass, Condition, ConditionStep, Finding, Handoff, Suspension, Waiver
from handoff.queries.gates import Task, tasks_for
from handoff.queries.handoffs import RELATED
from handoff.states import OPEN, UNDER_OFFER, AmendmentState, BreakGlassState, State
from models_registry.queries import exceptions_to_answer
from models_registry.roles import Role

ON_THE_WAY = (State.TESTING, State.DEPLOYING, State.LIVE)  # where only a finding waits for somebody
LONGEST_WARNING = timedelta(days=90)  # what a policy may ask for at most
WAITING = (State.DRAFT, State.IN_REVIEW, State.READY, State.CONFIRMING)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that waits, with the time by which it is wanted."""

    task: Task
    due: datetime | None
    overdue: bool
    reminded: bool = False


def count_of(user: Account) -> int:
    """Return how many things wait for an account: in handoffs, and exceptions that are asked of it."""
    return len(inbox_of(user)) + exceptions_to_answer(user).count()


def inbox_of(user: Account) -> list[Entry]:
    """Return what waits for an account, the overdue and the soonest due first: three queries, however long it is.

    Which handoffs are the account's is asked by itself; together with what waits, the database would look at them all.
    """
    under_way = handoffs_visible_to(user, state__in=(*WAITING, State.RETURNED, *ON_THE_WAY)).order_by().values("pk")
    to_go_back = handoffs_visible_to(user, state=State.SUPERSEDED, break_glass__state=BreakGlassState.ASKED)
    mine = [row["pk"] for row in under_way.union(to_go_back.order_by().values("pk"))]
    later = Handoff.objects.filter(
        model=OuterRef("model"), target=OuterRef("target"), number__gt=OuterRef("number")
    ).exclude(state=State.WITHDRAWN)
    wrong = Finding.objects.filter(handoff=OuterRef("pk"), closed_at=None).filter(
        Q(suspends=True) | Q(owner=user) | Q(kind__in=[Finding.Kind.APPROVAL, Finding.Kind.BREAK_GLASS])
    )
    accepted = ConditionStep.objects.filter(condition=OuterRef("pk"), kind=ConditionStep.Kind.ACCEPTED)
    hanging = Condition.objects.filter(signoff__handoff=OuterRef("pk"), signoff__voided_at=None).exclude(
        Exists(accepted)
    )
    waiver = Waiver.objects.filter(handoff=OuterRef("pk")).filter(
        Q(answer="") | Q(answer="approved", revoked_at=None, until__lte=timezone.localdate() + LONGEST_WARNING)
    )
    proposed = Amendment.objects.filter(deployment__handoff=OuterRef("pk"), state=AmendmentState.PROPOSED)
    waits = Q(Exists(wrong) | Exists(hanging) | Exists(waiver), state__in=ON_THE_WAY)
    stopped = Suspension.objects.filter(deployment__handoff=OuterRef("pk"), ended_at=None)
    waits |= Q(Exists(proposed) | Exists(stopped), state=State.LIVE)
    asked = BreakGlass.objects.filter(handoff=OuterRef("pk"), state=BreakGlassState.ASKED)
    waits |= Q(Exists(asked), state=State.SUPERSEDED)
    rows = list(
        Handoff.objects.filter(pk__in=mine)
        .filter(Q(state__in=(*WAITING, State.RETURNED)) | waits)
        .exclude(Exists(later), state=State.RETURNED)
        .annotate(stopped=Subquery(stopped.values("deployment")[:1]))
        .select_related(*RELATED)[:500]
    )
    known = known_of_many(rows)
    tasks = [task for handoff in rows for task in tasks_for(user, handoff, known[handoff.pk])]
    tasks += [
        Task("fix", "fix", "Read why it came back, and make the next version", handoff)
        for handoff in rows
        if handoff.state == State.RETURNED and known[handoff.pk].holds(user.pk, Role.DATA_SCIENTIST)
    ]
    tasks += [task for handoff in rows if handoff.stopped for task in _stopped(user, handoff, known[handoff.pk])]
    now = timezone.now()
    tasks += [task for handoff in rows if _reminds(handoff, now) for task in _reminder(user, handoff, known)]
    entries = [_entry(task, now) for task in tasks]
    return sorted(entries, key=lambda e: (not e.overdue, e.due is None, e.due or now))


def _stopped(user: Account, handoff: Any, known: Known) -> list[Task]:
    """Tell those who run a version, and who answers for the environment, that it is suspended."""
    if not known.holds(user.pk, Role.IT_OPERATIONS) and handoff.target.owner_id != user.pk:
        return []
    title = "It is suspended: lift that, roll it back, or deploy another version"
    return [Task("suspended", str(handoff.stopped), title, handoff)]


def _entry(task: Task, now: datetime) -> Entry:
    due = task.due or (task.handoff.expires_at if task.handoff.state in OPEN else None)
    return Entry(task, due, overdue=bool(due and due < now), reminded=_reminds(task.handoff, now))


def _reminds(handoff: Handoff, now: datetime) -> bool:
    """Tell whether an offer ends so soon that its policy reminds of it."""
    if handoff.state not in UNDER_OFFER or handoff.expires_at is None or handoff.policy is None:
        return False
    days = rules_of(handoff).reminders_before_days
    return bool(days) and handoff.expires_at - now <= timedelta(days=max(days))


def _reminder(user: Account, handoff: Handoff, known: Mapping[UUID, Known]) -> list[Task]:
    """Remind those who offered that what they offered ends soon, whoever it waits for."""
    if not known[handoff.pk].holds(user.pk, Role.DATA_SCIENTIST):
        return []
    return [Task("remind", "remind", "Ends soon: see whom it waits for, or offer it anew", handoff)]
