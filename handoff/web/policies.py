"""Policies in the browser: the rules as people read them, and publishing a revision."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.access import require_administrator
from handoff.errors import Refused
from handoff.queries.checklist_templates import policy_in
from handoff.queries.policies import all_revisions, difference_of, newest_source, revision_of, simulated
from handoff.rules.policies import Gate, PolicyRules, SignOffRule, digest_of, parse
from handoff.rules.policy_changes import demands
from handoff.services import policies
from handoff.web.aspects import matrix_of
from handoff.web.doors import Form, go, page
from handoff.web.handoff_page import GATE_OPENS, GATE_TITLES
from handoff.web.promotion_tests import TITLES
from models_registry.roles import Role

# What a policy demands that stands in no gate, test or aspect, as its page lists it.
BESIDES = (
    *("strategy", "monitoring", "re-attestation", "sandbox", "lapses", "drift", "duties", "findings", "waivers"),
    *("break-glass", "standard-change", "retrain", "retirement", "retention"),
)


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
        "types": ", ".join(rules.model_types).replace("_", " "),
        "gates": gates_in_words(rules),
        "matrix": matrix_of(rules),
        "windows": [one.words() for one in rules.windows],
        "freezes": [one.words() for one in rules.freezes],
        "thresholds": list(rules.thresholds.words().values()),
        "besides": [told for key, told in demands(rules).items() if key in BESIDES],
        "tests": [(kind, *TITLES.get(kind, (kind, ""))) for kind in rules.tests],
    }
    return render(request, "handoff/policies/revision.html", context)


@page("GET", "POST")
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form to publish a revision; show what it would change or would have stopped; publish what was shown."""
    actor = Person.at(request, "web")
    if request.method != "POST":
        require_administrator(actor.user, "publish a policy")
        source = newest_source(request.GET.get("from", ""))
        return render(request, "handoff/policies/publish.html", {"source": source, "form": None})
    source = request.POST.get("source", "").replace("\r\n", "\n")
    try:
        return _carry_out(request, actor, source)
    except Refused as refusal:
        form = Form("publish", request.POST, refusal)
        context = {"source": source, "form": form}
        return render(request, "handoff/policies/publish.html", context, status=refusal.status)


def _carry_out(request: HttpRequest, actor: Person, source: str) -> HttpResponse:
    """Try the text on past handoffs, show what it would change, or publish it as it was shown."""
    require_administrator(actor.user, "publish a policy")
    content, rules = policy_in(source)
    context: dict[str, Any] = {"source": source, "form": None, "rules": rules, "seen": digest_of(content)}
    if request.POST.get("do") == "simulate":
        context["simulated"] = simulated(rules, actor.user)
        return render(request, "handoff/policies/publish.html", context)
    if request.POST.get("seen") != context["seen"]:
        context["found"] = difference_of(content, rules, actor.user)
        return render(request, "handoff/policies/publish.html", context)
    published = policies.publish(actor=actor, source=source)
    messages.success(request, f"Revision {published.number} is published. Handoffs under way keep the one they have.")
    return go("policy-revision", published.policy.slug, published.number)


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
