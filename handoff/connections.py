"""The streams that a handoff's bindings name: found in the target, pinned by digest, and held against the schemas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from engine.streams.dead_letters import LETTER
from handoff.errors import Invalid
from handoff.in_force import bindings_of
from handoff.models import Handoff
from handoff.rules.bindings import LETTERS, streams_in
from models_registry.models import Environment, ModelVersion, Stream
from models_registry.rules.streams import endless, misfits_of

SCHEMA_OF = {"source": "input_schema", "sink": "output_schema"}


@dataclass(frozen=True, slots=True)
class Connected:
    """What a run reads from and writes to, as descriptors that an engine takes."""

    source: Mapping[str, Any]
    sinks: Mapping[str, Mapping[str, Any]]
    letters: Mapping[str, Any] | None = None

    def as_plan(self) -> dict[str, Any]:
        """Return the parts of an order of a run that tell its streams."""
        sinks = {name: dict(sink) for name, sink in self.sinks.items()}
        return {"source": dict(self.source), "sinks": sinks, "letters": dict(self.letters) if self.letters else None}


def pinned(bindings: dict[str, Any], target: Environment) -> dict[str, Any]:
    """Return bindings with the digest of each stream's descriptor as it is now. Raises Invalid with every odd place."""
    named = streams_in(bindings)
    there = _streams(target, named)
    wrong: dict[str, str] = {}
    for place, direction, told in named:
        found = there.get(told["stream"])
        if found is None:
            wrong[place] = f"{target.name} has no stream {told['stream']}, or it was retired"
        elif found.direction != direction:
            wrong[place] = f"{found.slug} is a {found.direction}, and this has to be a {direction}"
    if not wrong and named:
        wrong = _wrong_mode(bindings["mode"], there[bindings["input"]["stream"]])
    if wrong:
        words = "Name streams that the target has; its IT operations or integration owner declares them."
        raise Invalid(
            "The bindings name streams that cannot be used.", code="stream_unusable", todo=words, fields=wrong
        )
    if not named:
        return bindings
    return _each(bindings, lambda told: _pin(told, there))


def misfits(bindings: Mapping[str, Any], target: Environment, version: ModelVersion) -> dict[str, str]:
    """Return what speaks against running a version over the streams of its bindings, by place: field and reason."""
    named = streams_in(bindings)
    if not named:
        return {}
    there = _streams(target, named)
    schemas = {one.name: one.text or "" for one in version.elements.all() if one.name in SCHEMA_OF.values()}
    found = {}
    for place, direction, told in named:
        stream = there.get(told["stream"])
        if stream is None:
            found[place] = f"{target.name} has no stream {told['stream']} any more; change the bindings"
            continue
        carried = LETTER.canonical().decode() if place == LETTERS else schemas.get(SCHEMA_OF[direction], "")
        broken = misfits_of(_chosen(stream, told), direction, carried)
        if broken:
            why = "; ".join(f"{one.field}: {one.reason}" for one in broken)
            what = "dead letters" if place == LETTERS else "the model"
            found[place] = f"The stream {stream.slug} does not fit {what}. {why}"
    return found


def changed_since(handoff: Handoff, bindings: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the streams that are not what was signed any more, in words, under a key each.

    Those of the bindings that are in force, or of others that were signed.
    """
    named = streams_in(bindings or bindings_of(handoff))
    there = _streams(handoff.target, named) if named else {}
    found = {}
    for _, _, told in named:
        stream = there.get(told["stream"])
        if stream is None:
            found[f"stream.{told['stream']}"] = f"the stream {told['stream']} was retired"
        elif stream.digest != told.get("digest"):
            found[f"stream.{stream.slug}"] = (
                f"the descriptor of the stream {stream.slug} changed after it was offered; change it back, or withdraw "
                "the handoff and offer it anew"
            )
    return found


def unreachable(handoff: Handoff, bindings: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the streams that the target's engine cannot reach at present, in words, under a key each."""
    named = streams_in(bindings or bindings_of(handoff))
    found = {}
    for one in _streams(handoff.target, named).values() if named else ():
        if one.failing_since is not None:
            since = one.failing_since.astimezone(UTC).strftime("%-d %b %Y, %H:%M:%S UTC")
            found[f"reach.{one.slug}"] = (
                f"the {one.direction} {one.slug} does not answer since {since}: {one.fault_code}"
            )
    return found


def connected(handoff: Handoff, bindings: Mapping[str, Any] | None = None) -> Connected | None:
    """Return what a handoff's run reads and writes by some bindings; None where it only answers requests."""
    named = streams_in(bindings or bindings_of(handoff))
    if not named:
        return None
    there = _streams(handoff.target, named)
    chosen = {place: (told["stream"], _chosen(there[told["stream"]], told)) for place, _, told in named}
    _, source = chosen.pop("bindings.input")
    _, letters = chosen.pop(LETTERS, ("", None))
    return Connected(source, dict(chosen.values()), letters)


def _streams(target: Environment, named: list[tuple[str, str, Mapping[str, Any]]]) -> dict[str, Stream]:
    slugs = [told["stream"] for _, _, told in named]
    if not slugs:
        return {}
    return {one.slug: one for one in Stream.objects.filter(environment=target, slug__in=slugs, retired_at=None)}


def _wrong_mode(mode: str, source: Stream) -> dict[str, str]:
    """Say why a source cannot be run in this mode; a batch ends, a stream does not."""
    if source.descriptor["transport"] == "http":
        return {"bindings.input": f"{source.slug} is the engine's own endpoint; choose the mode request_reply"}
    if endless(source.descriptor) != (mode == "stream"):
        fits = "stream" if mode == "batch" else "batch"
        return {"bindings.mode": f"{source.slug} can be run as a {fits} only"}
    return {}


def _pin(told: Mapping[str, Any], there: Mapping[str, Stream]) -> dict[str, Any]:
    stream = there[told["stream"]]
    shown = {"transport": stream.descriptor["transport"], "encoding": stream.descriptor.get("encoding", "")}
    return {**told, **shown, "digest": stream.digest}


def as_signed_before(bindings: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return pinned bindings in which each stream that was bound before has the digest that was signed then."""
    digests = {told["stream"]: told["digest"] for _, _, told in streams_in(before) if told.get("digest")}

    def kept(told: Mapping[str, Any]) -> dict[str, Any]:
        return {**told, "digest": digests.get(told["stream"], told["digest"])}

    return _each(bindings, kept)


def _each(bindings: Mapping[str, Any], told: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return bindings with something told of each stream that they name."""
    streams = {"input": told(bindings["input"]), "outputs": [told(one) for one in bindings["outputs"]]}
    letters = {"letters": told(bindings["letters"])} if "letters" in bindings else {}
    return {**bindings, **streams, **letters}


def _chosen(stream: Stream, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream's descriptor with the fields that the bindings choose."""
    return {**stream.descriptor, "fields": told["fields"]} if told.get("fields") else dict(stream.descriptor)
