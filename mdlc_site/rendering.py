"""JSON in and out: strict when reading, quick when writing."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import parsers, renderers
from rest_framework.exceptions import ParseError

DEPTH = 32
LARGEST = 2**63


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _small(text: str) -> int:
    value = int(text)
    if not -LARGEST <= value < LARGEST:
        raise ValueError("a whole number has more than 64 bits")
    return value


def _check(value: Any, depth: int = 0) -> None:
    """Refuse text that PostgreSQL cannot keep, and nesting that no client of ours needs."""
    if depth > DEPTH:
        raise ValueError(f"it is nested deeper than {DEPTH} levels")
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text holds a null character")
        value.encode()  # raises for half of a surrogate pair
    elif isinstance(value, dict):
        for key, part in value.items():
            _check(key, depth)
            _check(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check(part, depth + 1)


class StrictJSONParser(parsers.JSONParser):
    """Read JSON that every reader understands alike: no duplicate keys, NaN, infinity, or null characters."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body. Raises ParseError with the reason, and RequestDataTooBig."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise RequestDataTooBig(f"A JSON body has at most {limit} bytes.")
        try:
            found = json.loads(
                body.decode("utf-8"),
                object_pairs_hook=_no_twins,
                parse_constant=_no_constant,
                parse_float=_finite,
                parse_int=_small,
            )
            _check(found)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not acceptable JSON: {error}") from error
        return found


class JSONRenderer(renderers.JSONRenderer):
    """Write JSON with orjson."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body's bytes."""
        if data is None:
            return b""
        option = orjson.OPT_INDENT_2 if (renderer_context or {}).get("indent") else None
        return orjson.dumps(data, default=str, option=option)


class BrowsableAPIRenderer(renderers.BrowsableAPIRenderer):
    """The browsable page, read-only: forms are the site's own pages' work."""

    def show_form_for_method(self, view: Any, method: str, request: Any, obj: Any) -> bool:
        """Show no forms."""
        return False

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]) -> Any:
        """Return what the page needs, without the style that our policy for content refuses."""
        return {**super().get_context(data, accepted_media_type, renderer_context), "code_style": ""}
