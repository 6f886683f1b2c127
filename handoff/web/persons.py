"""Who may sign and why not, and who did what, in the browser; for auditors as a table to take along."""

import csv
from collections.abc import Iterable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from handoff.queries.signers import ActRow, acts_in_all, signers_of
from handoff.web.doors import account_of, page
from handoff.web.handoff_page import GATE_TITLES

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


def _csv(rows: Iterable[ActRow], name: str) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(answer)
    writer.writerow(["model", "handoff", "version", "target", "state", "person", "act", "bars from approving"])
    for row in rows:
        of = row.handoff
        told = (of.model.name, of.number, of.version.number, of.target.name, of.state, row.person, row.act)
        writer.writerow([_plain(str(cell)) for cell in (*told, "yes" if row.bars else "no")])
    return answer


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(STARTS_A_FORMULA) else cell
