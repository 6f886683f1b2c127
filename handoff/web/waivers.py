"""Waivers in the browser: ask, answer, withdraw and revoke on the page of a handoff."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from audit.actors import Person, actor_at
from handoff.errors import Invalid
from handoff.services import waivers
from handoff.web.acting import carry_out
from handoff.web.doors import page


@page("POST")
def ask(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Ask for a waiver."""
    kind, _, requirement = request.POST.get("requirement", "").partition(":")
    return carry_out(
        request,
        handoff_id,
        "ask",
        lambda: waivers.ask(
            actor=actor_at(request, "web"),
            handoff_id=handoff_id,
            kind=kind,
            requirement=requirement,
            reason=request.POST.get("reason", ""),
            control=request.POST.get("control", ""),
            until=_day(request.POST.get("until", "")),
        ),
        "Asked. Whoever approves finds it in the inbox.",
        at="waivers",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("Give the day as 2027-01-31.", fields={"until": "is not a day"}) from None


@page("POST")
def answer(request: HttpRequest, handoff_id: UUID, waiver_id: UUID) -> HttpResponse:
    """Approve a request, or refuse it."""
    return _act(
        request,
        handoff_id,
        waiver_id,
        lambda: waivers.answer(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            waiver_id=waiver_id,
            answer=request.POST.get("answer", ""),
            comment=request.POST.get("comment", ""),
        ),
        "Answered, under your name.",
    )


@page("POST")
def withdraw(request: HttpRequest, handoff_id: UUID, waiver_id: UUID) -> HttpResponse:
    """Take an open request back."""
    return _act(
        request,
        handoff_id,
        waiver_id,
        lambda: waivers.withdraw(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            waiver_id=waiver_id,
            reason=request.POST.get("reason", ""),
        ),
        "The request is withdrawn.",
    )


@page("POST")
def revoke(request: HttpRequest, handoff_id: UUID, waiver_id: UUID) -> HttpResponse:
    """End an approved waiver before its day."""
    return _act(
        request,
        handoff_id,
        waiver_id,
        lambda: waivers.revoke(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            waiver_id=waiver_id,
            reason=request.POST.get("reason", ""),
        ),
        "Revoked; what it let through is asked for again.",
    )


def _act(request: HttpRequest, handoff_id: UUID, waiver_id: UUID, act: Callable[[], object], told: str) -> HttpResponse:
    return carry_out(request, handoff_id, "waiver", act, told, at="waivers", about=str(waiver_id))
