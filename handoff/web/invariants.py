"""What is always true of the records, what enforces it, and how the last check went, in the browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from handoff.queries.invariants import invariants, last_check_for
from handoff.web.doors import account_of, page


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show every invariant to those who audit, with what broke it at the last check."""
    last, found = last_check_for(account_of(request))
    rows = [(one, one.id in found, found.get(one.id, [])) for one in invariants()]
    broken = [one for one, _, wrong in rows if wrong]
    return render(request, "handoff/invariants/index.html", {"last": last, "rows": rows, "broken": broken})
