"""Try one record on a live endpoint: the schema as fields to fill in, and what the engine answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import EngineError
from engine.schemas import INTEGERS, Field, Schema
from handoff.executors.errors import ExecutorError
from handoff.executors.http import LARGEST_ANSWER, Engine
from handoff.executors.replay import records_of, tensors_of

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One field of a record, as somebody fills it in. `rule` says in words what the schema allows."""

    name: str
    kind: str
    rule: str
    unit: str
    doc: str
    step: str
    allowed: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """What an engine said to one record: its outputs, or what is wrong with the record, or why neither."""

    record: dict[str, Any]
    output: dict[str, Any] | None = None
    violations: tuple[dict[str, Any], ...] = ()
    error: str = ""
    version: str = ""


class _Refused(ExecutorError):
    """The engine answered, and refused the record."""

    def __init__(self, message: str, violations: tuple[dict[str, Any], ...]) -> None:
        super().__init__(message, permanent=True, code="refused")
        self.violations = violations


class _Endpoint(Engine):
    """An engine whose refusals keep the violations that they name."""

    def _read(self, status: int, raw: bytes, what: str) -> dict[str, Any]:
        if status in (400, 422) and len(raw) <= LARGEST_ANSWER:
            try:
                told = json.loads(raw)
            except ValueError:
                told = None
            if isinstance(told, dict):
                raise _Refused(str(told.get("error", "")), tuple(told.get("violations") or ()))
        return super()._read(status, raw, what)


def fields_of(schema: str) -> list[Asked]:
    """Return an input schema's fields. Raises ExecutorError for a schema that cannot be read."""
    try:
        return [_asked(one) for one in Schema.parse(schema).fields]
    except EngineError as error:
        raise ExecutorError(f"The input schema cannot be read: {error.message}", permanent=True) from error


def record_of(fields: list[Asked], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what was typed as a record. What is no number stays as it was typed, so that the engine says so."""
    return {one.name: _value(one, typed.get(one.name, "").strip()) for one in fields}


def score(url: str, model: str, record: Mapping[str, Any]) -> Tried:
    """Send one record to the live endpoint of a model, and return what it answers."""
    engine = _Endpoint(url, "", seconds=SECONDS)
    path = f"/v2/models/{model}"
    try:
        about = engine.get(path)
        answer = engine.post(f"{path}/infer", {"inputs": tensors_of(about["inputs"], [dict(record)])})
        output = records_of(answer, 1)[0]
    except _Refused as error:
        return Tried(dict(record), violations=error.violations, error=error.message)
    except ExecutorError as error:
        return Tried(dict(record), error=error.message)
    return Tried(dict(record), output=output, version=str(answer.get("model_version", "")))


def _asked(one: Field) -> Asked:
    kind = "array" if one.type == "array" else one.kind
    step = "1" if kind in INTEGERS else "any"
    allowed = tuple(str(value) for value in one.allowed)
    return Asked(one.name, kind, _rule(one), one.unit, one.doc, step, allowed, one.nullable)


def _rule(one: Field) -> str:
    words = [f"{one.size or 'any number of'} values of {one.items}" if one.type == "array" else one.type]
    if one.minimum is not None and one.maximum is not None:
        words.append(f"{one.minimum:g} to {one.maximum:g}")
    elif one.minimum is not None:
        words.append(f"at least {one.minimum:g}")
    elif one.maximum is not None:
        words.append(f"at most {one.maximum:g}")
    if one.pattern:
        words.append(f"like {one.pattern}")
    if one.nullable:
        words.append("may be empty")
    return ", ".join(words)


def _value(one: Asked, text: str) -> Any:
    if not text:
        return None
    if one.kind in ("string", "enum"):
        return text
    if one.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    try:
        found = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    if one.kind in ("float", "double") and isinstance(found, int) and not isinstance(found, bool):
        return float(found)
    return found
