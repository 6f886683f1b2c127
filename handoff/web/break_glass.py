"""Break-glass in the browser: ask on the page of a handoff, read and confirm on a page of its own."""

from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Hidden, Refused
from handoff.queries.break_glass import sheet_for
from handoff.rules.consumers import label_of
from handoff.services import break_glass, reauthentications
from handoff.states import BreakGlassState
from handoff.web.acting import carry_out
from handoff.web.doors import Form, account_of, go, page


@page("POST")
def ask(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Ask to deploy before all have signed."""
    return carry_out(
        request,
        handoff_id,
        "glass",
        lambda: break_glass.ask(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            reason=request.POST.get("reason", ""),
            incident=request.POST.get("incident", ""),
        ),
        "Asked. Nothing happens before somebody else confirms it; they find it in the inbox.",
        at="break-glass",
    )


@page("GET", "POST")
def detail(request: HttpRequest, handoff_id: UUID, break_glass_id: UUID) -> HttpResponse:
    """Show one break-glass with what is missing, or confirm it."""
    if request.method != "POST":
        return _sheet(request, handoff_id, break_glass_id)
    try:
        _confirm(request, handoff_id, break_glass_id)
    except Hidden:
        raise
    except Refused as refusal:
        return _sheet(request, handoff_id, break_glass_id, Form("confirm", request.POST, refusal))
    messages.success(request, "Confirmed, under your name. The missing signatures are wanted by the deadline.")
    return go("handoff", handoff_id, at="break-glass")


def _confirm(request: HttpRequest, handoff_id: UUID, break_glass_id: UUID) -> None:
    actor = Person.at(request, "web")
    sheet_for(actor.user, handoff_id, break_glass_id)  # a stranger learns nothing from trying passwords
    confirmed = reauthentications.confirm(
        actor=actor, password=request.POST.get("password", ""), code=request.POST.get("code", "")
    )
    break_glass.confirm(
        actor=actor,
        handoff_id=handoff_id,
        break_glass_id=break_glass_id,
        seen=request.POST.get("seen", ""),
        reauthentication=str(confirmed.pk),
    )


def _sheet(request: HttpRequest, handoff_id: UUID, break_glass_id: UUID, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    sheet = sheet_for(user, handoff_id, break_glass_id)
    context: dict[str, Any] = {
        "sheet": sheet,
        "handoff": sheet.handoff,
        "glass": sheet.row,
        "role": label_of(sheet.role) if sheet.role else "",
        "asked": sheet.row.state == BreakGlassState.ASKED,
        "form": form,
        "second_factor": Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists(),
    }
    status = form.problem.status if form else 200
    return render(request, "handoff/break_glass/detail.html", context, status=status)


@page("POST")
def withdraw(request: HttpRequest, handoff_id: UUID, break_glass_id: UUID) -> HttpResponse:
    """Take my request back before it is confirmed."""
    return carry_out(
        request,
        handoff_id,
        "glass",
        lambda: break_glass.withdraw(
            actor=Person.at(request, "web"), handoff_id=handoff_id, break_glass_id=break_glass_id
        ),
        "The request is withdrawn.",
        at="break-glass",
        about=str(break_glass_id),
    )
