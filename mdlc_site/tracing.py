"""Spans of requests to the site, and of workers."""

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from django.http import HttpRequest, HttpResponse

from audit.request_ids import current_request
from engine import tracing

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class TracingMiddleware:
    """Open a span for each request, named by its route: no address as it was asked, for these may hold anything."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.on = tracing.on()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, inside a span where traces are taken."""
        if not self.on:
            return self.get_response(request)
        method = request.method if request.method in METHODS else "_OTHER"
        known = {"http__request__method": str(method), "mdlc__request": current_request()}
        parent = request.headers.get(tracing.HEADER, "")
        with tracing.span(str(method), parent=parent, kind=tracing.SpanKind.SERVER, **known) as span:
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            span.update_name(f"{method} /{route}")
            span.set_attribute("http.route", f"/{route}")
            span.set_attribute("http.response.status_code", response.status_code)
            return response


class Step(bootsteps.Step):
    """The part of a worker that sends its spans."""

    def create(self, parent: Any) -> None:
        """Begin to send, where somebody takes them."""
        tracing.start("mdlc-worker")
