"""Answer for a finding in the browser."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from audit.actors import Person
from handoff.services import findings
from handoff.web.acting import carry_out
from handoff.web.doors import page


@page("POST")
def accept(request: HttpRequest, handoff_id: UUID, finding_id: UUID) -> HttpResponse:
    """Let a live version go on although its environment drifted."""
    return carry_out(
        request,
        handoff_id,
        "accept",
        lambda: findings.accept(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            finding_id=finding_id,
            comment=request.POST.get("comment", ""),
        ),
        "Accepted, under your name. The approval stands again.",
        at="findings",
        about=str(finding_id),
    )
