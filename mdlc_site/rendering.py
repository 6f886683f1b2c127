"""JSON in and out: strict when reading, quick when writing."""

import json
from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework import parsers, renderers
from rest_framework.exceptions import ParseError


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class StrictJSONParser(parsers.JSONParser):
    """Read JSON, and refuse duplicate keys, NaN, infinity, and nesting that no client of ours needs."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body. Raises ParseError with the reason."""
        try:
            text = stream.read().decode("utf-8")
            return json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not acceptable JSON: {error}") from error


class JSONRenderer(renderers.JSONRenderer):
    """Write JSON with orjson."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body's bytes."""
        return b"" if data is None else orjson.dumps(data, default=str)


class BrowsableAPIRenderer(renderers.BrowsableAPIRenderer):
    """The browsable page, read-only: forms are the site's own pages' work."""

    def show_form_for_method(self, view: Any, method: str, request: Any, obj: Any) -> bool:
        """Show no forms."""
        return False
