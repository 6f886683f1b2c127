"""The trail in the browser, for those who audit."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.actions import ACTIONS
from audit.actors import actor_at
from audit.errors import Refused
from audit.models import AuditEvent
from audit.queries import listed

FILTERS = ("chain", "action", "actor", "since", "until")


@dataclass(frozen=True, slots=True)
class Line:
    """One event with its sentence, what it carried, and what it was about: a kind in words and its key."""

    event: AuditEvent
    sentence: str
    body: dict[str, Any]
    kind: str
    key: str
    hash: str


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the events that I may read, the newest first."""
    filters = {name: request.GET.get(name, "").replace("\0", "").strip() for name in FILTERS}
    problem = None
    user = actor_at(request, "web").user
    try:
        found = listed(user, **{name: value for name, value in filters.items() if value})
    except Refused as refusal:
        problem, found = refusal, listed(user).none()
    page = Paginator(found.order_by("-at", "-pk"), 50).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "lines": [_line(event) for event in page.object_list],
        "filters": filters,
        "filtered": any(filters.values()),
        "actions": sorted(ACTIONS.items(), key=lambda one: one[1]),
        "problem": problem,
    }
    return render(request, "audit/index.html", context, status=problem.status if problem else 200)


def _line(event: AuditEvent) -> Line:
    sentence = ACTIONS.get(event.action, event.action)
    kind, _, key = event.subject.partition(":")
    return Line(event, sentence, event.told, _words().get(kind, kind), key, bytes(event.hash).hex())


@cache
def _words() -> dict[str, str]:
    """Return the words for every kind of record, as the trail names them."""
    return {str(model._meta.model_name): str(model._meta.verbose_name) for model in apps.get_models()}
