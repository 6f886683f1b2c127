"""Adopting the newest policies in the browser: what would be different, and the signed act."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from audit.factors import has_second_factor
from handoff.errors import Hidden, Refused
from handoff.queries.adoptions import adoption_sheet
from handoff.services import adoptions, reauthentications
from handoff.web.doors import Form, account_of, go, page


@page("GET", "POST")
def adopt(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show what a handoff would adopt, or let it."""
    if request.method != "POST":
        return _sheet(request, handoff_id)
    actor = Person.at(request, "web")
    adoption_sheet(actor.user, handoff_id)  # a stranger learns nothing from trying passwords
    try:
        confirmed = reauthentications.confirm(
            actor=actor, password=request.POST.get("password", ""), code=request.POST.get("code", "")
        )
        adoptions.adopt(
            actor=actor,
            handoff_id=handoff_id,
            seen=request.POST.get("seen", ""),
            reason=request.POST.get("reason", ""),
            reauthentication=str(confirmed.pk),
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _sheet(request, handoff_id, Form("adopt", request.POST, refusal))
    messages.success(request, "The handoff has adopted them. What they touch is to be signed anew.")
    return go("handoff", handoff_id)


def _sheet(request: HttpRequest, handoff_id: UUID, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    sheet = adoption_sheet(user, handoff_id)
    context = {
        "sheet": sheet,
        "handoff": sheet.handoff,
        "form": form,
        "reason": form.typed.get("reason", "") if form else "",
        "second_factor": has_second_factor(user),
    }
    status = form.problem.status if form else 200
    return render(request, "handoff/adoptions/adopt.html", context, status=status)
