"""Runs of a batch in the browser: the table on the deployment's page, one run by itself, run now, stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.actors import Person
from handoff.batches import is_batch, why_not
from handoff.errors import Hidden, Refused
from handoff.models import Deployment, Run
from handoff.queries.live import rights_on
from handoff.queries.runs import run_of, runs_of, schedule_in_force
from handoff.services import batches
from handoff.states import DeploymentState
from handoff.web.doors import Form, account_of, go, page
from models_registry.roles import Role

A_PAGE = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One run as it is shown."""

    run: Run
    cause: str
    took: str
    read: int
    scored: int
    rejected: int
    delivered: int
    dead: int


def runs_shown(request: HttpRequest, deployment: Deployment) -> dict[str, Any]:
    """Return what the fragment of a deployment's run needs where that is a batch; nothing where it is none."""
    if not is_batch(deployment):
        return {}
    schedule, now = schedule_in_force(deployment), timezone.now()
    due = schedule.next(now) if schedule else None
    runs = Paginator(runs_of(deployment), A_PAGE).get_page(request.GET.get("page"))
    return {
        "page": runs,
        "runs": [row_of(run) for run in runs],
        "schedule": schedule.words if schedule else "",
        "due": due,
        "due_words": _words(schedule.local(due), schedule.zone) if schedule and due else "",
    }


def row_of(run: Run) -> Row:
    """Return a run as it is shown."""
    counts = run.counts
    sums = {name: sum(_numbers(counts.get(name)).values()) for name in ("rejected", "delivered", "dead")}
    return Row(run, _cause(run), _took(run), int(counts.get("read", 0)), int(counts.get("scored", 0)), **sums)


@page("GET")
def detail(request: HttpRequest, deployment_id: UUID, number: int) -> HttpResponse:
    """Show one run: what caused it, what it counted, how it ended."""
    return _show(request, deployment_id, number)


@page("POST")
def stop(request: HttpRequest, deployment_id: UUID, number: int) -> HttpResponse:
    """Stop a run, for a reason."""
    reason = request.POST.get("reason", "")
    try:
        batches.stop(actor=Person.at(request, "web"), deployment_id=str(deployment_id), number=number, reason=reason)
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, deployment_id, number, Form("stop", request.POST, refusal))
    messages.success(request, f"Run {number} is being stopped. What it has delivered stays.")
    return go("deployment-one-run", deployment_id, number)


def may_run(deployment: Deployment, roles: frozenset[str]) -> bool:
    """Tell whether to offer a run now; whether it may be done is for the service to say."""
    live = deployment.state == DeploymentState.LIVE
    return live and is_batch(deployment) and Role.IT_OPERATIONS in roles


def why_none(deployment: Deployment) -> str:
    """Return why a live batch starts no runs at present; or nothing."""
    return why_not(deployment) if deployment.state == DeploymentState.LIVE and is_batch(deployment) else ""


def _show(request: HttpRequest, deployment_id: UUID, number: int, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    run = run_of(user, deployment_id, number)
    counts = [
        (title, sorted(_numbers(run.counts.get(name)).items()))
        for name, title in (("rejected", "Rejected"), ("delivered", "Delivered"), ("dead", "Dead letters"))
    ]
    context = {
        "run": run,
        "row": row_of(run),
        "deployment": run.deployment,
        "counts": [(title, rows) for title, rows in counts if rows],
        "parts": run.counts.get("parts", {}),
        "may_stop": run.is_under_way and Role.IT_OPERATIONS in rights_on(user, run.deployment),
        "form": form,
    }
    return render(request, "handoff/runs/detail.html", context, status=form.problem.status if form else 200)


def _numbers(told: Any) -> dict[str, int]:
    """Return counts by cause or sink, as an engine told them."""
    return {str(key): int(value) for key, value in told.items()} if isinstance(told, Mapping) else {}


def _cause(run: Run) -> str:
    """Say what caused a run."""
    if run.asked_by is not None:
        return f"{run.asked_by.printed_name}: {run.reason}"
    words = str(run.get_cause_display())
    return f"{words}, {run.missed} missed before" if run.missed else words


def _took(run: Run) -> str:
    """Say how long a run took, or takes so far."""
    if run.began_at is None:
        return "—"
    took = max((run.ended_at or timezone.now()) - run.began_at, timedelta(0))
    minutes, seconds = divmod(int(took.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _words(due: datetime, zone: str) -> str:
    """Return a due time in words, on the clocks of its schedule."""
    return f"{due:%A}, {due.day} {due:%B %Y, %H:%M} in {zone}"
