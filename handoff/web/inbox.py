"""The inbox: what waits for the person who is signed in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from handoff.models import Handoff
from handoff.queries.amendments import news_for
from handoff.queries.gates import Task
from handoff.queries.inbox import Entry, inbox_of, to_see_to
from handoff.queries.leavers import announced_to
from handoff.queries.retirements import NOTICES
from handoff.web.context import keep, told
from handoff.web.doors import account_of, page
from models_registry.access import held_by
from models_registry.queries import exceptions_to_answer

VERBS = {
    "offer": "Complete and offer",
    "answer": "Answer",
    "acknowledge": "Acknowledge",
    "sign": "Read and sign",
    "fix": "Read why",
    "clear": "Read what drifted",
    "settle": "Settle it",
    "voided": "Read why",
    "condition": "Show evidence",
    "judge": "Judge the evidence",
    "waiver": "Answer it",
    "renew": "See to it",
    "amend": "Read and sign",
    "glass": "Read and decide",
    "remind": "See whom it waits for",
    "suspended": "Read why",
    "stops": "See to it",
}
ICONS = {
    "offer": "send",
    "answer": "list-checks",
    "acknowledge": "git-compare",
    "sign": "pen-line",
    "fix": "undo-2",
    "clear": "octagon-x",
    "settle": "octagon-x",
    "voided": "eraser",
    "condition": "list-checks",
    "judge": "list-checks",
    "waiver": "door-open",
    "renew": "door-open",
    "amend": "pen-line",
    "glass": "siren",
    "remind": "hourglass",
    "suspended": "octagon-x",
    "stops": "hourglass",
}


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that waits, with the place where it is done."""

    task: Task
    href: str
    verb: str
    icon: str
    due: datetime | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that waits for somebody in one handoff."""

    handoff: Handoff
    todos: list[Todo]
    due: datetime | None
    overdue: bool
    reminded: bool


@page("GET")
def inbox(request: HttpRequest) -> HttpResponse:
    """Show what waits for me, the overdue first, a page at a time; exceptions and what I am told stand on the first."""
    user = account_of(request)
    held = held_by(user)
    behind = _key(request.GET.get("after", ""))
    waits = inbox_of(user, held, behind)
    exceptions = exceptions_to_answer(user, held) if behind is None else []
    findings = to_see_to(user, held) if behind is None else []
    count = len(waits.entries) + len(exceptions) + len(findings)
    context = {
        "notices": NOTICES(user.natural_person_id) if behind is None else [],
        "bundles": bundled(waits.entries),
        "names": announced_to(user) if behind is None else [],
        "exceptions": exceptions,
        "findings": findings,
        "now": timezone.now(),
        "news": news_for(held) if behind is None else [],
        "count": count,
        "behind": behind,
        "after": waits.after,
    }
    if behind is None:
        context["inbox_count"] = keep(user, told(count, more=waits.after is not None))
    return render(request, "handoff/inbox/inbox.html", context)


def _key(text: str) -> UUID | None:
    """Return the handoff behind which a page goes on; what is none leads to the first page."""
    try:
        return UUID(text)
    except ValueError:
        return None


def bundled(entries: list[Entry]) -> list[Bundle]:
    """Return entries by handoff, in the order in which they are wanted."""
    found: dict[object, Bundle] = {}
    for entry in entries:
        handoff = entry.task.handoff
        bundle = found.setdefault(handoff.pk, Bundle(handoff, [], entry.due, entry.overdue, entry.reminded))
        bundle.todos.append(todo_of(entry.task, entry.due, overdue=entry.overdue))
    return list(found.values())


def todo_of(task: Task, due: datetime | None = None, *, overdue: bool = False) -> Todo:
    """Return a task with the place where it is done."""
    return Todo(task, _href(task), VERBS[task.kind], ICONS[task.kind], due, overdue)


def _href(task: Task) -> str:
    if task.kind == "sign":
        return reverse("handoff-sign", args=[task.handoff.pk, task.key])
    if task.kind == "glass":
        return reverse("handoff-break-glass", args=[task.handoff.pk, task.key])
    if task.kind == "amend":
        return reverse("amendment", args=[task.key])
    if task.kind == "suspended":
        return reverse("deployment", args=[task.key])
    places = {"offer": "offer", "answer": f"item-{task.key}", "acknowledge": "differences", "fix": "returned"}
    places |= {"clear": "findings", "settle": f"finding-{task.key}", "remind": "waiting-title"}
    places |= {"voided": "signoffs", "condition": "signoffs", "judge": "signoffs", "stops": "findings"}
    places |= {"waiver": f"waiver-{task.key}", "renew": f"waiver-{task.key}"}
    return f"{reverse('handoff', args=[task.handoff.pk])}#{places[task.kind]}"
