"""Each request has an id: the sender's own, if it is plain, or a new one. The answer and every log line tell it."""

from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

from engine.request_ids import HEADER, plain


class RequestIdMiddleware:
    """Give a request its id, before anything else is done for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and tell the id."""
        name = plain(request.headers.get(HEADER)) or uuid4().hex
        clear_contextvars()
        bind_contextvars(request=name)  # until the next one: Django logs refusals after all middleware
        response = self.get_response(request)
        response[HEADER] = name
        return response
