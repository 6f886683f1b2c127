"""The population of changes in the browser: choose a period, see how many there were, download the table."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from audit.queries import moment
from handoff.errors import Invalid
from handoff.queries.changes import changes, rows
from handoff.rules.tables import lines
from handoff.web.doors import account_of, page


@page("GET")
def index(request: HttpRequest) -> HttpResponseBase:
    """Show the form, and how many changes the period holds; or send the table, where that is asked for."""
    typed = {name: request.GET.get(name, "").replace("\0", "").strip() for name in ("since", "until")}
    if not any(typed.values()):
        return _shown(request, typed)
    try:
        found = changes(account_of(request), moment("since", typed["since"]), moment("until", typed["until"]))
    except Invalid as refusal:
        return _shown(request, typed, problem=refusal)
    if "download" not in request.GET:
        return _shown(request, typed, count=found.count())
    response = StreamingHttpResponse(lines(rows(found)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="changes.csv"'
    return response


def _shown(
    request: HttpRequest, typed: dict[str, str], *, count: int | None = None, problem: Invalid | None = None
) -> HttpResponse:
    context = {"typed": typed, "count": count, "problem": problem}
    return render(request, "handoff/changes/index.html", context, status=422 if problem else 200)
