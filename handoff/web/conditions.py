"""Conditions of approvals in the browser: show that they are met, and judge the evidence."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from audit.actors import Person
from handoff.services import conditions
from handoff.web.acting import carry_out
from handoff.web.doors import page


@page("POST")
def report(request: HttpRequest, handoff_id: UUID, condition_id: int) -> HttpResponse:
    """Show that a condition is met."""
    link = request.POST.get("link", "").strip()
    return _step(request, handoff_id, condition_id, conditions.report, "Shown; the signer's side judges it.", link=link)


@page("POST")
def judge(request: HttpRequest, handoff_id: UUID, condition_id: int) -> HttpResponse:
    """Accept the evidence, or say why it is not enough."""
    if request.POST.get("answer") == "accept":
        return _step(request, handoff_id, condition_id, conditions.accept, "The condition is met.")
    return _step(request, handoff_id, condition_id, conditions.reject, "Not accepted; the condition stays open.")


def _step(
    request: HttpRequest, handoff_id: UUID, condition_id: int, act: Callable[..., object], told: str, **more: str
) -> HttpResponse:
    return carry_out(
        request,
        handoff_id,
        "condition",
        lambda: act(
            actor=Person.at(request, "web"),
            handoff_id=str(handoff_id),
            condition_id=condition_id,
            comment=request.POST.get("comment", ""),
            **more,
        ),
        told,
        at="signoffs",
        about=str(condition_id),
    )
