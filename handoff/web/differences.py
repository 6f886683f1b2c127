"""The difference report as pages show it: the locked core, then by facet what differs and what is equal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.names import named
from handoff.models import Acknowledgement
from handoff.queries.differences import Item, Report, items_of, may_answer, picks, report_for
from handoff.rules.aspects import FACETS
from handoff.rules.reports import CLASSES, FILTERS, MEANS_OF_CLASS, STATES, read, read_filters
from handoff.rules.severities import SEVERITIES
from handoff.web.aspects import matrix_of
from handoff.web.doors import account_of, page
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One item as it is shown. `asked` says that it must be acknowledged, `may` that the reader may do so now."""

    item: Item
    source: str
    target: str
    means: str
    answers: str
    may: bool
    chosen: bool

    @property
    def key(self) -> str:
        """Return the key of the item."""
        return self.item.difference.key

    @property
    def of(self) -> Any:
        """Return the item of the report."""
        return self.item.difference

    @property
    def by(self) -> Acknowledgement | None:
        """Return the acknowledgement on record."""
        return self.item.answer

    @property
    def asked(self) -> bool:
        """Tell whether it must be acknowledged and is not."""
        return self.item.difference.asks and self.item.answer is None


@dataclass(frozen=True, slots=True)
class DifferenceGroup:
    """One facet: what differs, and what is equal."""

    facet: str
    differing: list[DifferenceRow]
    equal: list[DifferenceRow]


@dataclass(frozen=True, slots=True)
class Shown:
    """A report, ready to be shown: the proof of what is locked, the rest by facet, and how many of what there are."""

    core: list[DifferenceRow]
    groups: list[DifferenceGroup]
    counts: dict[str, int]

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to show."""
        return not self.core and not self.groups

    def names(self) -> dict[str, str]:
        """Return the names of the items by their keys."""
        rows = [*self.core, *(row for group in self.groups for row in (*group.differing, *group.equal))]
        return {row.key: row.of.name for row in rows}


@dataclass(frozen=True, slots=True)
class Chip:
    """A link that sets or clears one filter, with how many items it would show."""

    title: str
    count: int
    href: str
    on: bool


def shown_of(
    report: Mapping[str, Any] | None,
    answers: Sequence[Acknowledgement] = (),
    chosen: Sequence[str] = (),
    may: Callable[[Item], bool] = lambda item: False,
) -> Shown:
    """Return a kept report as a page shows it."""
    return arranged(items_of(read(named(report)), list(answers)), chosen, may)


def arranged(
    items: Iterable[Item], chosen: Sequence[str] = (), may: Callable[[Item], bool] = lambda item: False
) -> Shown:
    """Return items in their order: the locked core apart, facets without any left out."""
    rows = [_row(item, chosen, may) for item in items]
    core = [row for row in rows if row.of.classed == "locked" and row.of.equal]
    rest = [row for row in rows if not (row.of.classed == "locked" and row.of.equal)]
    groups = []
    for facet in FACETS:
        mine = [row for row in rest if row.of.facet == facet]
        if mine:
            groups.append(DifferenceGroup(facet, [r for r in mine if not r.of.equal], [r for r in mine if r.of.equal]))
    return Shown(core, groups, _counts(rows))


def _counts(rows: Sequence[DifferenceRow]) -> dict[str, int]:
    differing = [row for row in rows if not row.of.equal]
    return {
        "differing": len(differing),
        "equal": len(rows) - len(differing),
        "broken": sum(not row.of.holds for row in rows),
        "asked": sum(row.asked for row in differing),
        "tickable": sum(row.may for row in differing),
        "mine": sum(row.asked and row.may for row in differing),
        **{level: sum(row.of.severity == level for row in differing) for level in SEVERITIES[1:]},
    }


def _row(item: Item, chosen: Sequence[str], may: Callable[[Item], bool]) -> DifferenceRow:
    one = item.difference
    answers = str(Role(one.role).label) if one.role else ""
    core = one.classed == "locked" and one.equal
    return DifferenceRow(
        item,
        one.source if core else _short(one.source),
        one.target if core else _short(one.target),
        MEANS_OF_CLASS[one.classed],
        answers,
        may(item),
        one.key in chosen,
    )


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


@page("GET")
def detail(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show the whole report of a handoff, filtered by facet, severity, class and state."""
    user = account_of(request)
    report = report_for(user, handoff_id)
    filters = read_filters({name: request.GET.get(name, "") for name in FILTERS})
    roles = report.known.roles.get(user.pk, frozenset())
    usual = report.rules.gate("review").acknowledge if report.rules else ""
    picked = [item for item in report.items if picks(item, filters)]
    context = _context(report) | {
        "shown": arranged(picked, may=lambda item: may_answer(report.handoff, roles, item, usual)),
        "total": len(report.items),
        "filters": filters,
        "chips": _chips(report.items, filters),
        "legend": matrix_of(report.rules, report.handoff.target.kind, report.handoff.model.risk_tier),
    }
    return render(request, "handoff/differences/detail.html", context)


@page("GET")
def printed(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show the whole report as it is put into a file: with digests, names and dates."""
    report = report_for(account_of(request), handoff_id)
    return render(request, "handoff/differences/print.html", _context(report) | {"shown": arranged(report.items)})


def _context(report: Report) -> dict[str, Any]:
    return {
        "handoff": report.handoff,
        "report": report,
        "moved": list(report.moved.values()),
        "classes": [(name, MEANS_OF_CLASS[name]) for name in CLASSES],
    }


def _chips(items: Sequence[Item], filters: Mapping[str, str]) -> list[tuple[str, list[Chip]]]:
    """Return the filters as links; each keeps what the other filters are set to."""
    titles = {"facet": "Facet", "severity": "Severity", "classed": "Class", "state": "State"}
    values = {"facet": FACETS, "severity": SEVERITIES[::-1], "classed": CLASSES, "state": STATES}
    rows = []
    for name, title in titles.items():
        others = {key: value for key, value in filters.items() if key != name}
        among = [item for item in items if picks(item, others)]
        chips = [_chip("all", among, others, name not in filters)]
        for value in values[name]:
            mine = [item for item in among if picks(item, {name: value})]
            if mine or filters.get(name) == value:
                chips.append(_chip(value, mine, others | {name: value}, filters.get(name) == value))
        rows.append((title, chips))
    return rows


def _chip(title: str, items: Sequence[Item], filters: Mapping[str, str], on: bool) -> Chip:
    return Chip(title, len(items), f"?{urlencode(filters)}", on)
