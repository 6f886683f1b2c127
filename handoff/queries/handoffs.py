"""Read handoffs for lists, the board and the page of one."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, prefetch_related_objects

from audit.models import Account, AuditEvent
from audit.planning import Prepared, RowsByKey
from handoff.access import handoffs_visible_to, sees
from handoff.emergencies import with_mark
from handoff.errors import Hidden
from handoff.facts import Known, known_of, rules_of
from handoff.models import Answer, BreakGlass, Handoff, Job, SignOff
from handoff.queries.consumers import AskedRow, asked_of, to_be_asked
from handoff.queries.gates import GateView, Task, gates_of, tasks_for
from handoff.queries.page import answers_of, jobs_of
from handoff.readiness import Offer, offer_of
from handoff.rules.standard_changes import Judged
from handoff.rules.standard_signoffs import kind_of
from handoff.states import OPEN, State
from models_registry.access import Held

RELATED = ("model", "version", "source", "target", "drafted_by", "offered_by", "policy_revision__policy")
COLUMNS: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("Draft", (State.DRAFT,)),
    ("In review", (State.IN_REVIEW,)),
    ("Testing", (State.TESTING,)),
    ("Ready", (State.READY,)),
    ("Deploying", (State.DEPLOYING, State.CONFIRMING)),
    ("Live", (State.LIVE,)),
    ("Returned", (State.RETURNED,)),
)


EVENTS = Prepared(
    lambda chain: AuditEvent.objects.named().filter(chain=chain).order_by("-seq"),
    "text",
)
SIGNOFFS = Prepared(
    lambda handoff: (
        SignOff.objects.filter(handoff=handoff).select_related("signer", "reauthentication").order_by("signed_at")
    ),
    "uuid",
)


@dataclass(frozen=True, slots=True)
class HandoffView:
    """All that the page of one handoff shows."""

    handoff: Handoff
    known: Known
    gates: list[GateView]
    tasks: list[Task]
    offer: Offer | None
    answers: dict[str, Answer]
    signoffs: list[SignOff]
    jobs: list[Job]
    events: list[AuditEvent]
    consumers: list[AskedRow]
    break_glass: list[BreakGlass]
    change: Judged | None


def shown(found: QuerySet[Handoff]) -> QuerySet[Handoff]:
    """Return handoffs with all that a row of a list shows."""
    return with_mark(found).select_related(*RELATED)


ROWS = RowsByKey(lambda: shown(Handoff.objects.all()), "uuid")
ONE = Prepared(
    lambda key: Handoff.objects.filter(pk=key).select_related(
        *RELATED,
        "source__organisation",
        "target__organisation",
        "source__owner",
        "target__owner",
        "return_note__returned_by",
    ),
    "uuid",
)


def listed(user: Account, held: Held | None = None, **filters: Any) -> QuerySet[Handoff]:
    """Return the handoffs an account may know of; filters are state, model, target, open and text."""
    found = shown(handoffs_visible_to(user, held))
    if filters.get("state"):
        found = found.filter(state=filters["state"])
    if filters.get("model"):
        found = found.filter(model__slug=filters["model"])
    if filters.get("target"):
        found = found.filter(target__slug=filters["target"])
    if filters.get("open"):
        found = found.filter(state__in=OPEN)
    if filters.get("text"):
        text = filters["text"]
        found = found.filter(Q(model__name__icontains=text) | Q(model__slug__icontains=text) | Q(note__icontains=text))
    return found.order_by("-drafted_at", "pk")


def board(user: Account, held: Held, **filters: Any) -> tuple[list[tuple[str, list[Handoff]]], int]:
    """Return the columns of the board, from the newest five hundred handoffs, and how many of them have no column."""
    keys = list(listed(user, held, **filters).values_list("pk", flat=True)[:500])
    rows = ROWS(keys)
    columns = [(title, [h for h in rows if h.state in states]) for title, states in COLUMNS]
    return columns, len(rows) - sum(len(found) for _, found in columns)


def fetch(user: Account, handoff_id: UUID | str) -> Handoff:
    """Return one handoff that an account may know of. Raises Hidden."""
    handoff = ONE.first(handoff_id)
    if handoff is None or not sees(user, handoff):
        raise Hidden("There is no such handoff.")
    return handoff


def view_of(user: Account, handoff_id: UUID | str) -> HandoffView:
    """Return one handoff with its gates, answers, signatures, work and story. Raises Hidden."""
    jobs = jobs_of(handoff_id)
    handoff = fetch(user, handoff_id)
    known = known_of(handoff)
    offer = offer_of(handoff, known) if handoff.state == State.DRAFT else None
    return HandoffView(
        handoff=handoff,
        known=known,
        gates=gates_of(handoff, known),
        tasks=tasks_for(user, handoff, known),
        offer=offer,
        answers=answers_of(handoff),
        signoffs=_signoffs(handoff),
        jobs=jobs,
        events=EVENTS(f"handoff:{handoff.pk}"),
        consumers=to_be_asked(offer.questions) if offer else asked_of(handoff, known),
        break_glass=_break_glass(handoff, known),
        change=kind_of(rules_of(handoff), known.facts) if known.facts.change else None,
    )


def _break_glass(handoff: Handoff, known: Known) -> list[BreakGlass]:
    """Return the break-glass of a handoff, the newest first; no query where there is none."""
    if not known.glass:
        return []
    return list(handoff.break_glass.select_related("asked_by", "confirmed_by"))


def _signoffs(handoff: Handoff) -> list[SignOff]:
    """Return the sign-offs of a handoff, with the conditions of those that have some: more queries only then."""
    found = SIGNOFFS(handoff.pk)
    for one in found:
        one.handoff = handoff
    conditional = [one for one in found if one.decision == SignOff.Decision.CONDITIONAL]
    prefetch_related_objects(conditional, "conditions__owner", "conditions__steps__taken_by")
    return found
