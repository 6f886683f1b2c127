"""Stop what is live in the browser, and lift that again with the password."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from audit.actors import Person
from handoff.errors import Hidden, Refused
from handoff.queries import deployments as queries
from handoff.services import reauthentications, suspensions
from handoff.web.deployments import show
from handoff.web.doors import Form, go, page


@page("POST")
def suspend(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Stop a live version, for a reason."""
    reason = request.POST.get("reason", "")
    try:
        suspensions.suspend(actor=Person.at(request, "web"), deployment_id=deployment_id, reason=reason)
    except Hidden:
        raise
    except Refused as refusal:
        return show(request, deployment_id, form=Form("suspend", request.POST, refusal))
    messages.success(request, "It is suspended. The engine is being told; this page says when it has stopped.")
    return go("deployment", deployment_id, at="suspension")


@page("POST")
def lift(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Let a suspended version score again, for a reason."""
    try:
        _lift(request, deployment_id)
    except Hidden:
        raise
    except Refused as refusal:
        return show(request, deployment_id, form=Form("lift", request.POST, refusal))
    messages.success(request, "The suspension is lifted. The engine is being told.")
    return go("deployment", deployment_id, at="suspension")


def _lift(request: HttpRequest, deployment_id: UUID) -> None:
    actor, typed = Person.at(request, "web"), request.POST
    queries.fetch(actor.user, deployment_id)  # a stranger learns nothing from trying passwords
    confirmed = reauthentications.confirm(actor=actor, password=typed.get("password", ""), code=typed.get("code", ""))
    suspensions.lift(
        actor=actor,
        deployment_id=deployment_id,
        reason=typed.get("reason", ""),
        reauthentication=str(confirmed.pk),
    )
