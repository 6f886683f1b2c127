"""Start a handoff: choose the version and where it goes, see what differs and what is missing, then draft it."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from audit.actors import actor_at
from handoff.errors import Invalid, Refused
from handoff.queries.drafts import Choices, choices_for, preview
from handoff.readiness import Offer
from handoff.rules.bindings import read_bindings
from handoff.services import handoffs
from handoff.web.bindings import bindings_of, typed_of
from handoff.web.differences import shown_of
from handoff.web.doors import Form, account_of, go, is_htmx, page
from models_registry.models import Environment, ModelVersion


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen so far."""

    version: ModelVersion | None
    source: Environment | None
    target: Environment | None

    @property
    def complete(self) -> bool:
        """Tell whether a preview can be shown."""
        return bool(self.version and self.source and self.target and self.source != self.target)


@page("GET", "POST")
def new(request: HttpRequest) -> HttpResponse:
    """Show the form, with a preview once enough is chosen; or start the draft."""
    if request.method == "POST" and request.POST.get("do") == "draft":
        return _draft(request)
    return _form(request, request.POST if request.method == "POST" else request.GET)


def _draft(request: HttpRequest) -> HttpResponse:
    model, _, number = request.POST.get("version", "").partition("@")
    try:
        if not model or not number.isdigit():
            raise Invalid("Choose the version to hand over.", fields={"version": "is not chosen"})
        handoff = handoffs.draft(
            actor=actor_at(request, "web"),
            model=model,
            version=int(number),
            source=request.POST.get("source", ""),
            target=request.POST.get("target", ""),
            note=request.POST.get("note", ""),
            bindings=bindings_of(request.POST),
        )
    except Refused as refusal:
        return _form(request, request.POST, refusal)
    messages.success(request, "The draft is started. Complete it, then offer it.")
    return go("handoff", handoff.pk)


def _form(request: HttpRequest, typed: QueryDict, refusal: Refused | None = None) -> HttpResponse:
    user = account_of(request)
    choices = choices_for(user, typed.get("model", ""))
    chosen = _chosen(choices, typed)
    context: dict[str, Any] = {
        "choices": choices,
        "chosen": chosen,
        "model": typed.get("model", ""),
        "note": typed.get("note", ""),
        "binding": typed_of({}) | {key: typed[key] for key in typed_of({}) if key in typed},
        "form": Form("new", typed, refusal) if refusal else None,
    }
    if chosen.complete:
        context |= _previewed(request, chosen, typed)
    name = "_form.html" if is_htmx(request) else "new.html"
    status = refusal.status if refusal else 200
    return render(request, f"handoff/handoffs/{name}", context, status=status)


def _previewed(request: HttpRequest, chosen: Chosen, typed: QueryDict) -> dict[str, Any]:
    assert chosen.version
    assert chosen.source
    assert chosen.target
    try:
        bindings = read_bindings(bindings_of(typed))
    except Refused:
        bindings = read_bindings({})  # the refusal is told when the draft is sent
    offer: Offer = preview(
        account_of(request),
        version=chosen.version,
        source=chosen.source,
        target=chosen.target,
        bindings=bindings,
    )
    return {"offer": offer, "shown": shown_of(offer.report)}


def _chosen(choices: Choices, typed: QueryDict) -> Chosen:
    """Return what was chosen, or the usual: one's only version, the first workbench and the first production."""
    wanted = typed.get("version", "")
    if wanted.isdigit():  # the address that a version's page leads to
        wanted = f"{typed.get('model', '')}@{wanted}"
    versions = {f"{v.model.slug}@{v.number}": v for v in choices.versions}
    version = versions.get(wanted)
    if version is None and not wanted and (typed.get("model") or len(versions) == 1):
        version = next(iter(versions.values()), None)
    return Chosen(
        version,
        _place(choices.sources, typed.get("source")),
        _place(choices.targets, typed.get("target")),
    )


def _place(places: list[Environment], slug: str | None) -> Environment | None:
    if slug is None:
        return places[0] if places else None
    return next((place for place in places if place.slug == slug), None)
