"""What is always true of the records, what enforces it, and how the last check went, in the browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.queries import require_auditor
from handoff.models import InvariantCheck
from handoff.queries.invariants import invariants
from handoff.web.doors import account_of, page


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show every invariant to those who audit, with what broke it at the last check."""
    require_auditor(account_of(request))
    last = InvariantCheck.objects.first()
    found = last.by_invariant if last else {}
    rows = [(one, one.id in found, found.get(one.id, [])) for one in invariants()]
    broken = [one for one, _, wrong in rows if wrong]
    return render(request, "handoff/invariants/index.html", {"last": last, "rows": rows, "broken": broken})
