"""What is live by the records beside what engines serve, in the browser, and as a table."""

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from handoff.queries.reconciliations import lines_of, rows_for
from handoff.rules.tables import lines
from handoff.web.doors import account_of, page


@page("GET")
def index(request: HttpRequest) -> HttpResponseBase:
    """Show the last look at every engine that I may know of; or send the table, where that is asked for."""
    rows = rows_for(account_of(request))
    if "download" in request.GET:
        response = StreamingHttpResponse(lines(lines_of(rows)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="reconciliation.csv"'
        return response
    differing = [row for row in rows if row.differences]
    return render(request, "handoff/reconciliations/index.html", {"rows": rows, "differing": differing})
