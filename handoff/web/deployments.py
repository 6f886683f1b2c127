"""Deployments in the browser: what is live, what was, try a record, roll back."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from audit.models import Account
from handoff.access import may_stop
from handoff.errors import Hidden, Refused
from handoff.executors.errors import ExecutorError
from handoff.executors.scoring import Asked, Tried, fields_of, record_of, score
from handoff.models import Deployment
from handoff.queries import deployments as queries
from handoff.queries.amendments import amendments_of
from handoff.queries.live import followed, input_of, live_now, owners_of, rights_on
from handoff.queries.rollbacks import way_back
from handoff.queries.suspensions import suspensions_of
from handoff.services import batches, deployments
from handoff.states import DeploymentState
from handoff.web.doors import Choice, Form, account_of, go, is_htmx, page
from handoff.web.pages import Pages
from handoff.web.runs import may_run, runs_shown, why_none
from handoff.web.scores import scores_of
from handoff.web.watches import traffic_of
from models_registry.access import held_by
from models_registry.models import Environment
from models_registry.roles import Role

PER_PAGE = 50
GIVES_WAY = (DeploymentState.LIVE, DeploymentState.CONFIRMING)
FILTERS = ("state", "model", "environment")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the record to try, with what was typed and what the engine has against it."""

    asked: Asked
    value: str
    wrong: str


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show what is live now, and everything that was deployed before."""
    user = account_of(request)
    filters = {name: request.GET.get(name, "").replace("\0", "").strip() for name in FILTERS}
    held = held_by(user)
    pages = Pages(queries.listed(user, held, **filters), queries.ROWS, PER_PAGE)
    history = pages.get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    return render(
        request,
        "handoff/deployments/index.html",
        {
            "live": live_now(user, held),
            "page": history,
            "query": query.urlencode(),
            "filters": filters,
            "states": [Choice(v, str(t).capitalize(), v == filters["state"]) for v, t in DeploymentState.choices],
        },
    )


@page("GET")
def detail(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Show one deployment with its steps, and let me try a record where it is live."""
    return show(request, deployment_id)


@page("POST")
def try_record(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Send one record to the live endpoint, and show what it answers."""
    deployment = queries.fetch(account_of(request), deployment_id)
    fields, _ = _input(deployment)
    typed = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    tried = Tried({}, error="This version is not live, so there is nothing to try.")
    url = _engine(deployment.environment)
    if deployment.state == DeploymentState.LIVE and url:
        tried = score(url, deployment.model.slug, record_of(fields, {k[6:]: v for k, v in typed.items()}))
    if is_htmx(request):
        return render(request, "handoff/deployments/_try.html", _trial(deployment, typed, tried))
    return show(request, deployment_id, typed=typed, tried=tried)


@page("POST")
def roll_back(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Bring back what was live before, for a reason."""
    try:
        deployments.roll_back(
            actor=Person.at(request, "web"), deployment_id=str(deployment_id), reason=request.POST.get("reason", "")
        )
    except Hidden:
        raise
    except Refused as refusal:
        return show(request, deployment_id, form=Form("roll_back", request.POST, refusal))
    messages.success(request, "The rollback is ordered; a worker carries it out now.")
    return go("deployment", deployment_id)


@page("POST")
def run_now(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Order a run of a batch now, for a reason."""
    try:
        made = batches.run_now(
            actor=Person.at(request, "web"), deployment_id=str(deployment_id), reason=request.POST.get("reason", "")
        )
    except Hidden:
        raise
    except Refused as refusal:
        return show(request, deployment_id, form=Form("run_now", request.POST, refusal))
    messages.success(request, f"Run {made.number} is ordered; a worker starts it now.")
    return go("deployment", deployment_id)


@page("GET")
def progress(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Render the steps so far; once the deployment moved on, tell the browser to load the page again."""
    deployment, jobs = followed(account_of(request), deployment_id)
    response = render(request, "handoff/deployments/_steps.html", {"deployment": deployment, "jobs": jobs})
    if deployment.state != request.GET.get("shown", deployment.state) or not jobs:
        response["HX-Refresh"] = "true"
    return response


@page("GET")
def run(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Render how the run over streams goes, or the runs of a batch."""
    deployment = queries.fetch(account_of(request), deployment_id)
    context = {"deployment": deployment, "scores": scores_of(deployment.run), **runs_shown(request, deployment)}
    return render(request, "handoff/deployments/_run.html", context)


def show(
    request: HttpRequest,
    deployment_id: UUID,
    *,
    form: Form | None = None,
    typed: dict[str, str] | None = None,
    tried: Tried | None = None,
) -> HttpResponse:
    """Render the page of a deployment, with a refused form in its place and its status. Raises Hidden."""
    user = account_of(request)
    deployment, jobs = followed(user, deployment_id)
    roles = rights_on(user, deployment)
    stopping = _stopping(user, deployment, roles, form)
    may_roll_back = Role.IT_OPERATIONS in roles and deployment.state in GIVES_WAY
    context = {
        "deployment": deployment,
        "owners": owners_of(deployment),
        "scores": scores_of(deployment.run),
        "traffic": traffic_of(deployment),
        "jobs": jobs,
        "amendments": amendments_of(user, deployment),
        "may_propose": bool(roles) and deployment.state == DeploymentState.LIVE and stopping["suspension"] is None,
        "form": form if form and form.name == "roll_back" else None,
        "run_form": form if form and form.name == "run_now" else None,
        "may_run": may_run(deployment, roles),
        "no_runs": why_none(deployment),
        **runs_shown(request, deployment),
        "may_roll_back": may_roll_back,
        "way_back": way_back(deployment) if may_roll_back else None,
        **stopping,
        **_trial(deployment, typed, tried),
    }
    status = form.problem.status if form else 200
    return render(request, "handoff/deployments/detail.html", context, status=status)


def _stopping(user: Account, deployment: Deployment, roles: frozenset[str], form: Form | None) -> dict[str, Any]:
    """Return what the page needs to stop what is live, or to lift that."""
    found = suspensions_of(deployment)
    now = next((one for one in found if one.is_open), None)
    live = deployment.state == DeploymentState.LIVE
    may_lift = now is not None and Role.IT_OPERATIONS in roles and user.is_person
    return {
        "suspension": now,
        "suspended_before": [one for one in found if not one.is_open],
        "may_stop": live and now is None and may_stop(user, deployment, roles),
        "may_lift": may_lift,
        "form_suspend": form if form and form.name == "suspend" else None,
        "form_lift": form if form and form.name == "lift" else None,
        "lifter": {"signs_as": user.printed_name},
        "second_factor": may_lift and Authenticator.objects.filter(user=user).exists(),
    }


def _trial(deployment: Deployment, typed: dict[str, str] | None, tried: Tried | None) -> dict[str, Any]:
    """Return the form to try a record; at first it holds the first golden record."""
    if deployment.state != DeploymentState.LIVE:
        return {"deployment": deployment, "rows": [], "tried": tried}
    fields, example = _input(deployment)
    values = {key[6:]: value for key, value in typed.items()} if typed is not None else example
    wrong = {v.get("field", ""): str(v.get("message", "")) for v in (tried.violations if tried else ())}
    url = _engine(deployment.environment)
    return {
        "deployment": deployment,
        "rows": [FieldRow(one, values.get(one.name, ""), wrong.get(one.name, "")) for one in fields],
        "tried": tried,
        "endpoint": f"{url}/v2/models/{deployment.model.slug}/infer" if url else "",
        "outputs": [(name, _shown(value)) for name, value in (tried.output or {}).items()] if tried else [],
    }


def _input(deployment: Deployment) -> tuple[list[Asked], dict[str, str]]:
    schema, golden = input_of(deployment.version)
    try:
        fields = fields_of(schema)
    except ExecutorError:
        return [], {}
    return fields, {name: _shown(value) for name, value in golden.items()}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else ""


def _engine(environment: Environment) -> str:
    return str(settings.ENGINE_URLS.get(environment.engine, ""))
