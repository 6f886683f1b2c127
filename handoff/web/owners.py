"""Owners of record in the browser: who answered for which model and environment on a day."""

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date

from handoff.queries import owners as queries
from handoff.web.doors import Choice, account_of, page


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show who answered on a day, today where none is asked for."""
    user = account_of(request)
    asked = {name: request.GET.get(name, "").replace("\0", "").strip() for name in ("day", "model", "environment")}
    day = _day(asked["day"]) if asked["day"] else timezone.now().date()
    known = queries.choices(user)
    found = queries.answered_during(user, day, model=asked["model"], environment=asked["environment"]) if day else None
    context = {
        "day": day,
        "typed": asked["day"] or (day.isoformat() if day else ""),
        "found": found,
        "most": queries.MOST,
        "models": [Choice(one.slug, one.name, one.slug == asked["model"]) for one in known.models],
        "environments": [Choice(one.slug, one.name, one.slug == asked["environment"]) for one in known.environments],
    }
    return render(request, "handoff/owners/index.html", context, status=200 if day else 422)


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
