"""How a model will be connected in the target: read strictly, filled with what is usual."""

from collections.abc import Mapping
from typing import Any

from handoff.errors import Invalid

# The records can tell slots apart, engines cannot: two of them would take turns at one endpoint, and both be "live".
SLOT = "main"
KNOWN = {"slot", "mode", "input", "output", "consumers"}


def read_bindings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return complete bindings. Raises Invalid that names the odd field."""
    odd = sorted(set(raw) - KNOWN)
    if odd:
        known = ", ".join(sorted(KNOWN))
        raise Invalid(f"Bindings know {known}.", fields={f"bindings.{key}": "is not known" for key in odd})
    mode = raw.get("mode", "request_reply")
    if mode != "request_reply":
        raise Invalid("The engine serves request and reply.", fields={"bindings.mode": "must be request_reply"})
    if raw.get("slot", SLOT) != SLOT:
        raise Invalid(
            "An engine serves one version of a model at a time, in its one slot.",
            code="slot_unknown",
            todo=f"Leave the slot out, or write {SLOT}.",
            fields={"bindings.slot": f"must be {SLOT}"},
        )
    consumers = raw.get("consumers", [])
    if not isinstance(consumers, list) or not all(isinstance(c, str) and 0 < len(c) <= 120 for c in consumers):
        raise Invalid("Consumers are a list of names.", fields={"bindings.consumers": "must be a list of names"})
    streams = {side: _stream(side, raw.get(side, {})) for side in ("input", "output")}
    return {"slot": SLOT, "mode": mode, **streams, "consumers": consumers}


def _stream(side: str, raw: Any) -> dict[str, str]:
    stream = {"transport": "http", "encoding": "json"}
    if not isinstance(raw, Mapping) or set(raw) - set(stream):
        raise Invalid("A stream has transport and encoding.", fields={f"bindings.{side}": "is not a stream"})
    stream.update({key: str(value) for key, value in raw.items()})
    if stream["transport"] != "http" or stream["encoding"] not in {"json", "binary"}:
        raise Invalid(
            "The engine takes JSON or binary tensors over HTTP.",
            fields={f"bindings.{side}": "must be http, json or binary"},
        )
    return stream
