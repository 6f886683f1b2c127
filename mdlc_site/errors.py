"""The one map from refusals to HTTP: problem answers for the API, a fragment or a page for the browser."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db.utils import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from audit.errors import Forbidden, Hidden, Invalid, Refused, Unavailable, WrongState
from audit.request_ids import current_request

log = logging.getLogger(__name__)

NOT_RIGHT = "Some fields are not right."
SOON = {"Retry-After": "5"}
CODES = {
    exceptions.NotAuthenticated: ("not_signed_in", "Send a token: Authorization: Bearer <token>."),
    exceptions.AuthenticationFailed: ("not_signed_in", "Ask for a new token at /api/v1/tokens/."),
    exceptions.PermissionDenied: ("forbidden", ""),
    exceptions.NotFound: ("not_found", ""),
    exceptions.MethodNotAllowed: ("method_not_allowed", "Ask with OPTIONS which methods there are."),
    exceptions.NotAcceptable: ("not_acceptable", "Accept application/json."),
    exceptions.UnsupportedMediaType: ("unsupported_media_type", "Send application/json, or multipart/form-data."),
    exceptions.Throttled: ("too_many_requests", "Wait as long as Retry-After says, then try again."),
    exceptions.ParseError: ("malformed", "Send well-formed JSON without duplicate keys, NaN or Infinity."),
}


class Unexpected(Refused):
    """Our own mistake: it was written down, and nothing was done."""

    status = 500
    code = "unexpected"


class TooMuch(Refused):
    """A request that is larger than any of ours needs to be."""

    status = 413
    code = "request_too_large"


def api_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an API request that was refused, in one form for all refusals."""
    refusal = refusal_for(error)
    if refusal is not None:
        return Response(problem(refusal), status=refusal.status, headers=headers_of(refusal))
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        wrong = Invalid(NOT_RIGHT, todo="Correct the fields that are named.", fields=flat(error.detail))
        return Response(problem(wrong), status=wrong.status)
    code, todo = CODES.get(type(error), ("refused", ""))
    response.data = {"code": code, "message": str(getattr(error, "detail", "")), "todo": todo, "fields": {}}
    return response


def refusal_for(error: Exception) -> Refused | None:
    """Return the refusal that an exception stands for; None for the framework's own and for mistakes."""
    match error:
        case Refused():
            return error
        case Http404():
            return Hidden("There is nothing here that you may see.", todo="Check the address.")
        case PermissionDenied():
            return Forbidden("You may not do this.", todo="Ask an administrator for the role that it needs.")
        case RequestDataTooBig():
            return TooMuch("The request is too large.", todo="Send files as multipart/form-data.")
        case UnreadablePostError():
            return Refused("The request ended before it was whole.", code="malformed", todo="Send it again.")
        case OperationalError():
            log.warning("The database did not answer: %s", error)
            return no_database()
        case IntegrityError():
            log.error("A constraint had to stop what no rule had refused.", exc_info=error)
            return WrongState(
                "Something else changed at the same moment; nothing was done.",
                code="conflict",
                todo="Read it again, then repeat your request if it is still needed.",
            )
        case DataError():
            return Invalid("A value cannot be stored.", todo="Send text without null characters, and smaller numbers.")
    return None


def no_database() -> Unavailable:
    """Return the refusal that stands for a database that does not answer."""
    return Unavailable("The database does not answer; nothing was done.", todo="Try again in a moment.")


def headers_of(refusal: Refused) -> dict[str, str]:
    """Return when to come again, where what is refused now may be done then."""
    return SOON if refusal.status == Unavailable.status else {}


def problem(refusal: Refused) -> dict[str, Any]:
    """Return the body of a problem answer; the sentences of a field always come as a list."""
    return {**refusal.as_dict(), "fields": flat(refusal.fields)}


def flat(detail: Any, name: str = "") -> dict[str, list[str]]:
    """Return what is wrong by dotted field name: {"elements.0.name": ["…"]}; an empty name is the whole body."""
    if isinstance(detail, Mapping):
        parts = [
            (name if key == "non_field_errors" else f"{name}.{key}".strip("."), value) for key, value in detail.items()
        ]
    elif isinstance(detail, list) and any(isinstance(part, Mapping | list) for part in detail):
        parts = [(f"{name}.{place}".strip("."), value) for place, value in enumerate(detail) if value]
    else:
        return {name: [str(part) for part in detail] if isinstance(detail, list) else [str(detail)]}
    found: dict[str, list[str]] = {}
    for part, value in parts:
        for field, sentences in flat(value, part).items():
            found.setdefault(field, []).extend(sentences)
    return found


def answer(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """Answer a refusal outside of the API's own views: as JSON below /api/, otherwise as a page."""
    if request.path_info.startswith("/api/"):
        return JsonResponse(problem(refusal), status=refusal.status, headers=headers_of(refusal))
    return page_for(request, refusal)


def page_for(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """Render a refusal for the browser: a fragment for htmx, a page otherwise."""
    template = "_problem.html" if request.headers.get("HX-Request") else "problem.html"
    response = render(request, template, {"problem": refusal}, status=refusal.status)
    for name, value in headers_of(refusal).items():
        response[name] = value
    return response


class RefusalMiddleware:
    """Turn a refusal that a page let through into an answer a person understands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer a refusal or a race that a constraint decided; leave anything else to Django."""
        if isinstance(error, Http404 | PermissionDenied | SuspiciousOperation):
            return None
        refusal = refusal_for(error)
        if isinstance(error, OperationalError):
            return plain(request, no_database())
        return None if refusal is None else answer(request, refusal)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django could not read."""
    return plain(request, refusal_for(exception) or Refused("The request cannot be understood.", code="malformed"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer that whoever asks may not do this."""
    return answer(request, refusal_for(exception) or Forbidden("You may not do this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere."""
    return answer(request, Hidden("There is nothing here that you may see.", todo="Check the address, or start anew."))


def unexpected(request: HttpRequest) -> HttpResponse:
    """Answer our own mistake. It was logged; the page needs neither session nor database.

    A database that does not answer, or has no connection left, is none, also where a middleware asked it.
    """
    if isinstance(sys.exc_info()[1], OperationalError):
        return plain(request, no_database())
    todo = f"Try again in a moment. If it goes on, tell an administrator this: request {current_request()}."
    return plain(request, Unexpected("Something went wrong here; it was written down.", todo=todo))


def plain(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """Render a refusal when nothing may be counted on: no session, no database."""
    if request.path_info.startswith("/api/"):
        return JsonResponse(problem(refusal), status=refusal.status, headers=headers_of(refusal))
    page = render_to_string("plain_problem.html", {"problem": refusal})
    return HttpResponse(page, status=refusal.status, headers=headers_of(refusal))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent without, or with an old, CSRF token: mostly signed out in another tab."""
    refusal = Forbidden(
        "This form is from an earlier session; nothing was done.",
        code="csrf_failed",
        todo="Reload the page, sign in if you are asked to, and send the form again.",
    )
    return answer(request, refusal)
