"""What waits for me: to answer, to acknowledge, to sign, to offer, to fix."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Cast, Coalesce, Least
from django.utils import timezone

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.facts import Known, known_of_many, rules_of
from handoff.models import Amendment, BreakGlass, Condition, ConditionStep, Finding, Handoff, Suspension, Waiver
from handoff.queries.findings import of_environments
from handoff.queries.gates import Task, tasks_for
from handoff.queries.handoffs import RELATED
from handoff.states import OPEN, UNDER_OFFER, AmendmentState, BreakGlassState, State
from models_registry.access import Held, held_by
from models_registry.queries import exceptions_to_answer
from models_registry.roles import Role

PAGE = 25  # handoffs
MOST = 500  # handoffs that are judged for a page, where hardly any of them waits
ON_THE_WAY = (State.TESTING, State.DEPLOYING, State.LIVE)  # where only a finding waits for somebody
LONGEST_WARNING = timedelta(days=90)  # what a policy may ask for at most
ASKS_TO_SIGN = (Finding.Kind.APPROVAL, Finding.Kind.BREAK_GLASS, Finding.Kind.REATTESTATION)
WAITING = (State.DRAFT, State.IN_REVIEW, State.READY, State.CONFIRMING)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that waits, with the time by which it is wanted."""

    task: Task
    due: datetime | None
    overdue: bool
    reminded: bool = False


@dataclass(frozen=True, slots=True)
class Inbox:
    """One page of what waits for an account. `after` is its last handoff, if there may be more behind it."""

    entries: list[Entry]
    after: UUID | None


def count_of(user: Account) -> tuple[int, bool]:
    """Return how many things wait on the first page of an account's inbox; and if there is more.

    Exceptions to answer and findings of environments are among them. What is further down is not judged only to be
    counted.
    """
    held = held_by(user)
    first = inbox_of(user, held)
    beside = [exceptions_to_answer(user, held), to_see_to(user)]
    others = beside[0].order_by().values("pk").union(beside[1].order_by().values("pk"))
    return len(first.entries) + others.count(), first.after is not None


def to_see_to(user: Account) -> QuerySet[Finding]:
    """Return the open findings of environments that an account sees to, the soonest due first."""
    return of_environments(user).filter(owner=user)


def inbox_of(user: Account, held: Held, after: UUID | None = None) -> Inbox:
    """Return a page of what waits for an account, by what it holds, the overdue and the soonest due first.

    `after` is the last handoff of the page before. Three queries, and two more for each further `PAGE` handoffs that
    have to be judged because not all of them wait for the account.
    """
    found = _by_time(_handoffs_of(user, held), user)
    found = found if after is None else _beyond(found, after)
    now = timezone.now()
    waits: list[tuple[Handoff, list[Task]]] = []
    at_once = PAGE + 1  # one more tells whether there is another page
    behind = None
    for at in range(0, MOST, at_once):
        rows = list(found[at : at + at_once])
        known = known_of_many(rows)
        waits += [(one, tasks) for one in rows if (tasks := _tasks_of(user, one, known[one.pk], now))]
        if len(waits) > PAGE or len(rows) < at_once:
            behind = waits[PAGE - 1][0].pk if len(waits) > PAGE else None
            break
        behind = rows[-1].pk
    entries = [_entry(task, now) for _, tasks in waits[:PAGE] for task in tasks]
    return Inbox(sorted(entries, key=lambda one: (not one.overdue, one.due is None, one.due or now)), behind)


def _handoffs_of(user: Account, held: Held) -> list[UUID]:
    """Return the handoffs in which something may wait for an account.

    Asked by itself: together with what waits there, the database would look at every handoff there is.
    """
    under_way = handoffs_visible_to(user, held, state__in=(*WAITING, *ON_THE_WAY))
    to_go_back = handoffs_visible_to(user, held, state=State.SUPERSEDED, break_glass__state=BreakGlassState.ASKED)
    to_fix = Handoff.objects.filter(model__in=held.models.get(Role.DATA_SCIENTIST, ()), state=State.RETURNED)
    ways = [way.order_by().values("pk") for way in (under_way, to_go_back, to_fix)]
    return [row["pk"] for row in ways[0].union(*ways[1:])]


def _by_time(mine: Collection[UUID], user: Account) -> QuerySet[Any]:
    """Return those of some handoffs in which something may wait, by the time at which the first of it is wanted."""
    later = Handoff.objects.filter(
        model=OuterRef("model"), target=OuterRef("target"), number__gt=OuterRef("number")
    ).exclude(state=State.WITHDRAWN)
    wrong = Finding.objects.filter(handoff=OuterRef("pk"), closed_at=None).filter(
        Q(suspends=True) | Q(owner=user) | Q(kind__in=ASKS_TO_SIGN)
    )
    accepted = ConditionStep.objects.filter(condition=OuterRef("pk"), kind=ConditionStep.Kind.ACCEPTED)
    hanging = Condition.objects.filter(signoff__handoff=OuterRef("pk"), signoff__voided_at=None).exclude(
        Exists(accepted)
    )
    waiver = Waiver.objects.filter(handoff=OuterRef("pk")).filter(
        Q(answer="") | Q(answer="approved", revoked_at=None, until__lte=timezone.localdate() + LONGEST_WARNING)
    )
    proposed = Amendment.objects.filter(deployment__handoff=OuterRef("pk"), state=AmendmentState.PROPOSED)
    stopped = Suspension.objects.filter(deployment__handoff=OuterRef("pk"), ended_at=None)
    glass = BreakGlass.objects.filter(handoff=OuterRef("pk"), ended_at=None)
    waits = Q(Exists(wrong) | Exists(hanging) | Exists(waiver), state__in=ON_THE_WAY)
    waits |= Q(Exists(proposed) | Exists(stopped), state=State.LIVE)
    waits |= Q(Exists(glass.filter(state=BreakGlassState.ASKED)), state=State.SUPERSEDED)
    wanted = Least(
        Case(When(state__in=OPEN, then=F("expires_at"))),
        _first(wrong.filter(owner=user), F("due_at")),
        _first(hanging, F("due_at")),
        _first(waiver, Cast("until", DateTimeField())),
        _first(glass, Coalesce("until", "confirm_by")),
    )
    return (
        Handoff.objects.filter(Q(state__in=(*WAITING, State.RETURNED)) | waits, pk__in=mine)
        .exclude(Exists(later), state=State.RETURNED)
        .annotate(stopped=Subquery(stopped.values("deployment")[:1]), wanted=wanted)
        .select_related(*RELATED)
        .order_by(F("wanted").asc(nulls_last=True), "pk")
    )


def _first(rows: QuerySet[Any], due: Any) -> Subquery:
    """Return when the first of some rows is due, within a query of the handoffs that they belong to."""
    return Subquery(rows.annotate(by=due).order_by("by").values("by")[:1])


def _beyond(found: QuerySet[Any], last: UUID) -> QuerySet[Any]:
    """Return what comes after a handoff; all of it, if that one waits no more."""
    row = found.filter(pk=last).values("wanted").first()
    if row is None:
        return found
    if row["wanted"] is None:
        return found.filter(wanted=None, pk__gt=last)
    return found.filter(Q(wanted=None) | Q(wanted__gt=row["wanted"]) | Q(wanted=row["wanted"], pk__gt=last))


def _tasks_of(user: Account, handoff: Any, known: Known, now: datetime) -> list[Task]:
    """Return what waits for an account in one handoff, what it is only told of among it."""
    tasks = tasks_for(user, handoff, known)
    builds = known.holds(user.pk, Role.DATA_SCIENTIST)
    if handoff.state == State.RETURNED and builds:
        tasks.append(Task("fix", "fix", "Read why it came back, and make the next version", handoff))
    if handoff.stopped and (known.holds(user.pk, Role.IT_OPERATIONS) or handoff.target.owner_id == user.pk):
        title = "It is suspended: lift that, roll it back, or deploy another version"
        tasks.append(Task("suspended", str(handoff.stopped), title, handoff))
    if builds and _reminds(handoff, now):  # whoever it waits for
        title = "Ends soon: see whom it waits for, or offer it anew"
        tasks.append(Task("remind", "remind", title, handoff))
    return tasks


def _entry(task: Task, now: datetime) -> Entry:
    due = task.due or (task.handoff.expires_at if task.handoff.state in OPEN else None)
    return Entry(task, due, overdue=bool(due and due < now), reminded=_reminds(task.handoff, now))


def _reminds(handoff: Handoff, now: datetime) -> bool:
    """Tell whether an offer ends so soon that its policy reminds of it."""
    if handoff.state not in UNDER_OFFER or handoff.expires_at is None or handoff.policy is None:
        return False
    days = rules_of(handoff).reminders_before_days
    return bool(days) and handoff.expires_at - now <= timedelta(days=max(days))
