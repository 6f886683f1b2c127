"""What follows an act on a handoff's page: onwards when it was done, the page as it was typed when it was refused."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from handoff.errors import Hidden, Refused
from handoff.web.doors import Form, go, is_htmx
from handoff.web.handoff_page import show


def carry_out(
    request: HttpRequest, handoff_id: UUID, form: str, act: Callable[[], object], told: str, *, at: str, about: str = ""
) -> HttpResponse:
    """Call one service; show the page with the refusal in its form's place if it refuses. Hidden stays a 404."""
    try:
        act()
    except Hidden:
        raise
    except Refused as refusal:
        return refused(request, handoff_id, Form(form, request.POST, refusal, about=about))
    return done(request, handoff_id, told, at=at)


def refused(request: HttpRequest, handoff_id: UUID, form: Form) -> HttpResponse:
    """Show the handoff with everything as it was typed, and the problem in its place."""
    return show(request, handoff_id, form)


def done(request: HttpRequest, handoff_id: UUID, told: str, *, at: str) -> HttpResponse:
    """Say that it was done, and show the handoff as it is now."""
    messages.success(request, told)
    if is_htmx(request):
        return show(request, handoff_id)
    return go("handoff", handoff_id, at=at)
