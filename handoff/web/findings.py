"""Findings in the browser: all that are open, raising one, closing it with evidence, and accepting a drift."""

from datetime import date
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.actors import Person
from handoff.errors import Invalid
from handoff.models import Finding
from handoff.queries.findings import open_findings, proof_file
from handoff.queries.handoffs import fetch
from handoff.rules.findings import SEVERITIES
from handoff.services import findings
from handoff.web.acting import carry_out
from handoff.web.checklists import attachment, receipts_of
from handoff.web.doors import Choice, account_of, page
from models_registry.access import held_by

FILTERS = ("mine", "overdue", "blocks", "severity")
PER_PAGE = 50


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show what is open on the handoffs and live models that I may know of, the soonest due first."""
    filters = {name: request.GET.get(name, "").replace("\0", "").strip() for name in FILTERS}
    user = account_of(request)
    found = Paginator(open_findings(user, held_by(user), **filters), PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "page": found,
        "filters": filters,
        "filtered": any(filters.values()),
        "severities": [Choice(one, one.capitalize(), one == filters["severity"]) for one in reversed(SEVERITIES)],
        "now": timezone.now(),
        "query": query.urlencode(),
    }
    return render(request, "handoff/findings/index.html", context)


@page("POST")
def raise_finding(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Put an issue on record."""
    return carry_out(
        request,
        handoff_id,
        "raise",
        lambda: findings.raise_finding(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            title=request.POST.get("title", ""),
            details=request.POST.get("details", ""),
            severity=request.POST.get("severity", ""),
            owner=request.POST.get("owner", ""),
            due=_day(request.POST.get("due", "")),
            blocks=request.POST.get("blocks") == "on",
        ),
        "The finding is on record, and its owner has it in the inbox.",
        at="findings",
    )


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("Give the day as 2027-01-31.", fields={"due": "is not a day"}) from None


@page("POST")
def close(request: HttpRequest, handoff_id: UUID, finding_id: UUID) -> HttpResponse:
    """Close an issue with a file, a link or an answer."""

    def act() -> Finding:
        actor = Person.at(request, "web")
        fetch(actor.user, handoff_id)  # a stranger's file is not even received
        return findings.close(
            actor=actor,
            handoff_id=handoff_id,
            finding_id=finding_id,
            evidence=evidence_of(request, actor),
            comment=request.POST.get("comment", ""),
        )

    told = "The finding is closed, with what you attached."
    return carry_out(request, handoff_id, "close", act, told, at="findings", about=str(finding_id))


def evidence_of(request: HttpRequest, actor: Person) -> dict[str, Any]:
    """Return what was attached: the file before the link, the link before the answer."""
    if sent := receipts_of(request, actor):
        return {"kind": "file", "receipt": sent[0]}
    if link := request.POST.get("link", "").strip():
        return {"kind": "link", "link": link}
    if item := request.POST.get("item", "").strip():
        return {"kind": "answer", "item": item}
    return {}


@page("POST")
def accept(request: HttpRequest, handoff_id: UUID, finding_id: UUID) -> HttpResponse:
    """Let a live version go on although its environment drifted."""
    return carry_out(
        request,
        handoff_id,
        "accept",
        lambda: findings.accept(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            finding_id=finding_id,
            comment=request.POST.get("comment", ""),
        ),
        "Accepted, under your name. The approval stands again.",
        at="findings",
        about=str(finding_id),
    )


@page("GET")
def file(request: HttpRequest, handoff_id: UUID, finding_id: UUID) -> StreamingHttpResponse:
    """Send the file that a finding was closed with, always as a download."""
    found = proof_file(account_of(request), handoff_id, finding_id)
    return attachment(str(found.proof_blob_id), found.proof_label)
