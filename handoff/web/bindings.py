"""Bindings as a form has them, read into what the services take."""

from collections.abc import Mapping
from typing import Any


def bindings_of(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return typed bindings; what was left empty is left to the usual."""
    found: dict[str, Any] = {}
    for side in ("input", "output"):
        if encoding := str(typed.get(f"{side}_encoding", "")).strip():
            found[side] = {"encoding": encoding}
    names = [line.strip() for line in str(typed.get("consumers", "")).replace(",", "\n").splitlines()]
    found["consumers"] = [name for name in names if name]
    return found


def typed_of(bindings: Mapping[str, Any]) -> dict[str, str]:
    """Return bindings as the form shows them."""
    return {
        "input_encoding": str(bindings.get("input", {}).get("encoding", "json")),
        "output_encoding": str(bindings.get("output", {}).get("encoding", "json")),
        "consumers": "\n".join(bindings.get("consumers", [])),
    }
