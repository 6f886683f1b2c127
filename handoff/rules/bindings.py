"""How a model will be connected in the target: read strictly, filled with what is usual."""

from collections.abc import Mapping
from typing import Any

from handoff.errors import Invalid
from handoff.rules.schedules import read_schedule

# The records can tell slots apart, engines cannot: two of them would take turns at one endpoint, and both be "live".
SLOT = "main"
KNOWN = {"slot", "mode", "input", "output", "outputs", "letters", "consumers", "schedule"}
BATCH = "batch"
RUNNING = (BATCH, "stream")
MOST_SINKS = 50
LETTERS = "bindings.letters"  # the place of the sink for what was not scored or not delivered
# What the site adds to a stream's name; whoever sends back what they read sends it along.
PINNED = {"stream", "fields", "transport", "encoding", "digest"}


def read_bindings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return complete bindings. Raises Invalid that names the odd field."""
    odd = sorted(set(raw) - KNOWN)
    if odd:
        known = ", ".join(sorted(KNOWN))
        raise Invalid(f"Bindings know {known}.", fields={f"bindings.{key}": "is not known" for key in odd})
    mode = raw.get("mode", "request_reply")
    if mode not in ("request_reply", *RUNNING):
        raise Invalid(
            "An engine answers requests, or runs over streams in batches or without end.",
            fields={"bindings.mode": "must be request_reply, batch or stream"},
        )
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
    if "schedule" in raw and mode != BATCH:
        raise Invalid(
            "Only a batch is run on a schedule; a stream goes on for ever.",
            fields={"bindings.schedule": "needs the mode batch"},
        )
    if mode in RUNNING:
        due = {"schedule": read_schedule(raw["schedule"])} if "schedule" in raw else {}
        return {"slot": SLOT, "mode": mode, **_running(raw), "consumers": consumers, **due}
    for key, words in (("outputs", "Request and reply has one output."), ("letters", "Only runs have dead letters.")):
        if key in raw:
            raise Invalid(words, fields={f"bindings.{key}": "needs the mode batch or stream"})
    streams = {side: _stream(side, raw.get(side, {})) for side in ("input", "output")}
    return {"slot": SLOT, "mode": mode, **streams, "consumers": consumers}


def _running(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the streams of a run, by name: one source, and any number of sinks with the fields that each gets."""
    if "output" in raw:
        raise Invalid("A run has outputs.", fields={"bindings.output": "is written as outputs, a list"})
    outputs = raw.get("outputs", [])
    if not isinstance(outputs, list) or not 0 < len(outputs) <= MOST_SINKS:
        words = f"must list 1 to {MOST_SINKS} sinks of the target"
        raise Invalid("A run needs somewhere to put its outputs.", fields={"bindings.outputs": words})
    sinks = [_name(f"bindings.outputs[{place}]", one, fields=True) for place, one in enumerate(outputs)]
    if len({one["stream"] for one in sinks}) != len(sinks):
        raise Invalid("A sink is named twice.", fields={"bindings.outputs": "names a sink twice"})
    streams: dict[str, Any] = {"input": _name("bindings.input", raw.get("input", {})), "outputs": sinks}
    if "letters" not in raw:
        return streams
    letters = _name("bindings.letters", raw["letters"])
    if letters["stream"] in {one["stream"] for one in sinks}:
        words = "is a sink of outputs already; what was not scored has other fields"
        raise Invalid("Dead letters need a sink of their own.", fields={"bindings.letters": words})
    return streams | {"letters": letters}


def _name(place: str, raw: Any, *, fields: bool = False) -> dict[str, Any]:
    """Return the name of a stream, and the fields that are chosen from it."""
    slug = raw.get("stream") if isinstance(raw, Mapping) and not set(raw) - PINNED else None
    if not isinstance(slug, str) or not slug or len(slug) > 50:
        raise Invalid("A stream is given by its name.", fields={place: 'must be {"stream": "<short name>"}'})
    if not fields:
        return {"stream": slug}
    chosen = raw.get("fields") or []
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen) or len(chosen) > 500:
        raise Invalid("Fields are a list of names.", fields={f"{place}.fields": "must be a list of names"})
    return {"stream": slug, "fields": list(chosen)}


def streams_in(bindings: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return the streams that bindings name: the place, the direction, and what is said of each."""
    if bindings.get("mode") not in RUNNING:
        return []
    sinks = [(f"bindings.outputs[{place}]", "sink", one) for place, one in enumerate(bindings["outputs"])]
    letters = [(LETTERS, "sink", bindings["letters"])] if "letters" in bindings else []
    return [("bindings.input", "source", bindings["input"]), *sinks, *letters]


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
