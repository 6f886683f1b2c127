"""What differs between source and target, item by item: how free it is, how much it matters, and who answers for it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from engine.import_policy import Verdict
from handoff.rules.aspects import Declared, declared
from handoff.rules.severities import (
    EQUAL,
    Severity,
    at_least,
    of_interpreters,
    of_transports,
    of_unasked,
    of_versions,
    of_words,
    version_of,
)
from handoff.rules.sides import Cargo, Consumer, Owner, Side, Stream
from models_registry.rules.import_policies import judge_by

SEALED = "the same bytes on both sides; the worker and the engine hash them again"
CLASS_OF = {"locked": "locked", "constrained": "constrained", "free": "expected", "undeclared": "undeclared"}
ABSENT = "not installed"
ASKED = "What the environment asks for"
NAME, MARK, WORDS = attrgetter("name"), attrgetter("mark"), attrgetter("words")  # the ways to write who owns something
UNSAID = ("tools.systems", "requirements.environment")  # what an environment need not say of itself


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The sides of an item that names people, as they are written where names cannot go: in what is signed, by marks.

    `words` is the target in a sentence, which has the number of the account.
    """

    source: str
    target: str
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One item.

    `classed` says how free it is, `holds` whether it is inside its rule, `equal` whether the sides agree. `role` must
    answer for it. `waived_until` is the day on which an exception ends that lets it stand outside its rule. `unnamed`
    is there only where the sides name people, and not in a report that was kept.
    """

    key: str
    aspect: str
    facet: str
    name: str
    source: str
    target: str
    classed: str
    equal: bool
    holds: bool
    severity: str
    reason: str
    rule: str
    role: str
    waived_until: str = ""
    unnamed: Unnamed | None = None

    @property
    def asks(self) -> bool:
        """Tell whether somebody must acknowledge it before the review gate opens."""
        return self.classed == "undeclared" and not self.equal

    @property
    def blocks(self) -> bool:
        """Tell whether it stands in the way unless somebody answers for it, or at all."""
        return not self.holds or self.asks


def report(
    cargo: Cargo,
    source: Side,
    target: Side,
    bindings: Mapping[str, Any],
    held: Mapping[str, Declared] | None = None,
) -> tuple[Difference, ...]:
    """Return every item in which the two sides can differ, the equal ones included.

    `held` is what the lock policy says in the target; without it, the usual. *locked*: must be equal. *constrained*:
    free inside a rule that was sealed with the version, is set by the target's import policy, or by the lock policy.
    *expected*: declared free. *undeclared*: nobody has said whether it matters; somebody must acknowledge it.
    """
    held = held if held is not None else declared({}, kind=target.kind, tier="low")
    return tuple(_items(cargo, source, target, bindings, held))


def undeclared(items: tuple[Difference, ...]) -> tuple[str, ...]:
    """Return the keys of undeclared differences."""
    return tuple(item.key for item in items if item.asks)


def broken(items: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Return the items outside their rule; with one of these nothing can be offered."""
    return tuple(item for item in items if not item.holds)


def inside(version: str, specifier: str) -> bool:
    """Tell whether a version lies in a PEP 440 range; what cannot be read does not."""
    parsed, wanted = version_of(version), _range(specifier)
    return parsed is not None and wanted is not None and wanted.contains(parsed, prereleases=True)


@lru_cache(maxsize=8192)
def _range(specifier: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(specifier)
    except InvalidSpecifier:
        return None


def _items(
    cargo: Cargo, source: Side, target: Side, bindings: Mapping[str, Any], held: Mapping[str, Declared]
) -> Iterator[Difference]:
    yield from _sealed(cargo, held)
    yield _owner(source, target, held["people.owner"])
    yield from _said(source, target, held)
    yield _python(cargo, source, target, held["tools.python"])
    told = of_words("medium", "other hardware: speed and memory may differ", source.hardware, target.hardware)
    yield _item("tools.hardware", "Hardware", source.hardware, target.hardware, held["tools.hardware"], told)
    yield from _packages(cargo, source, target, held)
    yield from _streams(source, target, bindings, held)
    yield from _fields(cargo, source, target, held["data.fields"])
    yield from _consumers(source, target, bindings, held["outputs.consumers"])


def _item(
    key: str,
    name: str,
    source: str,
    target: str,
    aspect: Declared,
    severity: Severity,
    *,
    inside: bool = True,
    rule: str = "",
    classed: str = "",
    waived_until: str = "",
) -> Difference:
    """Return one item as the lock policy classes it. What breaks its rule, or a lock, always matters most."""
    equal = source == target
    holds = inside
    if aspect.freedom == "locked":
        holds, rule = equal and inside, "; ".join(filter(None, (rule, "locked: must be equal on both sides")))
    elif aspect.freedom == "constrained" and aspect.allowed:
        holds, rule = target in aspect.allowed, f"allowed are {', '.join(aspect.allowed)}"
    elif aspect.freedom == "undeclared" and not rule:
        rule = f"nobody declared whether {name.lower()} matters to this model"
    severity = EQUAL if equal and holds and not waived_until else severity
    if not holds:
        severity = Severity("high", severity.reason if severity.level != "none" else "outside its rule")
    elif not equal:
        severity = at_least("low", severity)
    return Difference(
        key,
        aspect.name,
        aspect.facet,
        name,
        source,
        target,
        classed or CLASS_OF[aspect.freedom],
        equal,
        holds,
        severity.level,
        severity.reason,
        rule or "free to differ",
        aspect.answered_by,
        waived_until,
    )


def _sealed(cargo: Cargo, held: Mapping[str, Declared]) -> Iterator[Difference]:
    proof = Severity("none", "equal by digest")
    rows = (
        ("requirements.version", "Model version", cargo.digest, "requirements.version"),
        ("data.input_schema", "Input schema", cargo.input_schema, "data.input_schema"),
        ("outputs.output_schema", "Output schema", cargo.output_schema, "outputs.output_schema"),
        *(
            (f"requirements.{name}", name.replace("_", " ").capitalize(), digest, "requirements.elements")
            for name, digest in sorted(cargo.elements.items())
            if name not in {"input_schema", "output_schema"}
        ),
    )
    for key, name, digest, aspect in rows:
        one = held[aspect]
        yield Difference(
            key, aspect, one.facet, name, digest, digest, "locked", True, True, *proof, SEALED, one.answered_by
        )


def _owner(source: Side, target: Side, aspect: Declared) -> Difference:
    here, there = source.owner, target.owner
    severity = of_words("low", "new owner", here.name, there.name)
    item = _item(aspect.name, "Owner of the environment", here.name, there.name, aspect, severity)
    return replace(item, unnamed=Unnamed(here.mark, there.mark, there.words))


def _said(source: Side, target: Side, held: Mapping[str, Declared]) -> Iterator[Difference]:
    for aspect, name, here, there, level, reason in (
        (
            "people.organisation",
            "Organisation that answers",
            source.organisation,
            target.organisation,
            "medium",
            "organisation change: responsibility passes to another one",
        ),
        ("purpose.kind", "Kind of environment", source.kind, target.kind, "medium", "another kind of environment"),
        ("purpose.purpose", "Purpose", source.purpose, target.purpose, "low", "another purpose"),
        ("tools.systems", "Systems", source.systems, target.systems, "low", "other systems"),
        ("requirements.environment", ASKED, source.requirements, target.requirements, "low", "other requirements"),
    ):
        if here or there or aspect not in UNSAID:
            yield _item(aspect, name, here, there, held[aspect], of_words(level, reason, here, there))


def _python(cargo: Cargo, source: Side, target: Side, aspect: Declared) -> Difference:
    return _item(
        "tools.python",
        "Python",
        source.python,
        target.python,
        aspect,
        of_interpreters(source.python, target.python),
        inside=inside(target.python, cargo.python),
        rule=f"the version asks for {cargo.python}",
    )


def _packages(cargo: Cargo, source: Side, target: Side, held: Mapping[str, Declared]) -> Iterator[Difference]:
    judge = judge_by(target.import_policy)
    for name, specifier in sorted(cargo.packages.items()):
        yield _package(name, specifier, source, target, held["packages.required"], judge)
    for name in sorted((set(source.packages) | set(target.packages)) - set(cargo.packages)):
        yield _other_package(name, source, target, held["packages.others"], judge)


def _package(
    name: str, specifier: str, source: Side, target: Side, aspect: Declared, judge: Callable[[str, str, str], Verdict]
) -> Difference:
    here, there = source.packages.get(name, ""), target.packages.get(name, "")
    rule, severity, until = f"the version asks for {name}{specifier}", of_versions(here, there), ""
    verdict = judge(name, there, "")
    answer = verdict.answer if there else "missing"
    if answer == "missing":
        rule += "; it is not installed in the target"
        severity = Severity("high", "not installed in the target")
    elif answer == "prohibit":
        until = target.exceptions.get(name, "")
        rule += f"; the target's import policy prohibits it: {verdict.reason.rstrip('.')}"
        rule += f"; the nearest allowed version is {verdict.nearest}" if verdict.nearest else ""
        rule += _let_in(until)
        severity = Severity("high", "prohibited by the target's import policy")
    elif answer == "warn":
        rule += "; the target's import policy warns about it"
    holds = inside(there, specifier) and (answer in {"allow", "warn"} or bool(until))
    open_ = holds and answer == "warn" and here != there and aspect.freedom == "constrained"
    return _item(
        f"packages.{name}",
        name,
        here or ABSENT,
        there,
        aspect,
        severity,
        inside=holds,
        rule=rule,
        classed="undeclared" if open_ else "",
        waived_until=until,
    )


def _other_package(
    name: str, source: Side, target: Side, aspect: Declared, judge: Callable[[str, str, str], Verdict]
) -> Difference:
    here, there = source.packages.get(name, ""), target.packages.get(name, "")
    rule, holds, until = "the version does not ask for it", True, ""
    if aspect.freedom == "constrained":
        prohibited = bool(there) and judge(name, there, "").answer == "prohibit"
        until = target.exceptions.get(name, "") if prohibited else ""
        holds = not prohibited or bool(until)
        rule += "; the target's import policy must not prohibit it" + _let_in(until)
    elif aspect.freedom == "locked":
        rule = ""
    severity = of_unasked(of_versions(here, there))
    here, there = here or ABSENT, there or ABSENT
    return _item(f"packages.{name}", name, here, there, aspect, severity, inside=holds, rule=rule, waived_until=until)


def _let_in(until: str) -> str:
    return f"; an exception lets it in until {until}" if until else ""


def _streams(
    source: Side, target: Side, bindings: Mapping[str, Any], held: Mapping[str, Declared]
) -> Iterator[Difference]:
    slots = dict.fromkeys(("input", "output", *sorted(set(source.streams) | set(target.streams))))
    for slot in slots:
        aspect = held["data.transport" if slot == "input" else "outputs.transport"]
        name = "How records arrive" if slot == "input" else "Where results go"
        key = aspect.name if slot in {"input", "output"} else f"{aspect.name}.{slot}"
        usual = {"input": "files of the builders", "output": "files and plots"}.get(slot, "")
        here = _told(source.streams[slot]) if slot in source.streams else usual
        there = _told(target.streams[slot]) if slot in target.streams else ""
        if not there and slot in {"input", "output"}:
            there = _bound(bindings, slot)
        title = name if key == aspect.name else f"{name}: {slot}"
        both = bool(here and there)
        told = of_transports(here, there) if both else of_words("medium", "a stream on one side alone", here, there)
        yield _item(key, title, here, there, aspect, told)


def _told(stream: Stream) -> str:
    return ", ".join(word for word in (stream.transport, stream.encoding) if word)


def _bound(bindings: Mapping[str, Any], side: str) -> str:
    if side == "output" and "outputs" in bindings:
        return "; ".join(_carried(one) for one in bindings["outputs"])
    stream = bindings.get(side, {})
    if "stream" in stream:
        return _carried(stream)
    return f"{stream.get('transport', 'http')}, {stream.get('encoding', 'json')}"


def _carried(stream: Mapping[str, Any]) -> str:
    return ", ".join(stream[key] for key in ("transport", "encoding", "stream") if stream.get(key))


def _fields(cargo: Cargo, source: Side, target: Side, aspect: Declared) -> Iterator[Difference]:
    """Compare what the input streams deliver with what the model reads; a stream without fields inherits them."""
    here = source.streams["input"].fields if "input" in source.streams else None
    there = target.streams["input"].fields if "input" in target.streams else None
    for name, kind in cargo.fields.items():
        old = kind if here is None else here.get(name, "")
        new = kind if there is None else there.get(name, "")
        severity = of_words("high", "another type", old, new)
        if not new:
            severity = Severity("high", "missing field: the target does not deliver it")
        elif not old:
            severity = Severity("medium", "a field that the source does not deliver")
        rule = f"the model reads {name} as {kind}"
        yield _item(f"data.field.{name}", name, old, new, aspect, severity, inside=new == kind, rule=rule)


def _consumers(source: Side, target: Side, bindings: Mapping[str, Any], aspect: Declared) -> Iterator[Difference]:
    planned = {name: Consumer(None) for name in bindings.get("consumers", [])}
    target_consumers = {**planned, **target.consumers}
    for name in sorted(set(source.consumers) | set(target_consumers)):
        here, there = source.consumers.get(name), target_consumers.get(name)
        reason = "new consumer" if here is None else "consumer dropped" if there is None else "another owner or purpose"
        old, new = _fed(here, NAME), _fed(there, NAME)
        severity = EQUAL if old == new else Severity("high" if there is None else "medium", reason)
        item = _item(f"outputs.consumer.{name}", name, old, new, aspect, severity)
        yield replace(item, unnamed=Unnamed(_fed(here, MARK), _fed(there, MARK), _fed(there, WORDS)))


def _fed(consumer: Consumer | None, told: Callable[[Owner], str]) -> str:
    if consumer is None:
        return "not fed"
    owner = told(consumer.owner) if consumer.owner else ""
    return ", ".join(word for word in (consumer.purpose, owner) if word) or "fed"
