"""An environment as it was at an instant, in the browser: a field for the instant, and steps from change to change."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.queries import moment
from handoff.errors import Invalid
from handoff.queries.moments import environment_at
from handoff.web.doors import account_of, page


@page("GET")
def detail(request: HttpRequest, environment: str) -> HttpResponse:
    """Show what was true; now, where no instant is asked for, or one that is none."""
    asked = request.GET.get("at", "").replace("\0", "").strip()
    problem = None
    try:
        found = environment_at(account_of(request), environment, moment("at", asked) if asked else timezone.now())
    except Invalid as refusal:
        problem = refusal
        found = environment_at(account_of(request), environment, timezone.now())
    earlier = next((turn for turn in found.turns if turn < found.at), None)
    later = next((turn for turn in reversed(found.turns) if turn > found.at), None)
    context = {"moment": found, "problem": problem, "earlier": earlier, "later": later}
    return render(request, "handoff/moments/detail.html", context, status=422 if problem else 200)
