"""Resolve `$ref` inside one JSON Schema document. Nothing is fetched, and no circle is followed."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from engine.errors import SchemaError

DEEPEST = 100
DATA = ("enum", "const", "examples", "default")


class References:
    """The definitions of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Refuse references that lead elsewhere, nowhere, or in a circle.

        Raises SchemaError `ref_remote`, `ref_unknown` or `ref_cyclic`.
        """
        self._document = document
        self._known: set[str] = set()
        self._follow(document, ("#",), 0)

    def resolved(self, node: Mapping[str, Any], field: str) -> dict[str, Any]:
        """Return a schema with the keywords of what it refers to. Raises SchemaError if both say different things."""
        found = {key: value for key, value in node.items() if key != "$ref"}
        if "$ref" in node:
            found = merged(self.resolved(self._target(node["$ref"]), field), found, field)
        return found

    def _target(self, reference: Any) -> Mapping[str, Any]:
        """Return the schema that a reference names by a JSON pointer (RFC 6901) or by an anchor."""
        if not isinstance(reference, str):
            raise SchemaError("ref_unknown", "A $ref is a text such as '#/$defs/age'.", field="$ref")
        if not reference.startswith("#"):
            words = f"{reference!r} leads out of the document, and nothing is fetched; copy the definition into $defs."
            raise SchemaError("ref_remote", words, field=reference)
        found: Any = self._document
        if reference.startswith("#/"):
            for part in unquote(reference[2:]).split("/"):
                found = _inside(found, part.replace("~1", "/").replace("~0", "~"))
        elif reference != "#":
            named = [one for one in _schemas(self._document) if one.get("$anchor") == unquote(reference[1:])]
            found = named[0] if named else None
        if not isinstance(found, Mapping):
            raise SchemaError("ref_unknown", f"{reference!r} names nothing in the document.", field=reference)
        return found

    def _follow(self, node: Any, path: tuple[str, ...], depth: int) -> None:
        """Walk through a schema and all that it refers to; `path` has the references on the way here."""
        if depth > DEEPEST:
            raise SchemaError("schema_unsupported", f"The schema is nested deeper than {DEEPEST}.", field=path[-1])
        for child in _children(node):
            self._follow(child, path, depth + 1)
        reference = node.get("$ref") if isinstance(node, Mapping) else None
        if reference is None or isinstance(reference, Mapping):  # the latter is a field that is called $ref
            return
        target = self._target(reference)
        if reference in path:
            circle = " → ".join([*path[path.index(reference) :], reference])
            raise SchemaError("ref_cyclic", f"{circle} is a circle, and a record is flat; remove it.", field=reference)
        if reference not in self._known:
            self._follow(target, (*path, reference), depth + 1)
            self._known.add(reference)


def merged(one: Mapping[str, Any], other: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return two schemas that both hold as one. Raises SchemaError if a keyword has two values."""
    for key in one.keys() & other.keys():
        if one[key] != other[key] and key not in ("title", "description"):
            words = f"{key} has two values where schemas are put together; write one schema."
            raise SchemaError("schema_unsupported", words, field=field)
    return {**one, **other}


def _inside(node: Any, part: str) -> Any:
    if isinstance(node, list):
        return node[int(part)] if part.isdecimal() and int(part) < len(node) else None
    return node.get(part) if isinstance(node, Mapping) else None


def _schemas(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
    for child in _children(node):
        yield from _schemas(child)


def _children(node: Any) -> list[Any]:
    """Return the parts of a schema that are schemas, or hold some; values are none."""
    if isinstance(node, Mapping):
        return [one for key, one in node.items() if key not in DATA and isinstance(one, Mapping | list)]
    return [one for one in node if isinstance(one, Mapping | list)] if isinstance(node, list) else []
