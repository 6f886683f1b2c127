"""One act is one transaction: it commits whole, or it never happened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import transaction

from audit.actors import Person, ServiceAccount
from audit.hidden_text import refuse_hidden

P = ParamSpec("P")
R = TypeVar("R")

_outer: ContextVar[bool] = ContextVar("an outer transaction was opened on purpose", default=False)


def act(function: Callable[P, R]) -> Callable[P, R]:
    """Run a service function in a transaction of its own; called inside another transaction it raises.

    What people and automation give to it is text that shows as it reads, or it is refused.
    """

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(kwargs.get("actor"), Person | ServiceAccount):
            refuse_hidden(kwargs)
        shared = _outer.get()
        token = _outer.set(False)  # an act inside an act raises, shared transaction or not
        try:
            with transaction.atomic(durable=not shared):
                return function(*args, **kwargs)
        finally:
            _outer.reset(token)

    return inside


@contextmanager
def one_transaction() -> Iterator[None]:
    """Let an act share a transaction with what its door must write beside it (a request key)."""
    with transaction.atomic(durable=True):
        token = _outer.set(True)
        try:
            yield
        finally:
            _outer.reset(token)
