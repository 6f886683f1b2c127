"""What every page shares: only signed-in people come in, and a refused form keeps what was typed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url

from audit.actors import actor_at
from audit.errors import Forbidden, Refused
from audit.models import Account

View = Callable[..., HttpResponseBase]
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody typed into one form of a page, and why it was refused. `about` tells equal forms apart."""

    name: str
    typed: Mapping[str, Any]
    problem: Refused
    about: str = ""
    kept: tuple[Any, ...] = ()

    @property
    def errors(self) -> dict[str, str]:
        """Return what is wrong with each field, under the last word of the field's place."""
        return {word_of(place): _sentence(told) for place, told in self.problem.fields.items()}

    @property
    def others(self) -> dict[str, str]:
        """Return what is wrong with the fields by their whole place, for a list above the form."""
        return {place: _sentence(told) for place, told in self.problem.fields.items()}


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the path to a page."""

    title: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a select box or a group of radio buttons."""

    value: str
    title: str
    chosen: bool = False
    note: str = field(default="")


def page(*methods: str) -> Callable[[View], View]:
    """Let signed-in people in by these methods; others are sent to sign in, or told that nothing was done."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            allowed = (*methods, "HEAD") if "GET" in methods else methods
            if request.method not in allowed:
                return HttpResponseNotAllowed(allowed)
            if not request.user.is_authenticated:
                return _outside(request)
            return view(request, *args, **kwargs)

        return guarded

    return guard


def _outside(request: HttpRequest) -> HttpResponse:
    if request.method in SAFE and not is_htmx(request):
        return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': request.get_full_path()}, safe='/')}")
    raise Forbidden(
        "You are signed out, so nothing was done.",
        code="not_signed_in",
        todo="Sign in again, perhaps in another tab so that nothing you typed is lost, then send the form again.",
    )


def account_of(request: HttpRequest) -> Account:
    """Return the account that is signed in."""
    return actor_at(request, "web").user


def is_htmx(request: HttpRequest) -> bool:
    """Tell whether a fragment is asked for."""
    return "HX-Request" in request.headers


def go(to: str, *args: Any, at: str = "") -> HttpResponseRedirect:
    """Send the browser on after something was done, to a place on the page."""
    return HttpResponseRedirect(resolve_url(to, *args) + (f"#{at}" if at else ""), status=303)


def word_of(place: str) -> str:
    """Return the last word of a field's place: 'link' for 'evidence[0].link'."""
    words = re.findall(r"\w+", place)
    return next((word for word in reversed(words) if not word.isdigit()), place)


def _sentence(told: str | list[str]) -> str:
    return told if isinstance(told, str) else "; ".join(told)
