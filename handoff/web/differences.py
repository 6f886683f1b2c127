"""The difference report as a page shows it: by subject, what differs first, what is equal folded away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoff.models import Acknowledgement
from handoff.rules.differences import ABOUT

MEANS = {
    "locked": "must be equal on both sides",
    "constrained": "free inside a rule",
    "expected": "declared free to differ",
    "undeclared": "nobody has said whether it matters",
}


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One item of the report. `by` is the acknowledgement on record, `asked` says that one is wanted."""

    key: str
    name: str
    source: str
    target: str
    kind: str
    means: str
    equal: bool
    holds: bool
    rule: str
    by: Acknowledgement | None
    asked: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class DifferenceGroup:
    """One subject: what differs, and what is equal."""

    about: str
    differing: list[DifferenceRow]
    equal: list[DifferenceRow]


def groups_of(
    report: Mapping[str, Any] | None, acknowledged: Sequence[Acknowledgement], chosen: Sequence[str] = ()
) -> list[DifferenceGroup]:
    """Return the report by subject; subjects in which there is nothing are left out."""
    by = {one.difference: one for one in acknowledged}
    asked = set((report or {}).get("undeclared", ()))
    rows = [(item["about"], _row(item, by, asked, chosen)) for item in (report or {}).get("items", ())]
    found = []
    for about in ABOUT:
        mine = [row for subject, row in rows if subject == about]
        if mine:
            found.append(DifferenceGroup(about, [r for r in mine if not r.equal], [r for r in mine if r.equal]))
    return found


def counts_of(groups: Sequence[DifferenceGroup]) -> dict[str, int]:
    """Return how many items differ, are equal, break their rule, and wait for an acknowledgement."""
    differing = [row for group in groups for row in group.differing]
    return {
        "differing": len(differing),
        "equal": sum(len(group.equal) for group in groups),
        "broken": sum(not row.holds for row in differing),
        "asked": sum(row.asked and row.by is None for row in differing),
    }


def _row(
    item: Mapping[str, Any], by: Mapping[str, Acknowledgement], asked: set[str], chosen: Sequence[str]
) -> DifferenceRow:
    key = item["key"]
    return DifferenceRow(
        key=key,
        name=item["name"],
        source=_short(item["source"]),
        target=_short(item["target"]),
        kind=item["kind"],
        means=MEANS[item["kind"]],
        equal=item["equal"],
        holds=item["holds"],
        rule=item["rule"],
        by=by.get(key),
        asked=key in asked,
        chosen=key in chosen,
    )


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text
