"""Handoffs in the browser: the board, the list, the page of one, and what its owner does with it."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person, actor_at
from handoff.queries import handoffs as queries
from handoff.queries.page import jobs_of
from handoff.services import deployments, handoffs
from handoff.states import State
from handoff.web.acting import carry_out
from handoff.web.bindings import bindings_of
from handoff.web.doors import Choice, account_of, page
from handoff.web.handoff_page import context_of, progress_of, show
from handoff.web.pages import Pages
from models_registry.access import environments_visible_to, held_by, models_visible_to
from models_registry.models import Environment

PER_PAGE = 50
FILTERS = ("state", "model", "target", "text", "open")


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show the handoffs that I may know of, as a board or as a list, filtered."""
    user = account_of(request)
    held = held_by(user)
    filters = {name: request.GET.get(name, "").replace("\0", "").strip() for name in FILTERS}
    as_list = request.GET.get("view") == "list"
    context: dict[str, Any] = {
        "filters": filters,
        "filtered": any(filters.values()),
        "as_list": as_list,
        "states": [Choice(v, str(t).capitalize(), v == filters["state"]) for v, t in State.choices],
        "models": [
            Choice(m.slug, m.name, m.slug == filters["model"])
            for m in models_visible_to(user, held).only("slug", "name").order_by("name")
        ],
        "targets": [
            Choice(e.slug, e.name, e.slug == filters["target"])
            for e in environments_visible_to(user, held).exclude(kind=Environment.Kind.CREATION).order_by("name")
        ],
    }
    if as_list:
        pages = Pages(queries.listed(user, held, **filters), queries.ROWS, PER_PAGE)
        found = pages.get_page(request.GET.get("page"))
        context |= {"page": found, "query": _query_of_the_list(request), "empty": not found.paginator.count}
    else:
        columns, ended = queries.board(user, held, **filters)
        context |= {"columns": columns, "ended": ended, "query": _query_of_the_list(request)}
        context["empty"] = not ended and not any(rows for _, rows in columns)
    return render(request, "handoff/handoffs/index.html", context)


def _query_of_the_list(request: HttpRequest) -> str:
    """Return what is asked for, as a list and from its start."""
    query = request.GET.copy()
    query.pop("page", None)
    query["view"] = "list"
    return query.urlencode()


@page("GET")
def detail(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show one handoff: what is offered, what differs, what is required, who did what, and what is missing."""
    return show(request, handoff_id)


@page("GET")
def progress(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Render how far tests and deployment are; once the state moved on, the whole page in its place."""
    jobs = jobs_of(handoff_id)
    handoff = queries.fetch(account_of(request), handoff_id)
    if handoff.state != request.GET.get("shown", handoff.state):
        response = render(request, "handoff/handoffs/_body.html", context_of(request, handoff_id))
        response["HX-Retarget"], response["HX-Reswap"] = "#handoff", "outerHTML"
        return response
    return render(request, "handoff/promotion_tests/_progress.html", progress_of(handoff, jobs))


@page("POST")
def change(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Change the note and the planned bindings of a draft."""
    revision = request.POST.get("revision", "")
    return carry_out(
        request,
        handoff_id,
        "change",
        lambda: handoffs.change(
            actor=actor_at(request, "web"),
            handoff_id=str(handoff_id),
            note=request.POST.get("note", ""),
            bindings=bindings_of(request.POST),
            revision=int(revision) if revision.isdigit() else None,
        ),
        "The draft is saved.",
        at="about",
    )


@page("POST")
def offer(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Offer a draft."""
    return carry_out(
        request,
        handoff_id,
        "offer",
        lambda: handoffs.offer(actor=actor_at(request, "web"), handoff_id=str(handoff_id)),
        "The handoff is offered. Those who must act find it in their inbox.",
        at="gate-review",
    )


@page("POST")
def withdraw(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Take an offer back, for a reason."""
    return carry_out(
        request,
        handoff_id,
        "withdraw",
        lambda: handoffs.withdraw(
            actor=actor_at(request, "web"), handoff_id=str(handoff_id), reason=request.POST.get("reason", "")
        ),
        "The handoff is withdrawn.",
        at="timeline",
    )


@page("POST")
def deploy_again(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Order the deployment again after the engine was out of reach."""
    return carry_out(
        request,
        handoff_id,
        "deploy_again",
        lambda: deployments.retry(actor=Person.at(request, "web"), handoff_id=str(handoff_id)),
        "The deployment is ordered again.",
        at="deployment",
    )
