"""Findings as the page of a handoff shows them: the drift, open issues with their form, and what is settled."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from audit.models import Account
from handoff.facts import Known
from handoff.models import Finding, Handoff
from handoff.queries.findings import OF_HANDOFF
from handoff.rules.findings import SEVERITIES, barred_from_closing
from handoff.states import UNDER_OFFER, State
from handoff.web.doors import Choice, Form
from models_registry.access import holdings_of


@dataclass(frozen=True, slots=True)
class IssueRow:
    """An open issue. `barred` says why the reader may not close it; `form` is what was refused."""

    finding: Finding
    barred: str
    form: Form | None
    close_at: str

    @property
    def may_close(self) -> bool:
        """Tell whether the reader may close it."""
        return not self.barred


def findings_context(handoff: Handoff, user: Account, known: Known, form: Form | None) -> dict[str, Any]:
    """Return what the page says of findings; nothing of a draft, for it has none."""
    found: list[Finding] = []
    if handoff.state != State.DRAFT:
        found = OF_HANDOFF(handoff.pk)
        for one in found:
            one.handoff = handoff
    open_ = [one for one in found if one.closed_at is None]
    may_raise = user.is_person and handoff.state in (*UNDER_OFFER, State.LIVE)
    typed = form.typed if form and form.name == "raise" else {}
    return {
        "findings": found,
        "drift": next((one for one in open_ if one.kind == Finding.Kind.DRIFT), None),
        "issues": [_issue(one, user, known, form) for one in open_ if one.kind != Finding.Kind.DRIFT],
        "settled": [one for one in found if one.closed_at is not None],
        "may_raise": may_raise,
        "severities": [Choice(one, one.capitalize(), one == typed.get("severity", "medium")) for one in SEVERITIES],
        "owners": _owners(known, str(typed.get("owner", ""))) if may_raise else [],
    }


def _issue(finding: Finding, user: Account, known: Known, form: Form | None) -> IssueRow:
    barred = barred_from_closing(
        user.pk,
        known.roles.get(user.pk, frozenset()),
        owner=finding.owner_id,
        raised_by=finding.raised_by_id,
        another_closes=finding.another_closes,
    )
    if finding.kind == Finding.Kind.APPROVAL:
        barred = "It closes by itself once somebody who may sign has approved anew, or the condition is met"
    elif finding.kind == Finding.Kind.BREAK_GLASS:
        barred = "It closes by itself once all have signed, or the version is rolled back"
    elif finding.kind == Finding.Kind.REATTESTATION:
        barred = "It closes by itself once those who are asked have signed anew"
    elif finding.kind == Finding.Kind.INVARIANT:
        barred = "It closes by itself at the first check of the invariants after it is mended"
    mine = form if form and form.name == "close" and form.about == str(finding.pk) else None
    there = reverse("handoff-finding-close", args=[finding.handoff_id, finding.pk])
    return IssueRow(finding, "" if not barred else barred[0].upper() + barred[1:], mine, there)


def place_rows(found: list[Finding], user: Account, form: Form | None) -> list[IssueRow]:
    """Return open findings of environments, with what the reader may do about each."""
    roles: dict[Any, set[str]] = {}
    for place, role in holdings_of(user).exclude(environment=None).values_list("environment", "role"):
        roles.setdefault(place, set()).add(role)
    return [_of_place(one, user, frozenset(roles.get(one.environment_id, ())), form) for one in found]


def _of_place(finding: Finding, user: Account, roles: frozenset[str], form: Form | None) -> IssueRow:
    barred = barred_from_closing(user.pk, roles, owner=finding.owner_id, raised_by=None, another_closes=False)
    mine = form if form and form.about == str(finding.pk) else None
    slug = finding.environment.slug if finding.environment else ""
    there = reverse("environment-finding-close", args=[slug, finding.pk])
    return IssueRow(finding, barred[:1].upper() + barred[1:], mine, there)


def _owners(known: Known, chosen: str) -> list[Choice]:
    """Return who may own a finding: everybody who holds a role on the handoff."""
    people = {person: name for held in known.facts.holders.values() for person, name in held.items()}
    names = Account.objects.in_bulk(list(people)) if people else {}
    rows = [Choice(names[one].username, people[one], names[one].username == chosen) for one in people if one in names]
    return sorted(rows, key=lambda row: row.title)
