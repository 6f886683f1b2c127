"""Describe in OpenAPI what the views do beside their bodies: keys, versions, lists by cursor, refusals.

What a handler does is read from the names that its code uses (`once`, `require_match`, `etag`, `page_of`), so the
description cannot forget it.
"""

import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_spectacular.openapi import AutoSchema
from rest_framework.throttling import ScopedRateThrottle

from audit.http import KEY
from audit.paging import ByCursor

PROBLEM = {
    "type": "object",
    "description": "Why a request was refused. Nothing was changed.",
    "required": ["code", "message", "todo", "fields"],
    "properties": {
        "code": {"type": "string", "description": "The rule's stable name.", "examples": ["stale_version"]},
        "message": {"type": "string", "description": "What is wrong, for a person."},
        "todo": {"type": "string", "description": "What to do next, for a person."},
        "fields": {
            "type": "object",
            "description": "What is wrong with single fields, by dotted name; an empty name is the whole body.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
REFUSALS = {
    "400": "The request cannot be read, or has a parameter that nobody reads.",
    "401": "Nobody is signed in.",
    "403": "It is there, and you may not do this.",
    "404": "There is nothing here that you may see.",
    "409": "It does not fit the state, or changed since you looked.",
    "412": "It changed after you read it (`stale_version`).",
    "413": "The body or a file is too large.",
    "422": "The content breaks a rule; or the key came with another request (`key_reused`).",
    "428": "If-Match is missing (`version_required`).",
    "429": "Too many requests.",
}
KEY_PARAMETER = {
    "in": "header",
    "name": KEY,
    "schema": {"type": "string", "maxLength": 100},
    "description": "Of your choice, such as a UUID. Sent again with the same content, it replays the first answer.",
}
MATCH_PARAMETER = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string", "examples": ['"3"']},
    "description": "The ETag that you read.",
}
ETAG = {"schema": {"type": "string", "examples": ['"3"']}, "description": "The revision; send it back as If-Match."}
REPLAY = {"schema": {"type": "string", "enum": ["true"]}, "description": "Present when the answer is a replay."}


class BearerScheme(KnoxTokenScheme):
    """Describe our own reading of tokens as the library describes its own."""

    target_class = "mdlc_site.authentication.Bearer"


class Schema(AutoSchema):
    """The usual description, with the headers and refusals of this API."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Return the description of one method of one address."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        names = self._names()
        if "once" in names:
            operation.setdefault("parameters", []).append(KEY_PARAMETER)
            _add_header(operation, "Idempotent-Replay", REPLAY)
        if "require_match" in names:
            operation.setdefault("parameters", []).append(MATCH_PARAMETER)
        if "etag" in names:
            _add_header(operation, "ETag", ETAG)
        for status in sorted(self._refusals(names)):
            operation["responses"].setdefault(status, _refusal(REFUSALS[status]))
        return operation

    def _get_paginator(self) -> Any:
        return ByCursor() if "page_of" in self._names() else super()._get_paginator()

    def _names(self) -> set[str]:
        return names_used(type(self.view), self.method.lower())

    def _refusals(self, names: set[str]) -> Iterator[str]:
        if self.get_auth():
            yield from ("401", "403", "404")  # 404 for a list, too: for a cursor of another one, or for a stranger
        if self.method in {"POST", "PUT", "PATCH"}:
            yield from ("400", "409", "413", "422")
        if names & {"known_parameters", "page_of"}:
            yield "400"
        if names & {"known_parameters", "is_valid"}:
            yield "422"
        if "require_match" in names:
            yield from ("412", "428")
        if any(issubclass(throttle, ScopedRateThrottle) for throttle in self.view.throttle_classes):
            yield "429"


def add_problem(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add the form of a refusal to the document."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    return result


def names_used(view: type, method: str) -> set[str]:
    """Return the names that a view's handler uses, in functions inside it and in the view's own methods too."""
    found: set[str] = set()
    waiting = [method]
    while waiting:
        function = getattr(view, waiting.pop(), None)
        code = getattr(inspect.unwrap(function), "__code__", None) if function else None
        names = set(_names_of(code)) - found if code else set()
        found |= names
        waiting += [name for name in names if (name == "create" or name.startswith("_")) and name in dir(view)]
    return found


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_of(part)


def _add_header(operation: dict[str, Any], name: str, header: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {})[name] = header


def _refusal(description: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}
