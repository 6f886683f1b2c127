"""Checklist items: what is asked, of whom, when, for how long, and what must back the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoff.rules.automatic import KNOWN
from handoff.rules.figures import understood
from handoff.rules.reading import ROLES, Reader

EVIDENCE = ("file", "link", "figure", "test", "replay", "item")
CHOICES = ("yes", "no", "not_applicable")
ITEM_KEYS = {
    "key",
    "question",
    "help",
    "role",
    "evidence",
    "figure",
    "fact",
    "visible_if",
    "two_people",
    "valid_days",
    "reference",
    "section",
    "scored",
    "template",
}
ASKS_NOBODY = ("evidence", "figure", "two_people", "valid_days", "role", "scored")
LONGEST_LIFE = 3650


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """A question, who answers it, and which kinds of evidence back a yes (none listed: none needed).

    `figure` is a rule for the figure that backs a yes. `fact` names what the item is computed from instead of being
    asked. The item is asked only where the items in `visible_if` have one of the answers named there. `two_people`:
    two persons must answer alike. An answer counts for `valid_days` days, or for ever if that is 0. `scored`: any
    answer will do, for the score of its section counts instead. `template` and `reference` say where it comes from.
    """

    key: str
    question: str
    role: str
    help: str = ""
    evidence: tuple[str, ...] = ()
    figure: str = ""
    fact: str = ""
    visible_if: tuple[tuple[str, tuple[str, ...]], ...] = ()
    two_people: bool = False
    valid_days: int = 0
    reference: str = ""
    section: str = ""
    scored: bool = False
    template: str = ""


@dataclass(frozen=True, slots=True)
class Included:
    """A template whose items stand in a gate's checklist, as it was when the policy was published.

    `least` is the score that the section with the lowest one must reach, for a template whose items are scored.
    """

    template: str
    title: str
    digest: str
    least: float = 0.0


def read_checklist(reader: Reader, place: str, raw: Any) -> tuple[tuple[ChecklistItem, ...], tuple[Included, ...]]:
    """Read a gate's checklist: a list of items, or items beside the templates that were put in at publication."""
    included: tuple[Included, ...] = ()
    if not isinstance(raw, Mapping):
        rows = reader.rows(place, raw)
    else:
        reader.unknown(place, raw, {"items", "included"})
        rows = reader.rows(f"{place}.items", raw.get("items", []))
        told = reader.rows(f"{place}.included", raw.get("included", []))
        included = tuple(_included(reader, f"{place}.included[{i}]", row) for i, row in enumerate(told))
        place = f"{place}.items"
    return tuple(read_item(reader, f"{place}[{i}]", row) for i, row in enumerate(rows)), included


def _included(reader: Reader, place: str, row: Mapping[str, Any]) -> Included:
    reader.unknown(place, row, {"template", "title", "digest", "least"})
    least = row.get("least", 0)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 100:
        reader.wrong(f"{place}.least", "must be a score from 0 to 100")
        least = 0
    return Included(
        template=reader.slug(f"{place}.template", row.get("template")),
        title=reader.text(f"{place}.title", row.get("title")),
        digest=reader.text(f"{place}.digest", row.get("digest")),
        least=float(least),
    )


def read_item(reader: Reader, place: str, row: Mapping[str, Any]) -> ChecklistItem:
    """Read one item; mistakes are kept by the reader."""
    reader.unknown(place, row, ITEM_KEYS)
    fact = reader.one_of(f"{place}.fact", row["fact"], tuple(KNOWN)) if "fact" in row else ""
    for name in ASKS_NOBODY if fact else ():
        if name in row:
            reader.wrong(f"{place}.{name}", "means nothing for an item that is computed from a fact")
    return ChecklistItem(
        key=reader.key(place, row.get("key")),
        question=reader.text(f"{place}.question", row.get("question")),
        role="" if fact else reader.one_of(f"{place}.role", row.get("role"), ROLES),
        help=_words(reader, f"{place}.help", row.get("help", "")),
        evidence=reader.subset(f"{place}.evidence", row.get("evidence", []), EVIDENCE, empty=True),
        figure=_figure(reader, place, row),
        fact=fact,
        visible_if=_conditions(reader, f"{place}.visible_if", row.get("visible_if", {})),
        two_people=reader.flag(f"{place}.two_people", row.get("two_people", False)),
        valid_days=_days(reader, place, row),
        reference=_words(reader, f"{place}.reference", row.get("reference", "")),
        section=_words(reader, f"{place}.section", row.get("section", "")),
        scored=reader.flag(f"{place}.scored", row.get("scored", False)),
        template=reader.slug(f"{place}.template", row["template"]) if "template" in row else "",
    )


def _words(reader: Reader, place: str, raw: Any) -> str:
    if not isinstance(raw, str) or len(raw) > 1000:
        reader.wrong(place, "must be a text of at most 1000 characters")
    return str(raw)


def _days(reader: Reader, place: str, row: Mapping[str, Any]) -> int:
    if "valid_days" not in row:
        return 0
    return reader.whole(f"{place}.valid_days", row["valid_days"], 1, LONGEST_LIFE, of="of days ")


def _figure(reader: Reader, place: str, row: Mapping[str, Any]) -> str:
    if "figure" not in row:
        return ""
    rule = row["figure"]
    if not isinstance(rule, str) or not understood(rule):
        reader.wrong(f"{place}.figure", "must be a rule such as '>= 0.8', '> 0 and < 200' or 'in 0, 0.5, 1'")
    elif row.get("evidence") != ["figure"]:
        reader.wrong(f"{place}.figure", "needs 'evidence: [figure]', and no other kind")
    return str(rule)


def _conditions(reader: Reader, place: str, raw: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for key, wanted in reader.mapping(place, raw).items():
        choices = wanted if isinstance(wanted, list) else [wanted]
        choices = [{True: "yes", False: "no"}.get(one, one) if isinstance(one, bool) else one for one in choices]
        if not choices or any(one not in CHOICES for one in choices):
            reader.wrong(f"{place}.{key}", "must be an answer, or a list of them: " + ", ".join(CHOICES))
        found.append((str(key), tuple(str(one) for one in choices)))
    return tuple(found)


def check_checklists(reader: Reader, gates: Mapping[str, Sequence[ChecklistItem]]) -> None:
    """Find conditions that no answer can ever decide: on items of later gates, on nothing, or in a circle.

    Also find items that can never be met at their gate: test results are known only after the review.
    """
    earlier: dict[str, ChecklistItem] = {}
    for gate, items in gates.items():
        earlier |= {item.key: item for item in items}
        for place, item in ((f"gates.{gate}.checklist.{item.key}", item) for item in items):
            for key, _ in item.visible_if:
                if key not in earlier:
                    reader.wrong(f"{place}.visible_if.{key}", "is no item of this gate or an earlier one")
                elif earlier[key].fact:
                    reader.wrong(f"{place}.visible_if.{key}", "is computed, and has no answer")
            if gate == "review" and (
                item.evidence == ("test",) or (item.fact in KNOWN and KNOWN[item.fact].after_tests)
            ):
                reader.wrong(place, "can never be met at the review gate: tests run after it")
    for key in _circular(earlier):
        reader.wrong(f"items.{key}.visible_if", "goes in a circle, so that nothing decides it")


def _circular(items: Mapping[str, ChecklistItem]) -> list[str]:
    """Return the items whose conditions lead back to themselves, and those that hang on them."""
    waiting = {key: {other for other, _ in item.visible_if if other in items} for key, item in items.items()}
    while free := [key for key, needs in waiting.items() if not needs & waiting.keys()]:
        for key in free:
            del waiting[key]
    return list(waiting)


def visible(items: Sequence[ChecklistItem], choices: Mapping[str, str]) -> frozenset[str]:
    """Return the keys of the items that are asked, by the answers that count: one that is not asked decides nothing.

    `items` are those of all gates; their conditions lead in no circle.
    """
    decided: dict[str, bool] = {}
    waiting = {item.key: item for item in items}
    while waiting:
        ready = [item for item in waiting.values() if all(key not in waiting for key, _ in item.visible_if)]
        if not ready:
            break
        for item in ready:
            decided[item.key] = all(decided.get(key, False) and choices.get(key) in of for key, of in item.visible_if)
            del waiting[item.key]
    return frozenset(key for key, asked in decided.items() if asked)
