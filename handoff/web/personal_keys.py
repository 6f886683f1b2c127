"""My personal keys in the browser: register one, retire it, and let it confirm who signs."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from audit import personal_keys
from audit.actors import Person
from audit.factors import has_second_factor
from audit.http import origin_of
from audit.models import PersonalKey
from audit.personal_keys import Question
from handoff.errors import Refused
from handoff.models import Reauthentication
from handoff.queries import signing_by_key
from handoff.services import reauthentications
from handoff.web.doors import Form, account_of, go, page
from handoff.web.typed_conditions import conditions_in

ANSWER = ("credential", "authenticator_data", "client_data", "signature")


def confirmed(request: HttpRequest) -> Reauthentication:
    """Confirm who signs, by what the form brings: the answer of a personal key, or the password. Raises Refused."""
    actor, typed = Person.at(request, "web"), request.POST
    if token := typed.get("key_token", ""):
        answer = {name: typed.get(f"key_{name}", "") for name in ANSWER}
        return reauthentications.confirm_by_key(actor=actor, origin=origin_of(request), token=token, answer=answer)
    return reauthentications.confirm(actor=actor, password=typed.get("password", ""), code=typed.get("code", ""))


def ways_to_confirm(request: HttpRequest) -> dict[str, Any]:
    """Return what the part of a form needs in which a signer confirms who they are."""
    user = account_of(request)
    try:
        has_key = personal_keys.usable(user, origin_of(request)).exists()
    except Refused:  # a site without a name has no keys
        has_key = False
    return {"second_factor": has_second_factor(user), "has_key": has_key}


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show my keys, and the form for a new one."""
    return _index(request)


@page("POST")
def register(request: HttpRequest) -> HttpResponse:
    """Keep a key that my device has just made."""
    actor, typed = Person.at(request, "web"), request.POST
    try:
        reauthentications.confirm(actor=actor, password=typed.get("password", ""), code=typed.get("code", ""))
        personal_keys.register(
            actor=actor,
            name=typed.get("name", ""),
            origin=origin_of(request),
            token=typed.get("key_token", ""),
            answer={name: typed.get(f"key_{name}", "") for name in ("client_data", "attestation")},
        )
    except Refused as refusal:
        return _index(request, Form("register", request.POST, refusal))
    messages.success(request, "The key is registered. From now on you can sign with it.")
    return go("personal-keys")


@page("POST")
def retire(request: HttpRequest, key_id: str) -> HttpResponse:
    """Let a key of mine sign no more, for a reason."""
    try:
        personal_keys.retire(actor=Person.at(request, "web"), key_id=key_id, reason=request.POST.get("reason", ""))
    except Refused as refusal:
        return _index(request, Form("retire", request.POST, refusal, about=key_id))
    messages.success(request, "The key is retired. What it signed stays provable.")
    return go("personal-keys")


def _index(request: HttpRequest, form: Form | None = None) -> HttpResponse:
    user, problem = account_of(request), None
    try:
        personal_keys.usable(user, origin_of(request))
    except Refused as refusal:
        problem = refusal
    keys = PersonalKey.objects.filter(account=user).order_by("retired_at", "registered_at")
    context = {"keys": keys, "nameless": problem, "form": form, "second_factor": has_second_factor(user)}
    return render(request, "handoff/personal_keys/index.html", context, status=form.problem.status if form else 200)


def _told(question: Callable[[], Question]) -> HttpResponseBase:
    """Answer the script of a form: the question for the key, or why there is none."""
    try:
        asked = question()
    except Refused as refusal:
        return JsonResponse(refusal.as_dict(), status=refusal.status)
    return JsonResponse({"options": asked.options, "token": asked.token})


@page("POST")
def ask_for_new(request: HttpRequest) -> HttpResponseBase:
    """Return what the browser asks my device for a new key."""
    return _told(lambda: personal_keys.ask_for_new(account_of(request), origin_of(request)))


@page("POST")
def ask(request: HttpRequest, handoff_id: UUID, requirement: str) -> HttpResponseBase:
    """Return what the browser asks my keys before I sign at a gate."""
    return _told(
        lambda: signing_by_key.ask(
            Person.at(request, "web"),
            handoff_id,
            requirement,
            origin=origin_of(request),
            seen=request.POST.get("seen", ""),
            decision=request.POST.get("decision", ""),
            meaning=request.POST.get("meaning", ""),
            comment=request.POST.get("comment", ""),
            conditions=conditions_in(request),
        )
    )


@page("POST")
def ask_about_amendment(request: HttpRequest, amendment_id: UUID) -> HttpResponseBase:
    """Return what the browser asks my keys before I sign an amendment."""
    names = ("requirement", "seen", "decision", "meaning", "comment")
    typed = {name: request.POST.get(name, "") for name in names}
    return _told(
        lambda: signing_by_key.ask_about_amendment(
            Person.at(request, "web"), amendment_id, origin=origin_of(request), **typed
        )
    )
