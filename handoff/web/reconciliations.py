"""What is live by the records beside what engines serve, in the browser and as a table, and what is strange there."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Hidden, Refused
from handoff.queries.findings import findings_in, of_environments, proof_file_in
from handoff.queries.reconciliations import lines_of, rows_for
from handoff.rules.tables import lines
from handoff.services import findings
from handoff.web.checklists import attachment
from handoff.web.doors import Form, account_of, go, page
from handoff.web.finding_rows import place_rows
from handoff.web.findings import evidence_of

SHOWN = 10


@page("GET")
def index(request: HttpRequest) -> HttpResponseBase:
    """Show the last look at every engine that I may know of; or send the table, where that is asked for."""
    if "download" in request.GET:
        rows = rows_for(account_of(request))
        response = StreamingHttpResponse(lines(lines_of(rows)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="reconciliation.csv"'
        return response
    return _show(request)


@page("POST")
def close(request: HttpRequest, environment: str, finding_id: UUID) -> HttpResponse:
    """Close a finding of an environment with a file or a link."""
    actor = Person.at(request, "web")
    findings_in(actor.user, environment)  # a stranger's file is not even received
    try:
        findings.close_in(
            actor=actor,
            environment=environment,
            finding_id=finding_id,
            evidence=evidence_of(request, actor),
            comment=request.POST.get("comment", ""),
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, Form("close", request.POST, refusal, about=str(finding_id)))
    messages.success(request, "The finding is closed, with what you attached.")
    return go("reconciliation", at="findings")


@page("GET")
def file(request: HttpRequest, environment: str, finding_id: UUID) -> StreamingHttpResponse:
    """Send the file that a finding of an environment was closed with, always as a download."""
    found = proof_file_in(account_of(request), environment, finding_id)
    return attachment(str(found.proof_blob_id), found.proof_label)


def _show(request: HttpRequest, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    rows = rows_for(user)
    context: dict[str, Any] = {
        "rows": rows,
        "differing": [row for row in rows if row.differences],
        "issues": place_rows(list(of_environments(user)), user, form),
        "settled": list(of_environments(user, settled=True)[:SHOWN]),
    }
    return render(request, "handoff/reconciliations/index.html", context, status=form.problem.status if form else 200)
