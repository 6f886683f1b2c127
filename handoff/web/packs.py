"""The button that makes an evidence pack."""

from uuid import UUID

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase

from audit.actors import actor_at
from handoff.errors import Hidden, Refused
from handoff.services import packs
from handoff.web.acting import refused
from handoff.web.doors import Form, page


@page("POST")
def make(request: HttpRequest, handoff_id: UUID) -> HttpResponseBase:
    """Make the pack and send it as a download."""
    try:
        made = packs.make(actor=actor_at(request, "web"), handoff_id=str(handoff_id))
    except Hidden:
        raise
    except Refused as refusal:
        return refused(request, handoff_id, Form("pack", request.POST, refusal))
    return FileResponse(made.archive, as_attachment=True, filename=made.filename, content_type="application/zip")
