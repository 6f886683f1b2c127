"""Send what schemathesis makes of the OpenAPI document, right and wrong, as everybody; compare what comes back."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from knox.models import AuthToken
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.doors.asking import Asking, taken_back
from tests.doors.standing import ROLES, parts_of

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
SLOW = 2.0  # seconds
TRACE = b"Traceback (most recent call last)"


@dataclass
class Fuzzed:
    """How many requests were made and how they were answered, what was not as described, and what took too long."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)

    def report(self) -> str:
        """Return what was found, for whoever started a long run."""
        statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(self.statuses.items()))
        lines = [f"{self.requests:,} generated requests: {statuses}."]
        lines += [f"wrong: {what} ({how})" for what, how in sorted(self.wrong.items())]
        lines += [f"slow: {what} took {took:.1f} s" for what, took in sorted(self.slow.items())]
        return "\n".join(lines)


def fuzz(asking: Asking, document: dict[str, Any], examples: int, begin: int) -> Fuzzed:
    """Send so many requests to each operation, drawn from a seed; half right and half wrong, by everybody in turn."""
    schema = schemathesis.openapi.from_dict(document)
    schema.app = _whole(get_wsgi_application())
    tokens = {who: _token(asking, who) for who in ROLES}
    there = {state: parts_of(asking.site, handoff) for state, handoff in asking.site.handoffs.items()}
    done = Fuzzed()
    with _connected():
        for found in schema.get_all_operations():
            _operation(found.ok(), tokens, list(there.values()), done, examples, begin)
    return done


def _whole(app: Callable[..., Any]) -> Callable[..., list[bytes]]:
    """Let every answer be read and closed, as a server does; with it go the files that were sent."""

    def answered(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        answer = app(environ, start)
        try:
            return [b"".join(answer)]
        finally:
            answer.close()

    return answered


@contextmanager
def _connected() -> Iterator[None]:
    """Keep the connection between requests, as Django's own test client does: all is one transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def _operation(operation: Any, tokens: dict[str, str], there: list[Any], done: Fuzzed, many: int, begin: int) -> None:
    """Send requests to one operation. What is wrong is kept, not raised, so that all of it is found in one run."""
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in _modes(operation)))
    quiet = {"database": None, "deadline": None, "phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}

    @seed(begin)
    @settings(max_examples=many, **quiet)
    @given(case=cases, who=st.sampled_from(sorted(tokens)), filled=st.sampled_from([*there, *there, {}]))
    def one(case: Any, who: str, filled: dict[str, Any]) -> None:
        for name in set(case.path_parameters or ()) & filled.keys():
            case.path_parameters[name] = str(filled[name])
        _send(case, who, tokens[who], done)

    one()


def _modes(operation: Any) -> list[GenerationMode]:
    """Return how requests are made; where nothing can be wrong, only right ones."""
    takes = bool(operation.body) or any(True for _ in operation.iter_parameters())
    return list(GenerationMode) if takes else [GenerationMode.POSITIVE]


def _send(case: Any, who: str, token: str, done: Fuzzed) -> None:
    headers, begun = {"Authorization": token} if token else {}, time.monotonic()
    with taken_back():
        answer = case.call(headers=headers)
    took, label = time.monotonic() - begun, case.operation.label
    done.requests += 1
    done.statuses[answer.status_code] += 1
    if took > SLOW:
        done.slow[label] = max(took, done.slow.get(label, 0))
    _check(lambda: case.validate_response(answer, checks=CHECKS), label, who, done)
    if TRACE in answer.content:
        done.wrong.setdefault(f"{label} {answer.status_code}: a stack trace", who)


def _check(validate: Callable[[], None], label: str, who: str, done: Fuzzed) -> None:
    try:
        validate()
    except FailureGroup as group:
        for one in group.exceptions:
            done.wrong.setdefault(f"{label}: {getattr(one, 'title', one)}", f"as {who}: {one}")
    except Failure as one:
        done.wrong.setdefault(f"{label}: {one.title}", f"as {who}: {one}")


def _token(asking: Asking, who: str) -> str:
    account = asking.site.place.people.get(who)
    return f"Bearer {AuthToken.objects.create(user=account)[1]}" if account else ""
