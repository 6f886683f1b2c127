"""The one map from refusals to HTTP: problem answers for the API, a fragment or a page for the browser."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.utils import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from audit.errors import Refused

log = logging.getLogger(__name__)

CODES = {
    exceptions.NotAuthenticated: ("not_signed_in", "Send a token: Authorization: Bearer <token>."),
    exceptions.AuthenticationFailed: ("not_signed_in", "Ask for a new token at /api/v1/tokens/."),
    exceptions.PermissionDenied: ("forbidden", ""),
    exceptions.NotFound: ("not_found", ""),
    exceptions.MethodNotAllowed: ("method_not_allowed", ""),
    exceptions.NotAcceptable: ("not_acceptable", ""),
    exceptions.UnsupportedMediaType: ("unsupported_media_type", "Send application/json, or multipart/form-data."),
    exceptions.Throttled: ("too_many_requests", "Wait, then try again."),
    exceptions.ParseError: ("malformed", "Send well-formed JSON without duplicate keys, NaN or Infinity."),
}


def api_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an API request that was refused, in one form for all refusals."""
    if isinstance(error, Refused):
        return Response(error.as_dict(), status=error.status)
    if isinstance(error, OperationalError):
        log.warning("The database did not answer: %s", error)
        body = {"code": "unavailable", "message": "The database does not answer.", "todo": "Try again.", "fields": {}}
        return Response(body, status=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
    if isinstance(error, Http404 | PermissionDenied):
        error = exceptions.NotFound() if isinstance(error, Http404) else exceptions.PermissionDenied()
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
        response.data = {
            "code": "invalid",
            "message": "Some fields are not right.",
            "todo": "Correct the fields that are named.",
            "fields": error.detail if isinstance(error.detail, dict) else {"": error.detail},
        }
        return response
    code, todo = CODES.get(type(error), ("refused", ""))
    detail = getattr(error, "detail", "")
    response.data = {"code": code, "message": str(detail), "todo": todo, "fields": {}}
    return response


def page_for(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """Render a refusal for the browser: a fragment for htmx, a page otherwise."""
    template = "_problem.html" if request.headers.get("HX-Request") else "problem.html"
    return render(request, template, {"problem": refusal}, status=refusal.status)


class RefusalMiddleware:
    """Turn a refusal that a page let through into an answer a person understands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer a refusal; leave anything else to Django."""
        return page_for(request, error) if isinstance(error, Refused) else None


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent without, or with an old, CSRF token: mostly signed out in another tab."""
    refusal = Refused(
        "This form is from an earlier session; nothing was done.",
        code="csrf_failed",
        todo="Reload the page, sign in if you are asked to, and send the form again.",
    )
    refusal.status = status.HTTP_403_FORBIDDEN
    return page_for(request, refusal)
