"""Which request is under way: the log of each process tells it, and work that is queued carries it on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from structlog.contextvars import bound_contextvars, get_contextvars


@contextmanager
def of_request(request: str, **more: Any) -> Iterator[None]:
    """Tell in each line of the log that it belongs to a request, and whatever else is named."""
    with bound_contextvars(**({"request": request} if request else {}), **more):
        yield


def current_request() -> str:
    """Return the id of the request under way; "" where there is none, as in what beat starts."""
    return str(get_contextvars().get("request", ""))
