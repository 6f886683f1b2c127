"""Bindings as a form has them, read into what the services take."""

from collections.abc import Mapping
from typing import Any


def bindings_of(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return typed bindings; what was left empty is left to the usual."""
    found: dict[str, Any] = {}
    mode = str(typed.get("mode", "")).strip()
    if mode and mode != "request_reply":
        found = {"mode": mode, "input": {"stream": str(typed.get("input_stream", "")).strip()}}
        found["outputs"] = [_sink(line) for line in _lines(typed.get("output_streams", ""))]
        if letters := str(typed.get("letters_stream", "")).strip():
            found["letters"] = {"stream": letters}
        schedule = {key: str(typed.get(f"schedule_{key}", "")).strip() for key in ("cron", "zone")}
        if any(schedule.values()):
            found["schedule"] = schedule
    else:
        for side in ("input", "output"):
            if encoding := str(typed.get(f"{side}_encoding", "")).strip():
                found[side] = {"encoding": encoding}
    found["consumers"] = _lines(str(typed.get("consumers", "")).replace(",", "\n"))
    return found


def typed_of(bindings: Mapping[str, Any]) -> dict[str, str]:
    """Return bindings as the form shows them."""
    return {
        "mode": str(bindings.get("mode", "request_reply")),
        "input_encoding": str(bindings.get("input", {}).get("encoding", "json")),
        "output_encoding": str(bindings.get("output", {}).get("encoding", "json")),
        "input_stream": str(bindings.get("input", {}).get("stream", "")),
        "output_streams": "\n".join(_line(one) for one in bindings.get("outputs", [])),
        "letters_stream": str(bindings.get("letters", {}).get("stream", "")),
        "schedule_cron": str(bindings.get("schedule", {}).get("cron", "")),
        "schedule_zone": str(bindings.get("schedule", {}).get("zone", "")),
        "consumers": "\n".join(bindings.get("consumers", [])),
    }


def _lines(text: Any) -> list[str]:
    return [line.strip() for line in str(text).splitlines() if line.strip()]


def _sink(line: str) -> dict[str, Any]:
    """Return a sink as it is typed: its name, and behind a colon the fields that it gets."""
    slug, _, fields = line.partition(":")
    return {"stream": slug.strip(), "fields": [name.strip() for name in fields.split(",") if name.strip()]}


def _line(sink: Mapping[str, Any]) -> str:
    fields = ", ".join(sink.get("fields", []))
    return f"{sink['stream']}: {fields}" if fields else str(sink["stream"])
