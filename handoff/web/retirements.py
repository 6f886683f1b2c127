"""Retire what is live in the browser: plan it with the password, cancel it, and say that one was told."""

from datetime import UTC, date
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.actors import Person
from audit.factors import has_second_factor
from handoff.errors import Hidden, Invalid, Refused
from handoff.facts import rules_of
from handoff.queries import deployments as queries
from handoff.queries.amendments import fed_by
from handoff.queries.live import rights_on
from handoff.queries.retirements import retirements_of
from handoff.services import reauthentications, retirements
from handoff.states import DeploymentState
from handoff.web.doors import Form, account_of, go, page
from models_registry.roles import Role


@page("GET", "POST")
def retire(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Show whether and how a deployment is retired, with the form to plan it or to cancel that; or plan it."""
    if request.method != "POST":
        return _show(request, deployment_id)
    try:
        _plan(request, deployment_id)
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, deployment_id, Form("plan", request.POST, refusal))
    messages.success(request, "Its retirement is planned, and the owners of its consumers are told.")
    return go("deployment-retire", deployment_id)


def _plan(request: HttpRequest, deployment_id: UUID) -> None:
    actor, typed = Person.at(request, "web"), request.POST
    queries.fetch(actor.user, deployment_id)  # a stranger learns nothing from trying passwords
    day = _day(typed.get("day", ""))
    confirmed = reauthentications.confirm(actor=actor, password=typed.get("password", ""), code=typed.get("code", ""))
    retirements.plan(
        actor=actor,
        deployment_id=deployment_id,
        reason=typed.get("reason", ""),
        reauthentication=str(confirmed.pk),
        day=day,
    )


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise Invalid("Say on which day.", fields={"day": "must be a day, such as 2026-12-24"}) from None


@page("POST")
def cancel(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Cancel a retirement, for a reason."""
    try:
        retirements.cancel(
            actor=Person.at(request, "web"), deployment_id=deployment_id, reason=request.POST.get("reason", "")
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, deployment_id, Form("cancel", request.POST, refusal))
    messages.success(request, "The retirement is cancelled.")
    return go("deployment-retire", deployment_id)


@page("POST")
def acknowledge(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Say that I have read that what feeds a consumer of mine is going."""
    retirements.acknowledge(actor=Person.at(request, "web"), notice_id=notice_id)
    messages.success(request, "Noted.")
    return go("inbox")


def _show(request: HttpRequest, deployment_id: UUID, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    deployment: Any = queries.fetch(user, deployment_id)
    found = retirements_of(deployment)
    standing = next((one for one in found if one.ended_at is None), None)
    may = Role.IT_OPERATIONS in rights_on(user, deployment) and user.is_person
    rules, sinks = rules_of(deployment.handoff).retirement, deployment.bindings.get("outputs", ())
    context = {
        "deployment": deployment,
        "retirement": standing,
        "earlier": [one for one in found if one.ended_at is not None],
        "may_plan": may and standing is None and deployment.state == DeploymentState.LIVE,
        "may_cancel": may and standing is not None and standing.due_at > timezone.now(),
        "consumers": fed_by(deployment.environment_id, [one["stream"] for one in sinks]),
        "first": rules.first_day(timezone.now().astimezone(UTC).date()),
        "notice": rules.notice_days,
        "form": form,
        "second_factor": has_second_factor(user),
    }
    return render(request, "handoff/retirements/retire.html", context, status=form.problem.status if form else 200)
