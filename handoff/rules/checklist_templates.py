"""Checklists, of the product and of the site, read strictly, and put into a policy when it is published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785

from handoff.errors import Invalid
from handoff.rules.checklists import ChecklistItem, check_checklists, read_item
from handoff.rules.policy_yaml import CHECKLIST, plain, read_text
from handoff.rules.reading import Reader, likeness

FOLDER = Path(__file__).parent.parent / "checklist_templates"
KEYS = {"template", "title", "about", "source", "applies", "levels", "items"}
INCLUDE_KEYS = {"template", "level", "least"}
MOST_LEVELS = 9
# What whoever writes the first one begins with.
EXAMPLE = """template: our-own
title: Our own checklist
about: What it is for, in a sentence.
source: Who asks for it.
items:
  - key: first
    question: Is it so?
    help: What a yes rests on.
    role: data_scientist
    evidence: [link, file]
    reference: "Rule 1"
"""


@dataclass(frozen=True, slots=True)
class Application:
    """From which day on something applies, and until when, if it has an end."""

    what: str
    since: date
    until: date | None = None

    def on(self, day: date) -> bool:
        """Tell whether it applies on a day."""
        return self.since <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True)
class Template:
    """One checklist. `levels` name the depths in which it can be included; an item belongs to its own and above."""

    key: str
    title: str
    about: str
    source: str
    applies: tuple[Application, ...]
    levels: Mapping[int, str]
    items: tuple[ChecklistItem, ...]
    rows: tuple[Mapping[str, Any], ...]
    digest: str

    @property
    def scored(self) -> bool:
        """Tell whether its items are scored."""
        return any(item.scored for item in self.items)

    def level_of(self, key: str) -> int:
        """Return from which level on an item is asked; 1 where it says nothing."""
        return next(int(row.get("level", 1)) for row in self.rows if row["key"] == key)

    def rows_at(self, level: int) -> list[dict[str, Any]]:
        """Return the items of a level as they are frozen into a policy."""
        kept = [dict(row) for row in self.rows if row.get("level", 1) <= level]
        return [{k: v for k, v in row.items() if k != "level"} | {"template": self.key} for row in kept]


Known = Callable[[], Mapping[str, Template]]


@cache
def templates() -> dict[str, Template]:
    """Return the templates that come with the product, by their keys."""
    found = [read_template(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))]
    return {template.key: template for template in found}


def read_template(source: str) -> Template:
    """Read one template's YAML. Raises Invalid that lists every mistake by its place, and with its line."""
    text = read_text(source, CHECKLIST)
    reader = Reader()
    template = _template(reader, text.content)
    if reader.mistakes:
        mistakes = {place: f"{told} (line {text.line(place)})" for place, told in reader.mistakes.items()}
        raise Invalid(
            "The checklist has mistakes: " + "; ".join(f"{place}: {told}" for place, told in mistakes.items()),
            code="checklist_invalid",
            todo="Correct what is named, then publish it again.",
            fields=mistakes,
        )
    return template


def _template(reader: Reader, content: Mapping[str, Any]) -> Template:
    reader.unknown("", content, KEYS)
    rows = reader.rows("items", content.get("items"))
    told = reader.rows("applies", content.get("applies", []))
    levels = _levels(reader, content.get("levels", {}))
    items = tuple(
        read_item(reader, f"items[{i}]", {key: value for key, value in row.items() if key != "level"})
        for i, row in enumerate(rows)
    )
    if not items:
        reader.wrong("items", "must hold an item at least")
    for i, row in enumerate(rows):
        _level(reader, f"items[{i}].level", row.get("level", 1), levels)
        if "reference" not in row:
            reader.wrong(f"items[{i}].reference", "is missing; name the rule, or the page, that the item stands for")
    check_checklists(reader, {"release": items})
    return Template(
        key=reader.slug("template", content.get("template")),
        title=reader.text("title", content.get("title")),
        about=reader.text("about", content.get("about")),
        source=reader.text("source", content.get("source")),
        applies=tuple(_application(reader, f"applies[{i}]", row) for i, row in enumerate(told)),
        levels=levels,
        items=items,
        rows=tuple(rows),
        digest=sha256(rfc8785.dumps(plain(content))).hexdigest(),
    )


def _levels(reader: Reader, raw: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, told in reader.mapping("levels", raw).items():
        if not isinstance(key, int) or isinstance(key, bool) or not 1 <= key <= MOST_LEVELS:
            reader.wrong(f"levels.{key}", f"must be a whole number from 1 to {MOST_LEVELS}")
        else:
            found[key] = reader.text(f"levels.{key}", told)
    return found


def _level(reader: Reader, place: str, raw: Any, levels: Mapping[int, str]) -> None:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw not in (levels or {1: ""}):
        reader.wrong(place, "is no level of the template")


def _application(reader: Reader, place: str, row: Mapping[str, Any]) -> Application:
    reader.unknown(place, row, {"what", "from", "until"})
    since, until = _day(row.get("from")), _day(row.get("until"))
    if since is None or ("until" in row and until is None):
        reader.wrong(place, "must have days such as 2027-12-02")
    return Application(reader.text(f"{place}.what", row.get("what")), since or date.min, until)


def _day(raw: Any) -> date | None:
    try:
        return date.fromisoformat(str(raw))
    except ValueError:
        return None


def expanded(content: Mapping[str, Any], known: Known = templates) -> dict[str, Any]:
    """Return a policy's content with the items of the templates that its checklists include.

    `known` gives the templates there are; it is asked once something is included.

    What is frozen are the items themselves beside the digest of the template they came from: a template that changes
    later changes no policy that was published. Raises Invalid for templates, levels and scores that do not exist.
    What is not understood otherwise is left for whoever reads the policy.
    """
    gates = content.get("gates")
    if not isinstance(gates, Mapping):
        return dict(content)
    reader = Reader()
    made = {name: _gate(reader, f"gates.{name}.checklist", gate, known) for name, gate in gates.items()}
    if reader.mistakes:
        raise Invalid(
            "The policy cannot be published: " + "; ".join(f"{k}: {v}" for k, v in reader.mistakes.items()),
            code="policy_invalid",
            todo="Correct what is named, then validate it again.",
            fields=reader.mistakes,
        )
    return {**content, "gates": made}


def _gate(reader: Reader, place: str, gate: Any, known: Known) -> Any:
    checklist = gate.get("checklist") if isinstance(gate, Mapping) else None
    if not isinstance(checklist, Mapping) or "include" not in checklist:
        return gate
    reader.unknown(place, checklist, {"include", "items"})
    include = checklist["include"]
    include = include if isinstance(include, list) else [include]
    items, included = list(reader.rows(f"{place}.items", checklist.get("items", []))), []
    there = known()
    for i, raw in enumerate(include):
        if told := _included(reader, f"{place}.include[{i}]", raw, there):
            template, level, least = told
            items += template.rows_at(level)
            included.append(
                {"template": template.key, "title": template.title, "digest": template.digest, "least": least}
            )
    return {**gate, "checklist": {"included": included, "items": items}}


def _included(
    reader: Reader, place: str, raw: Any, there: Mapping[str, Template]
) -> tuple[Template, int, float] | None:
    row: Mapping[str, Any] = {"template": raw} if isinstance(raw, str) else reader.mapping(place, raw)
    reader.unknown(place, row, INCLUDE_KEYS)
    template = there.get(str(row.get("template")))
    if template is None:
        told = "must be one of the templates " + ", ".join(there)
        reader.wrong(place, told + likeness(str(row.get("template")), there))
        return None
    level, least = row.get("level", max(template.levels, default=1)), row.get("least", 0)
    if not isinstance(level, int) or isinstance(level, bool) or level not in (template.levels or {1: ""}):
        reader.wrong(f"{place}.level", f"is no level of {template.key}")
        return None
    if least and not template.scored:
        reader.wrong(f"{place}.least", f"means nothing: the items of {template.key} are not scored")
        return None
    return template, level, least
