"""Amendments in the browser: propose, read before and after, sign or refuse, withdraw."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Hidden, Refused
from handoff.queries import deployments as queries
from handoff.queries.amendments import fed_by, sheet_for, streams_to_choose
from handoff.rules.policies import MEANINGS
from handoff.services import amendments
from handoff.web.bindings import bindings_of, typed_of
from handoff.web.doors import Choice, Form, account_of, go, page
from handoff.web.personal_keys import confirmed, ways_to_confirm
from handoff.web.signoffs import MEANING_WORDS
from models_registry.models import Consumer
from models_registry.queries import people

ACTS = (
    ("", "Leave the consumers as they are"),
    ("add", "Add a consumer"),
    ("change", "Change a consumer"),
    ("retire", "Retire a consumer"),
)
VALUES = ("name", "kind", "owner", "purpose", "criticality", "effect")


@page("GET", "POST")
def new(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """Show the form of a proposal, or propose what was typed."""
    deployment = queries.fetch(account_of(request), deployment_id)
    if request.method != "POST":
        return _form(request, deployment)
    try:
        made = amendments.propose(
            actor=Person.at(request, "web"), deployment_id=deployment_id, **_proposed(deployment, request.POST)
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _form(request, deployment, Form("propose", request.POST, refusal))
    messages.success(request, "The amendment is proposed. Read what it changes; then it wants to be signed.")
    return go("amendment", made.pk)


def _proposed(deployment: Any, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed as the service takes it; what stands as it was is left out."""
    said = bindings_of({**dict(typed.items()), "mode": "stream"})
    now = typed_of(deployment.bindings)
    found: dict[str, Any] = {"reason": str(typed.get("reason", "")), "source": said["input"]["stream"]}
    if "\n".join(str(typed.get("output_streams", "")).split("\r\n")).strip() != now["output_streams"]:
        found["sinks"] = said["outputs"]
    if act := str(typed.get("act", "")):
        values: dict[str, Any] = {name: str(typed[name]).strip() for name in VALUES if str(typed.get(name, "")).strip()}
        fields = [one.strip() for one in str(typed.get("fields", "")).split(",") if one.strip()]
        if fields or act == "add":
            values["fields"] = fields
        stream, _, consumer = str(typed.get("consumer", "")).partition("/")
        row = {"act": act, "stream": stream, "consumer": consumer, "values": {} if act == "retire" else values}
        if act == "add":
            row |= {"stream": str(typed.get("sink", "")).strip(), "consumer": ""}
        found["consumers"] = [row]
    return found


def _form(request: HttpRequest, deployment: Any, form: Form | None = None) -> HttpResponse:
    typed: Mapping[str, Any] = form.typed if form else typed_of(deployment.bindings)
    sources, sinks = streams_to_choose(deployment.environment_id)
    bound = [one["stream"] for one in deployment.bindings.get("outputs", [])]
    fed = fed_by(deployment.environment_id, bound)

    def choices(name: str, pairs: Any) -> list[Choice]:
        return [Choice(value, str(title), value == str(typed.get(name, ""))) for value, title in pairs]

    context = {
        "deployment": deployment,
        "form": form,
        "typed": typed,
        "errors": form.errors if form else {},
        "others": form.others if form else {},
        "sources": choices("input_stream", [(one.slug, one.slug) for one in sources]),
        "sinks": choices("sink", [(one.slug, one.slug) for one in sinks]),
        "acts": choices("act", ACTS),
        "fed": choices("consumer", [(f"{one.stream.slug}/{one.name}", one.name) for one in fed]),
        "kinds": choices("kind", Consumer.Kind.choices),
        "criticalities": choices("criticality", Consumer.Criticality.choices),
        "owners": choices("owner", [(one.username, f"{one.printed_name} ({one.username})") for one in people()]),
    }
    status = form.problem.status if form else 200
    return render(request, "handoff/amendments/new.html", context, status=status)


@page("GET")
def detail(request: HttpRequest, amendment_id: UUID) -> HttpResponse:
    """Show an amendment: what it changes, who signs, and the form for my signature."""
    return _show(request, amendment_id)


@page("POST")
def sign(request: HttpRequest, amendment_id: UUID) -> HttpResponse:
    """Record my decision on exactly what I saw."""
    try:
        _sign(request, amendment_id)
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, amendment_id, Form("sign", request.POST, refusal))
    refused = request.POST.get("decision") == "refuse"
    messages.success(request, "You refused; nothing changes." if refused else "Signed.")
    return go("amendment", amendment_id)


def _sign(request: HttpRequest, amendment_id: UUID) -> None:
    actor, typed = Person.at(request, "web"), request.POST
    sheet_for(actor.user, amendment_id)  # a stranger learns nothing from trying passwords
    amendments.sign(
        actor=actor,
        amendment_id=amendment_id,
        requirement=typed.get("requirement", ""),
        decision=typed.get("decision", ""),
        meaning=typed.get("meaning", ""),
        seen=typed.get("seen", ""),
        reauthentication=str(confirmed(request).pk),
        comment=typed.get("comment", ""),
    )


@page("POST")
def withdraw(request: HttpRequest, amendment_id: UUID) -> HttpResponse:
    """Withdraw my proposal, for a reason."""
    try:
        amendments.withdraw(
            actor=Person.at(request, "web"), amendment_id=amendment_id, reason=request.POST.get("reason", "")
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, amendment_id, Form("withdraw", request.POST, refusal))
    messages.success(request, "The amendment is withdrawn.")
    return go("amendment", amendment_id)


def _show(request: HttpRequest, amendment_id: UUID, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    sheet = sheet_for(user, amendment_id)
    typed: Mapping[str, Any] = form.typed if form else {}
    context = {
        "sheet": sheet,
        "amendment": sheet.amendment,
        "deployment": sheet.amendment.deployment,
        "form": form,
        "decision": typed.get("decision", ""),
        "meanings": [Choice(one, MEANING_WORDS[one], typed.get("meaning") == one) for one in MEANINGS],
    } | ways_to_confirm(request)
    status = form.problem.status if form else 200
    return render(request, "handoff/amendments/detail.html", context, status=status)
