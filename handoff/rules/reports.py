"""A difference report as it is kept: written, read again, compared with what holds now, and put into states."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from handoff.errors import Invalid
from handoff.rules.aspects import FACETS, MEANS
from handoff.rules.differences import Difference, undeclared
from handoff.rules.severities import SEVERITIES

COLUMNS = tuple(one.name for one in fields(Difference) if one.name != "unnamed")
CLASSES = ("locked", "constrained", "expected", "undeclared")
STATES = ("detected", "acknowledged", "mitigated", "waived", "resolved")
MEANS_OF_CLASS = {"expected" if name == "free" else name: words for name, words in MEANS.items()}
FILTERS: dict[str, tuple[str, ...]] = {"facet": FACETS, "severity": SEVERITIES, "classed": CLASSES, "state": STATES}


@dataclass(frozen=True, slots=True)
class Answered:
    """Who has answered for an item, and whether they say what was done about it."""

    by: str
    comment: str = ""
    mitigation: str = ""


def as_content(items: tuple[Difference, ...]) -> dict[str, Any]:
    """Return plain data, to be kept with a handoff and signed: with marks in the place of names.

    `asked` maps each key to the role that must answer.
    """
    return {
        "items": [_kept(item) for item in items],
        "undeclared": list(undeclared(items)),
        "asked": {item.key: item.role for item in items if item.asks},
    }


def _kept(item: Difference) -> dict[str, Any]:
    unnamed = {"source": item.unnamed.source, "target": item.unnamed.target} if item.unnamed else {}
    return {name: getattr(item, name) for name in COLUMNS} | unnamed


def read(content: Mapping[str, Any] | None) -> tuple[Difference, ...]:
    """Return the items of a kept report; those of the first release know no aspect, severity or role."""
    return tuple(_read(item) for item in (content or {}).get("items", ()))


def as_signed(content: Mapping[str, Any], amended: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kept report with the items that people have signed since in another form."""
    items = {item["key"]: item for kept in (content, amended) for item in kept.get("items", ())}
    return {**content, "items": list(items.values())}


def _read(item: Mapping[str, Any]) -> Difference:
    if "classed" in item:
        return Difference(**{name: item[name] for name in COLUMNS if name in item})
    severity = "none" if item["equal"] else "low" if item["holds"] else "high"
    return Difference(
        key=item["key"],
        aspect=item["key"],
        facet=item["about"],
        name=item["name"],
        source=item["source"],
        target=item["target"],
        classed=item["kind"],
        equal=item["equal"],
        holds=item["holds"],
        severity=severity,
        reason="equal" if item["equal"] else "it was not judged when this was offered",
        rule=item["rule"],
        role="",
    )


def moved(frozen: Iterable[Difference], now: Iterable[Difference]) -> dict[str, str]:
    """Return what stands in the way now and did not when the report was signed: its key, and a sentence.

    A change inside its rule, or of what was declared free, is no reason to stop. What was acknowledged is so in the
    very value that was read in the target; another value there is a new difference. No sentence names anybody.
    """
    before, after = {item.key: item for item in frozen}, {item.key: item for item in now}
    found = {}
    for key, item in after.items():
        old = before.get(key)
        if old is not None and item.classed == old.classed == "locked" and item.holds and not _alike(old, item):
            found[key] = f"{item.name} is locked, and changed {_change(old, item)}"
        elif item.blocks and (old is None or not _same(old, item)):
            found[key] = _told(item, old)
    gone = (item for key, item in before.items() if item.classed == "locked" and key not in after)
    return found | {item.key: f"{item.name} is locked, and is not there any more" for item in gone}


def _same(old: Difference, item: Difference) -> bool:
    """Tell whether an item stands in the way as it did before."""
    return _alike(old, item) and (old.classed, old.holds) == (item.classed, item.holds)


def _alike(old: Difference, item: Difference) -> bool:
    """Tell whether the target is as it was; reports of earlier releases have names where others have marks."""
    return old.target == item.target or (item.unnamed is not None and old.target == item.unnamed.target)


def _change(old: Difference, item: Difference) -> str:
    return f"to {item.unnamed.words}" if item.unnamed else f"from {old.target} to {item.target}"


def _told(item: Difference, old: Difference | None) -> str:
    now = (item.unnamed.words if item.unnamed else item.target) or "nothing"
    if old is not None and not _alike(old, item):
        was = "another" if item.unnamed else old.target or "nothing"
        now += f" in the target, was {was} when it was offered"
    if not item.holds:
        over = f"; the exception until {old.waived_until} is over" if old is not None and old.waived_until else ""
        return f"{item.name} breaks its rule: {now}; {item.rule}{over}"
    return f"{item.name} differs, and nobody has answered for it: {now}"


def state_of(item: Difference, answered: Answered | None, *, now: Difference | None, today: str) -> str:
    """Return where an item stands, computed from the facts; nothing for an item that never differed.

    `now` is the item as it is recomputed, `today` a date such as 2026-11-23.
    """
    if item.equal and item.holds and not item.waived_until:
        return ""
    if now is not None and now.equal and now.holds and not now.waived_until:
        return "resolved"
    until = (now or item).waived_until  # as it is now, where that is known: it may have been revoked or extended
    if until >= today:
        return "waived"
    if answered is not None:
        return "mitigated" if answered.mitigation else "acknowledged"
    return "detected"


def read_filters(given: Mapping[str, str]) -> dict[str, str]:
    """Return the filters that are set. Raises Invalid that names a value which nothing can have."""
    found = {name: value for name, value in given.items() if value}
    odd = {
        name: "must be one of " + ", ".join(FILTERS[name])
        for name, value in found.items()
        if value not in FILTERS[name]
    }
    if odd:
        raise Invalid(
            "There is no such facet, severity, class or state.",
            fields={name: "must be one of " + ", ".join(FILTERS[name]) for name in sorted(odd)},
        )
    return found
