"""What waits for me: to answer, to acknowledge, to sign, to offer, to fix."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.models import Account
from audit.planning import Each, Given, Prepared, RowsByKey, planned_once
from handoff.access import handoffs_by
from handoff.facts import Known, known_of_many, rules_of
from handoff.models import Finding, Handoff
from handoff.queries.gates import Task, tasks_for
from handoff.queries.handoffs import RELATED
from handoff.states import OPEN, UNDER_OFFER, BreakGlassState, State
from models_registry.access import Held, held_by
from models_registry.queries import unanswered
from models_registry.roles import Role

PAGE = 25  # handoffs
MOST = 500  # handoffs that are judged for a page, where hardly any of them waits
ON_THE_WAY = (State.TESTING, State.DEPLOYING, State.LIVE)  # where only a finding waits for somebody
LONGEST_WARNING = timedelta(days=90)  # what a policy may ask for at most
ASKS_TO_SIGN = (Finding.Kind.APPROVAL, Finding.Kind.BREAK_GLASS, Finding.Kind.REATTESTATION)
OFFERED = (State.DRAFT, State.IN_REVIEW, State.READY, State.CONFIRMING)

# In which of somebody's handoffs something may wait, by the time at which the first of it is wanted, behind the last
# of the page before. Written as SQL, for Django takes longer to put it together than PostgreSQL to answer it.
WAITING = """
WITH waiting AS (
  SELECT h.id, stopped.deployment_id AS stopped, COALESCE(LEAST(
         CASE WHEN h.state = ANY(%(open)s) THEN h.expires_at END,
         mine.due, hanging.due, waiver.due, glass.due), 'infinity') AS wanted
    FROM handoff_handoff h
    LEFT JOIN LATERAL (SELECT true AS is FROM handoff_finding f
          WHERE f.handoff_id = h.id AND f.closed_at IS NULL
            AND (f.suspends OR f.owner_id = %(user)s OR f.kind = ANY(%(asks_to_sign)s)) LIMIT 1) wrong ON true
    CROSS JOIN LATERAL (SELECT min(f.due_at) AS due FROM handoff_finding f
          WHERE f.handoff_id = h.id AND f.closed_at IS NULL AND f.owner_id = %(user)s) mine
    CROSS JOIN LATERAL (SELECT min(c.due_at) AS due
           FROM handoff_condition c JOIN handoff_signoff s ON s.id = c.signoff_id
          WHERE s.handoff_id = h.id AND s.voided_at IS NULL AND NOT EXISTS (
            SELECT FROM handoff_conditionstep t WHERE t.condition_id = c.id AND t.kind = 'accepted')) hanging
    CROSS JOIN LATERAL (SELECT min(w.until)::timestamptz AS due, count(*) AS number FROM handoff_waiver w
          WHERE w.handoff_id = h.id AND (w.answer = ''
             OR w.answer = 'approved' AND w.revoked_at IS NULL AND w.until <= %(warned)s)) waiver
    CROSS JOIN LATERAL (SELECT min(COALESCE(b.until, b.confirm_by)) AS due, bool_or(b.state = 'asked') AS asked
           FROM handoff_breakglass b WHERE b.handoff_id = h.id AND b.ended_at IS NULL) glass
    LEFT JOIN LATERAL (SELECT p.deployment_id
           FROM handoff_suspension p JOIN handoff_deployment d ON d.id = p.deployment_id
          WHERE d.handoff_id = h.id AND p.ended_at IS NULL LIMIT 1) stopped ON true
   WHERE h.id = ANY(ARRAY(SELECT unnest(%(mine)s::uuid[]))) AND (
         h.state = ANY(%(offered)s)
      OR h.state = 'returned' AND NOT EXISTS (SELECT FROM handoff_handoff later
           WHERE later.model_id = h.model_id AND later.target_id = h.target_id AND later.number > h.number
             AND later.state <> 'withdrawn')
      OR h.state = ANY(%(on_the_way)s) AND (wrong.is OR hanging.due IS NOT NULL OR waiver.number > 0)
      OR h.state = 'live' AND (stopped.deployment_id IS NOT NULL OR EXISTS (
           SELECT FROM handoff_amendment a JOIN handoff_deployment d ON d.id = a.deployment_id
            WHERE d.handoff_id = h.id AND a.state = 'proposed'))
      OR h.state = 'superseded' AND glass.asked))
SELECT id, stopped FROM waiting
 WHERE NOT EXISTS (SELECT FROM waiting WHERE id = %(last)s)
    OR (wanted, id) > (SELECT wanted, id FROM waiting WHERE id = %(last)s)
 ORDER BY wanted, id LIMIT %(most)s
"""
PARAMETERS: dict[str, Any] = {
    "open": list(OPEN),
    "offered": list(OFFERED),
    "on_the_way": list(ON_THE_WAY),
    "asks_to_sign": list(ASKS_TO_SIGN),
    "most": MOST,
}


ROWS = RowsByKey(lambda: Handoff.objects.select_related(*RELATED), "uuid")


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
    places = [list(one) for one in (held.environments.get(Role.IT_OPERATIONS, ()), held.all_environments())]
    beside = BESIDE(user.pk, user.natural_person_id, *places)
    return len(first.entries) + len(beside), first.after is not None


def _seen_to(user: Given, places: Given) -> QuerySet[Finding]:
    """Return the open findings of environments that an account sees to, by those that it holds a role on."""
    answered_for = Q(environment__owner=user) | Q(environment__in=Each(places, "uuid"))
    return Finding.objects.filter(answered_for, owner=user, closed_at=None).order_by("due_at", "pk")


SEEN_TO = Prepared(_seen_to, "bigint", "uuid[]")
BESIDE = Prepared(
    lambda user, person, run, places: (
        unanswered(person, Each(run, "uuid"))
        .order_by()
        .values_list("pk")
        .union(_seen_to(user, places).order_by().values_list("pk"))
    ),
    "bigint",
    "bigint",
    "uuid[]",
    "uuid[]",
)


def to_see_to(user: Account, held: Held) -> list[Finding]:
    """Return the open findings of environments that an account sees to, the soonest due first, by what it holds."""
    return SEEN_TO(user.pk, list(held.all_environments()))


def inbox_of(user: Account, held: Held, after: UUID | None = None) -> Inbox:
    """Return a page of what waits for an account, by what it holds, the overdue and the soonest due first.

    `after` is the last handoff of the page before. Four queries, and two more for each further `PAGE` handoffs that
    have to be judged because not all of them wait for the account.
    """
    found = _waiting_of(_handoffs_of(user, held), user, after)
    now = timezone.now()
    waits: list[tuple[Handoff, list[Task]]] = []
    at_once = PAGE + 1  # one more tells whether there is another page
    behind = None
    for at in range(0, MOST, at_once):
        stopped = dict(found[at : at + at_once])
        rows = ROWS(stopped)
        known = known_of_many(rows)
        waits += [(one, tasks) for one in rows if (tasks := _tasks_of(user, one, known[one.pk], stopped[one.pk], now))]
        if len(waits) > PAGE or len(rows) < at_once:
            behind = waits[PAGE - 1][0].pk if len(waits) > PAGE else None
            break
        behind = rows[-1].pk
    entries = [_entry(task, now) for _, tasks in waits[:PAGE] for task in tasks]
    return Inbox(sorted(entries, key=lambda one: (not one.overdue, one.due is None, one.due or now)), behind)


def _mine(user: Given, models: Given, places: Given, built: Given) -> QuerySet[Any, UUID]:
    """Return the handoffs in which something may wait for an account, by what it holds and what it has built.

    Asked by itself: together with what waits there, the database would look at every handoff there is.
    """
    on = Each(models, "uuid"), Each(places, "uuid")
    under_way = handoffs_by(user, *on, state__in=(*OFFERED, *ON_THE_WAY))
    to_go_back = handoffs_by(user, *on, state=State.SUPERSEDED, break_glass__state=BreakGlassState.ASKED)
    to_fix = Handoff.objects.filter(model__in=Each(built, "uuid"), state=State.RETURNED)
    ways = [way.order_by().values_list("pk", flat=True) for way in (under_way, to_go_back, to_fix)]
    return ways[0].union(*ways[1:])


MINE = Prepared(_mine, "bigint", "uuid[]", "uuid[]", "uuid[]")


def _handoffs_of(user: Account, held: Held) -> list[UUID]:
    """Return the handoffs in which something may wait for an account."""
    built = held.models.get(Role.DATA_SCIENTIST, ())
    return MINE(user.pk, list(held.all_models()), list(held.all_environments()), list(built))


def _waiting_of(mine: Collection[UUID], user: Account, last: UUID | None) -> list[tuple[UUID, UUID | None]]:
    """Return those of some handoffs in which something may wait behind the `last`, each with what is suspended."""
    warned = timezone.localdate() + LONGEST_WARNING
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(WAITING, PARAMETERS | {"mine": mine, "user": user.pk, "warned": warned, "last": last})
        return cursor.fetchall()


def _tasks_of(user: Account, handoff: Handoff, known: Known, stopped: UUID | None, now: datetime) -> list[Task]:
    """Return what waits for an account in one handoff, what it is only told of among it."""
    tasks = tasks_for(user, handoff, known)
    builds = known.holds(user.pk, Role.DATA_SCIENTIST)
    if handoff.state == State.RETURNED and builds:
        tasks.append(Task("fix", "fix", "Read why it came back, and make the next version", handoff))
    if stopped and (known.holds(user.pk, Role.IT_OPERATIONS) or handoff.target.owner_id == user.pk):
        title = "It is suspended: lift that, roll it back, or deploy another version"
        tasks.append(Task("suspended", str(stopped), title, handoff))
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
