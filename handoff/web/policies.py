"""Policies in the browser: the rules as people read them, and publishing a revision."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Forbidden, Refused
from handoff.queries.policies import all_revisions, newest_source, revision_of
from handoff.rules.policies import Gate, PolicyRules, SignOffRule, parse
from handoff.rules.windows import DAYS
from handoff.services import policies
from handoff.web.aspects import matrix_of
from handoff.web.doors import Form, account_of, go, page
from handoff.web.handoff_page import GATE_OPENS, GATE_TITLES
from handoff.web.promotion_tests import TITLES
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class GateRules:
    """A gate's rules, with the names of roles spelled out."""

    title: str
    opens: str
    gate: Gate
    items: list[tuple[str, str, str, tuple[str, ...]]]
    acknowledge: str
    signoffs: list[tuple[str, str, str]]


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """List the policies, each with what it speaks for and its revisions."""
    rows = [(policy, parse(revisions[0].content), revisions) for policy, revisions in all_revisions()]
    return render(request, "handoff/policies/index.html", {"rows": rows})


@page("GET")
def revision(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show one revision: its rules in words, and its text as it was published."""
    found = revision_of(slug, number)
    rules = parse(found.content)
    context = {
        "revision": found,
        "rules": rules,
        "gates": gates_in_words(rules),
        "matrix": matrix_of(rules),
        "windows": windows_in_words(rules),
        "freezes": [f"{one.name}: {one.first} to {one.last} ({one.zone})" for one in rules.freezes],
        "tests": [(kind, *TITLES.get(kind, (kind, ""))) for kind in rules.tests],
    }
    return render(request, "handoff/policies/revision.html", context)


@page("GET", "POST")
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form to publish a revision, or publish it."""
    actor = Person.at(request, "web")
    if request.method != "POST":
        if not account_of(request).is_staff:
            raise Forbidden("Only an administrator may publish a policy.", code="administrator_required")
        source = newest_source(request.GET.get("from", ""))
        return render(request, "handoff/policies/publish.html", {"source": source, "form": None})
    source = request.POST.get("source", "").replace("\r\n", "\n")
    try:
        found = policies.publish(actor=actor, source=source)
    except Refused as refusal:
        form = Form("publish", request.POST, refusal)
        context = {"source": source, "form": form}
        return render(request, "handoff/policies/publish.html", context, status=refusal.status)
    messages.success(request, f"Revision {found.number} is published. Handoffs under way keep the one they have.")
    return go("policy-revision", found.policy.slug, found.number)


def gates_in_words(rules: PolicyRules) -> list[GateRules]:
    """Return the gates of a policy as people read them."""
    return [
        GateRules(
            title=GATE_TITLES[name],
            opens=GATE_OPENS[name],
            gate=gate,
            items=[(i.question, str(Role(i.role).label), i.help, i.evidence) for i in gate.checklist],
            acknowledge=str(Role(gate.acknowledge).label) if gate.acknowledge else "",
            signoffs=[_signoff(gate, rule) for rule in gate.signoffs],
        )
        for name, gate in rules.gates.items()
    ]


def _signoff(gate: Gate, rule: SignOffRule) -> tuple[str, str, str]:
    """Return who signs with which meaning, in which turn and whether it is waited for, and the words of the rule."""
    how = [rule.meaning]
    if rule.count > 1 and not rule.quorum:
        how.append(f"{rule.count} people")
    if before := [one for one in map(gate.signoff, rule.after) if one is not None]:
        how.append("after " + " and ".join(_signers(one) for one in before))
    if rule.required_above:
        how.append(f"waited for above {rule.required_above} risk")
    elif rule.advisory:
        how.append("advisory, nobody waits for it")
    return _signers(rule), ", ".join(how), rule.help


def _signers(rule: SignOffRule) -> str:
    named = [str(Role(role).label) for role in rule.roles]
    return f"{rule.count} of {', '.join(named)}" if rule.quorum else named[0]


def windows_in_words(rules: PolicyRules) -> list[str]:
    """Return the deployment windows of a policy as people read them."""
    return [
        f"{', '.join(one.days) if len(one.days) < len(DAYS) else 'every day'} "
        f"{_clock(one.begins)} to {_clock(one.ends)} ({window.zone})"
        for window in rules.windows
        for one in window.openings
    ]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
