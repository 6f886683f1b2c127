"""Sign in the browser: read exactly what is signed, decide, confirm who you are."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Hidden, Refused, StaleView
from handoff.facts import rules_of
from handoff.models import Handoff, Return, SignOff
from handoff.queries.gates import GateView
from handoff.queries.page import acknowledgements_of, answers_of, jobs_of
from handoff.queries.signatures import own_key_of, signoff_of, verdict_of
from handoff.queries.signing import Sheet, owners_of, sheet_for
from handoff.rules.consumers import label_of
from handoff.rules.gates import before_approval
from handoff.rules.policies import MEANINGS
from handoff.rules.scopes import word_of
from handoff.services import signoffs
from handoff.states import GATE_OF, State
from handoff.web.acting import carry_out
from handoff.web.checklist_rows import item_rows
from handoff.web.differences import shown_of
from handoff.web.doors import Choice, Form, account_of, go, page
from handoff.web.handoff_page import GATE_OPENS, GATE_TITLES
from handoff.web.personal_keys import confirmed, ways_to_confirm
from handoff.web.promotion_tests import test_rows
from handoff.web.typed_conditions import conditions_in

MEANING_WORDS = {
    "authorship": "I wrote this, or answer for who did.",
    "review": "I have reviewed this.",
    "approval": "I approve this.",
    "responsibility": "I accept responsibility for this.",
}

TOLD = {
    "refuse": "You refused. The handoff goes back to data science, with your reasons.",
    "changes": "You asked for changes. The gate stays shut until you answer again.",
    "conditional": "Signed, with conditions. The approval counts until one of them is overdue.",
}
ROWS = 3  # conditions that the form has room for


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the signature covers. `changed` is since this person opened the page, or last signed."""

    name: str
    words: str
    which: str
    digest: str
    changed: bool


@page("GET", "POST")
def sign(request: HttpRequest, handoff_id: UUID, requirement: str) -> HttpResponse:
    """Show the sheet to sign, or record the decision on it."""
    if request.method != "POST":
        return _sheet(request, handoff_id, requirement)
    try:
        _sign(request, handoff_id, requirement)
    except Hidden:
        raise
    except Refused as refusal:
        return _sheet(request, handoff_id, requirement, Form("sign", request.POST, refusal))
    decision = request.POST.get("decision", "")
    messages.success(request, TOLD.get(decision, "Signed."))
    return go("handoff", handoff_id, at="returned" if decision == SignOff.Decision.REFUSE else "signoffs")


def _sign(request: HttpRequest, handoff_id: UUID, requirement: str) -> None:
    actor = Person.at(request, "web")
    sheet_for(actor.user, handoff_id, requirement)  # a stranger learns nothing from trying passwords
    signoffs.sign(
        actor=actor,
        handoff_id=str(handoff_id),
        requirement=requirement,
        decision=request.POST.get("decision", ""),
        meaning=request.POST.get("meaning", ""),
        seen=request.POST.get("seen", ""),
        reauthentication=str(confirmed(request).pk),
        comment=request.POST.get("comment", ""),
        reasons=request.POST.getlist("reasons"),
        retests=request.POST.getlist("retests"),
        conditions=conditions_in(request),
    )


def _sheet(request: HttpRequest, handoff_id: UUID, requirement: str, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    sheet = sheet_for(user, handoff_id, requirement)
    context = _context(sheet, form) | ways_to_confirm(request)
    status = form.problem.status if form else 200
    return render(request, "handoff/signoffs/sign.html", context, status=status)


def _context(sheet: Sheet, form: Form | None) -> dict[str, Any]:
    handoff, rules = sheet.handoff, rules_of(sheet.handoff)
    stale = _stale_parts(sheet, form)
    which = _which(handoff)
    own = [s for s in sheet.known.facts.signoffs if s.gate == sheet.gate]
    return {
        "sheet": sheet,
        "handoff": handoff,
        "form": form,
        "gate": GateView(sheet.gate, "now", sheet.result),
        "gate_title": GATE_TITLES[sheet.gate],
        "gate_opens": GATE_OPENS[sheet.gate],
        "role": label_of(sheet.role),
        "parts": [Part(n, w, which.get(n, ""), d, n in stale or n in sheet.changed) for n, w, d in sheet.parts],
        "stale": [word_of(name) for name in stale],
        "changed": [word_of(name) for name in sheet.changed],
        "changes": sheet.changes,
        "consumers": sheet.consumers,
        "homework": before_approval(sheet.result, sheet.rule.key),
        "signed": own,
        "shown": shown_of(handoff.report, acknowledgements_of(handoff)),
        "items": item_rows(
            rules,
            "",
            answers_of(handoff),
            sheet.known.facts.holders,
            frozenset(),
            None,
            [sheet.result],
            sheet.known.facts.answers,
        ),
        "tests": test_rows(rules.tests, jobs_of(handoff.pk)) if sheet.gate != "review" else [],
        "meanings": [Choice(m, MEANING_WORDS[m], _typed(form, "meaning") == m) for m in MEANINGS],
        "decision": _typed(form, "decision"),
        "passed": GATE_OF.get(State(handoff.state)) != sheet.gate,
        "conditions": _typed_conditions(form),
        "owners": owners_of(sheet.known),
        "reasons": [Choice(v, str(t).capitalize(), v in _many(form, "reasons")) for v, t in Return.Reason.choices],
        "retests": [Choice(k, k, k in _many(form, "retests")) for k in rules.tests],
    }


def _which(handoff: Handoff) -> dict[str, str]:
    """Return the names of the parts that have one, for whoever reads no digests."""
    return {
        "handoff": f"#{handoff.number}",
        "version": f"{handoff.model.name} v{handoff.version.number}",
        "source": handoff.source.name,
        "target": handoff.target.name,
        "policy": handoff.under,
    }


def _stale_parts(sheet: Sheet, form: Form | None) -> list[str]:
    """Return the parts that changed between the page that was opened and now; the form carried what it showed."""
    if form is None or not isinstance(form.problem, StaleView):
        return []
    shown = dict(pair.partition("=")[::2] for pair in _many(form, "part"))
    return [name for name, _, digest in sheet.parts if shown.get(name, digest) != digest]


def _typed(form: Form | None, name: str) -> str:
    return str(form.typed.get(name, "")) if form else ""


def _typed_conditions(form: Form | None) -> list[tuple[str, str, str]]:
    """Return what was typed into the rows of conditions."""
    columns = [[*_many(form, f"condition_{name}"), *[""] * ROWS][:ROWS] for name in ("text", "due", "owner")]
    return list(zip(*columns, strict=True))


def _many(form: Form | None, name: str) -> list[str]:
    return form.typed.getlist(name) if form else []  # type: ignore[attr-defined]


@page("GET")
def detail(request: HttpRequest, handoff_id: UUID, signoff_id: UUID) -> HttpResponse:
    """Show one signature as it goes into a file: who, what it means, when, what it covers, and what proves it."""
    signoff = signoff_of(account_of(request), handoff_id, signoff_id)
    context = {
        "signoff": signoff,
        "handoff": signoff.handoff,
        "role": label_of(signoff.role),
        "meaning": MEANING_WORDS.get(signoff.meaning, ""),
        "parts": [(word_of(name), digest) for name, digest in signoff.scope.items()],
        "verdict": verdict_of(signoff),
        "own_key": own_key_of(signoff),
        "envelope": json.dumps(signoff.envelope, indent=2) if signoff.envelope else "",
    }
    return render(request, "handoff/signoffs/detail.html", context)


@page("POST")
def revoke(request: HttpRequest, handoff_id: UUID, signoff_id: UUID) -> HttpResponse:
    """Take back my approval although its gate has opened, for a reason."""
    return carry_out(
        request,
        handoff_id,
        "revoke_signoff",
        lambda: signoffs.revoke(
            actor=Person.at(request, "web"),
            handoff_id=str(handoff_id),
            signoff_id=str(signoff_id),
            reason=request.POST.get("reason", ""),
        ),
        "Your approval is revoked. What it opened is not undone; a finding says so.",
        at="findings",
        about=str(signoff_id),
    )


@page("POST")
def withdraw(request: HttpRequest, handoff_id: UUID, signoff_id: UUID) -> HttpResponse:
    """Withdraw my own sign-off, for a reason."""
    return carry_out(
        request,
        handoff_id,
        "withdraw_signoff",
        lambda: signoffs.withdraw(
            actor=Person.at(request, "web"),
            handoff_id=str(handoff_id),
            signoff_id=str(signoff_id),
            reason=request.POST.get("reason", ""),
        ),
        "Your sign-off is withdrawn; it never counts again.",
        at="signoffs",
        about=str(signoff_id),
    )
