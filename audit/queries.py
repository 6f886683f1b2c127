"""Read the trail: the story of one thing, and the whole site's for those who audit it."""

from datetime import datetime, time
from typing import TypedDict, Unpack

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import get_current_timezone, is_naive, make_aware

from audit.actions import ACTIONS
from audit.errors import Hidden, Invalid
from audit.models import Account, AuditEvent, TreeHead
from audit.models.events import Events
from audit.visibility import FEW, chains_of, events_of, events_visible_to, newest_of


class Filters(TypedDict, total=False):
    """What the list can be narrowed by; all texts, as they come from an address."""

    chain: str
    action: str
    actor: str
    since: str
    until: str


def timeline(chain: str) -> QuerySet[AuditEvent]:
    """Return one chain's events, newest first. Whoever calls has made sure that the asker may see the thing."""
    return AuditEvent.objects.named().filter(chain=chain).order_by("-seq")


def listed(user: Account, **filters: Unpack[Filters]) -> Events:
    """Return the events an account may read, narrowed, to be sorted by time. Raises Invalid for a filter without sense.

    `chain` is a whole name or a kind with a colon ('handoff:'); `action` a whole name or a group with a dot
    ('signoff.'); `actor` a user name or a worker's name; `since` (from then on) and `until` (before then) ISO 8601.
    """
    chains = chains_of(user)
    few = _narrowed(events_of(chains), filters)
    many = few.order_by()[FEW:].exists()
    return (_narrowed(newest_of(chains), filters) if many else few).named()


def _narrowed(found: Events, filters: Filters) -> Events:
    if chain := filters.get("chain"):
        found = found.filter(chain__startswith=chain) if chain.endswith(":") else found.filter(chain=chain)
    if action := filters.get("action"):
        found = found.filter(_action(action))
    if actor := filters.get("actor"):
        found = found.filter(Q(actor__username=actor) | Q(actor=None, actor_label=actor))
    if since := filters.get("since"):
        found = found.filter(at__gte=moment("since", since))
    if until := filters.get("until"):
        found = found.filter(at__lt=moment("until", until))
    return found


def event(user: Account, chain: str, seq: int) -> AuditEvent:
    """Return one event that an account may read. Raises Hidden."""
    found = events_visible_to(user).filter(chain=chain, seq=seq).first()
    if found is None:
        raise Hidden("There is no such event that you may read.", todo="Name its chain and its number in it.")
    return found


def heads(user: Account) -> QuerySet[TreeHead]:
    """Return the signed heads to whoever audits anything, and none to others: they tell how much goes on."""
    found = TreeHead.objects.all()
    return found if events_visible_to(user).exists() else found.none()


def require_auditor(user: Account) -> None:
    """Let pass who audits anything. Raises Hidden."""
    if not events_visible_to(user).exists():
        raise Hidden("The tree is for those who audit.", todo="An administrator grants the role.")


def _action(name: str) -> Q:
    if name.endswith(".") and any(known.startswith(name) for known in ACTIONS):
        return Q(action__startswith=name)
    if name not in ACTIONS:
        raise Invalid(
            f"There is no action {name}.",
            todo="Name one such as signoff.given, or a group of them such as signoff.",
            fields={"action": "is not known"},
        )
    return Q(action=name)


def moment(name: str, text: str) -> datetime:
    """Return the moment that a parameter names; a date is its first instant, in UTC like all our times."""
    try:
        day = parse_date(text)
        found = datetime.combine(day, time()) if day else parse_datetime(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None:
        raise Invalid(
            f"{text} is no date or time.",
            todo="Write 2026-11-23 or 2026-11-23T08:00:00Z.",
            fields={name: "is no date or time"},
        )
    return make_aware(found, get_current_timezone()) if is_naive(found) else found
