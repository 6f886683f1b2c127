"""Who may sign and why not, and who did what, in the browser; for auditors as a table to take along."""

from collections.abc import Iterable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from handoff.queries.signers import ActRow, acts_in_all, signers_of
from handoff.rules.tables import lines
from handoff.web.doors import account_of, page
from handoff.web.handoff_page import GATE_TITLES

HEADER = ("model", "handoff", "version", "target", "state", "person", "act", "bars from approving")


@page("GET")
def signers(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show for each signature who may give it, who may not and why, and the acts by person."""
    handoff, seats, acts = signers_of(account_of(request), handoff_id)
    context = {
        "handoff": handoff,
        "seats": [(GATE_TITLES[one.gate], one) for one in seats],
        "mine": [(one, signer) for one in seats for signer in one.signers if signer.mine],
        "acts": acts,
    }
    return render(request, "handoff/persons/signers.html", context)


@page("GET")
def acts(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Give the acts of one handoff by person, as CSV."""
    _, _, found = signers_of(account_of(request), handoff_id)
    return _csv(found, f"duties-{handoff_id}.csv")


@page("GET")
def all_acts(request: HttpRequest) -> HttpResponse:
    """Give the acts of the newest handoffs that I may read, as CSV."""
    return _csv(acts_in_all(account_of(request)), "duties.csv")


def _csv(found: Iterable[ActRow], name: str) -> HttpResponse:
    answer = HttpResponse(lines([HEADER, *map(_cells, found)]), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _cells(row: ActRow) -> tuple[str | int, ...]:
    of = row.handoff
    told = (of.model.name, of.number, of.version.number, of.target.name, of.state)
    return *told, row.person, row.act, "yes" if row.bars else "no"
